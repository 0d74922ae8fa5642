"""The penalties of one run: prepared once, then terms of the loss at every step in which the backbone learns."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tl_core.penalties import PENALTIES, Batch, ItemSubset, Need, PenaltyContext, Stage, Term
from tl_core.plan import Head
from tl_core.training.best_weights import load_best
from tl_core.training.convex import Solvable, Solver
from tl_core.training.inputs import StagedInputs
from tl_core.training.model import HeadLayers
from tl_core.training.objectives import StepOutput

if TYPE_CHECKING:
    from tl_core.training.run import Run

L2 = 0.01
"""Weight decay of the heads that penalties have solved: scikit-learn's C = 1 with 100 items."""
ROUNDS = 30
"""Stretches of L-BFGS iterations that such a head gets at most."""


class PenaltySet:
    """Every penalty of the plan that has a strength, by name."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        asked = [penalty for penalty in run.plan.penalties if penalty.strength > 0]
        self._strength = {penalty.name: penalty.strength for penalty in asked}
        self._terms: dict[str, Term] = {penalty.name: PENALTIES[penalty.name].term(penalty) for penalty in asked}
        self.ready = not self._terms
        self.waiting: Mapping[str, torch.Tensor] | None = None
        """What a checkpoint kept of the terms, until there are inputs to take it up with."""
        self._sums: dict[str, torch.Tensor] = {}
        self._items, self._at = 0, -1

    def rows(self) -> np.ndarray:
        """Return the rows, beside those that a phase learns from, that some term looks at."""
        if not self._terms:
            return np.zeros(0, dtype=np.int64)
        space, read = self._run.space, self._reads()
        sides = [
            side.rows for name, side in (("source", space.source), ("target", space.target)) if side and name in read
        ]
        return np.concatenate([*sides, np.zeros(0, dtype=np.int64) if self._known else self._learned_from()])

    def _reads(self) -> set[Need]:
        """Return what the terms make use of where it is there."""
        return {need for name in self._terms for need in (*PENALTIES[name].needs, *PENALTIES[name].reads)}

    @property
    def _known(self) -> bool:
        """Whether what the terms look for once was found, in this process or before the run was interrupted."""
        return self.ready or self.waiting is not None

    def prepare(self, inputs: StagedInputs) -> Generator[Stage, None, PenaltyContext]:
        """Let every term look at the model and the items; returns the ground, for its notes."""
        ground = self._ground(inputs)
        if self.waiting is not None:
            self._load(self.waiting, ground)
            return replace(ground, notes=[])
        for term in self._terms.values():
            yield from term.prepare(ground)
        self.ready = True
        return ground

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        """Let the next `prepare` take up what `state` returned, instead of finding it out anew."""
        if self._terms:
            self.waiting, self.ready = state, False

    def _load(self, state: Mapping[str, torch.Tensor], ground: PenaltyContext) -> None:
        for name, term in self._terms.items():
            term.load(_under(f"{name}/", state), ground)
            for number, module in enumerate(term.modules()):
                module.load_state_dict(_under(f"{name}:{number}/", state))
        self.ready, self.waiting = True, None

    def state(self) -> dict[str, torch.Tensor]:
        """Return what the terms keep, helper networks included; nothing before they are prepared."""
        if self.waiting is not None:
            return dict(self.waiting)
        found: dict[str, torch.Tensor] = {}
        for name, term in self._terms.items() if self.ready else ():
            found |= {f"{name}/{key}": value for key, value in term.state().items()}
            for number, module in enumerate(term.modules()):
                found |= {f"{name}:{number}/{key}": value for key, value in module.state_dict().items()}
        return found

    def modules(self) -> Sequence[nn.Module]:
        """Return the helper networks of all terms."""
        return [module for term in self._terms.values() for module in term.modules()] if self.ready else []

    def add(self, lesson: StepOutput, rows: np.ndarray, inputs: StagedInputs, position: float) -> torch.Tensor:
        """Return the lesson's loss with every term added, each times its strength."""
        if not self._terms or not self.ready or lesson.pooled is None or lesson.logits is None or lesson.labels is None:
            return lesson.loss
        batch = Batch(
            rows % self._run.space.whole, lesson.pooled, lesson.logits, lesson.labels, self._run.step, position,
            self._beside(rows, lesson.pooled, inputs), lesson.mix,
        )  # fmt: skip
        if self._at != self._run.step:
            self._sums, self._items, self._at = {}, 0, self._run.step
        self._items += len(rows)
        total = lesson.loss
        for name, term in self._terms.items():
            size = self._strength[name] * term.loss(batch)
            self._sums[name] = self._sums.get(name, 0) + size.detach() * len(rows)
            total = total + size
        return total

    def taken(self) -> Mapping[str, torch.Tensor]:
        """Return each term of the step just taken, times a positive number, unread; nothing where it had none."""
        return self._sums if self._at == self._run.step - 1 else {}

    def sizes(self) -> dict[str, float]:
        """Return the size of each term at the last step that had terms, its strength included."""
        return {name: float(size) / self._items for name, size in self._sums.items()}

    def _beside(
        self, rows: np.ndarray, pooled: torch.Tensor, inputs: StagedInputs
    ) -> Callable[[np.ndarray], tuple[torch.Tensor, torch.Tensor]]:
        """Return `Batch.beside`: one pass for all where a layer normalises by the batch, else two."""
        model = self._run.model

        def beside(other: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            norms = (m for m in model.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
            if any(norm.training for norm in norms):  # by its own statistics each side would look like the other
                both = inputs.features(model, np.concatenate([rows, other]))
                return both[: len(rows)], both[len(rows) :]
            return pooled, inputs.features(model, other)

        return beside

    def _guarded(self) -> list[int]:
        """Return the phases whose steps have terms."""
        run = self._run
        phases = enumerate(run.plan.phases)
        return [i for i, phase in phases if phase.objective == "labels" and run.start_of(phase) < run.model.stages]

    def _learned_from(self) -> np.ndarray:
        """Return every row that a step with terms may learn from, also once an edit thaws the backbone."""
        run = self._run
        stepped = [p for p in run.plan.phases if p.objective == "labels" and p.optimizer != "lbfgs"]
        return np.unique(np.concatenate([run.rows(phase) for phase in stepped or run.plan.phases]))

    def _side(self) -> ItemSubset:
        """Return these rows, without the labels by which the first phase that has terms is judged."""
        run, rows = self._run, self._learned_from()
        labels = run.labels[torch.from_numpy(rows)]
        for index in self._guarded()[:1]:
            labels[torch.from_numpy(np.isin(rows, run.judged(run.plan.phases[index])))] = -1
        return ItemSubset(rows, labels, tuple(run.job.dataset.classes))

    def _ground(self, inputs: StagedInputs) -> PenaltyContext:
        run = self._run
        needs = self._reads()
        # a later phase may move stages that the present one has cached the output of
        lowest = min((run.start_of(run.plan.phases[index]) for index in self._guarded()), default=inputs.start)
        deep = inputs if inputs.start <= lowest else run.feed.prepared(lowest)
        return PenaltyContext(
            model=run.model,
            start=run.first,
            train=self._side(),
            features=lambda some: deep.features(run.model, some),
            linear=self._linear,
            batch_size=run.plan.batch_size,
            seed=run.job.seed,
            solved=not run.fresh,
            source=run.space.source,
            target=run.space.target,
            original_head=self._original_head() if "original_head" in needs else None,
            teacher=self._teacher() if "teacher" in needs else None,
        )

    def _linear(self, n_classes: int, solve: tuple[torch.Tensor, torch.Tensor] | None = None) -> nn.Module:
        with torch.random.fork_rng(devices=[]):  # the step's own random numbers stay as they are
            head = HeadLayers(len(self._run.model.head.mean), n_classes, Head()).to(self._run.device)
        if solve is not None:
            head.standardise(solve[0])
            solver = Solver(head, Solvable(*solve), L2, fresh=True)
            for _ in range(ROUNDS):
                if solver.iterate()[1]:
                    break
        return head

    def _original_head(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the original classifier over the mean part of the pooled features; it does not learn."""
        run, build = self._run, self._run.job.spec.original_head
        assert build is not None
        head = build().to(run.device).eval().requires_grad_(False)
        half = run.model.deviation
        return lambda pooled: head(pooled[:, : pooled.shape[1] // 2] if half else pooled)

    def _teacher(self) -> Callable[[np.ndarray], torch.Tensor]:
        """Return what scores rows `[B]` of the run's own items as the teacher does; it is read when first asked."""
        from tl_core.backbones.preprocess import preprocessor

        run, teacher = self._run, self._run.job.teacher
        assert teacher is not None
        items, prepare = run.job.store.prepared(run.job.dataset, teacher.spec), preprocessor(teacher.spec)

        @cache
        def model() -> nn.Module:
            return load_best(teacher.folder, teacher.spec, teacher.plan, len(run.job.dataset.classes)).to(run.device)

        @torch.no_grad()
        def scores(rows: np.ndarray) -> torch.Tensor:
            cuts = range(0, len(rows), run.plan.batch_size)
            parts = [rows[at : at + run.plan.batch_size] for at in cuts]
            return torch.cat([model()(prepare.collate([items[int(r)] for r in p], run.device)) for p in parts])

        return scores


def _under(start: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
