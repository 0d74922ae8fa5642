"""The penalties of one run: prepared once, then terms of the loss at every step in which the backbone learns."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tl_core.penalties import PENALTIES, Batch, Ground, Side, Stage, Term
from tl_core.training.checkpoints import load_best
from tl_core.training.inputs import StagedInputs
from tl_core.training.objectives import Lesson

if TYPE_CHECKING:
    from tl_core.training.run import Run


class Terms:
    """Every penalty of the plan, by name."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._strength = {penalty.name: penalty.strength for penalty in run.plan.penalties}
        self._terms: dict[str, Term] = {
            penalty.name: PENALTIES[penalty.name].term(penalty) for penalty in run.plan.penalties
        }
        self.ready = not self._terms
        self.waiting: Mapping[str, torch.Tensor] | None = None
        """What a checkpoint kept of the terms, until there are inputs to take it up with."""
        self._sizes: dict[str, torch.Tensor] = {}

    def rows(self) -> np.ndarray:
        """Return the rows beside the training items that some term looks at."""
        sides = [side.rows for side in (self._run.space.source, self._run.space.target) if side is not None]
        return np.concatenate(sides) if sides and self._terms else np.zeros(0, dtype=np.int64)

    def prepare(self, inputs: StagedInputs) -> Generator[Stage, None, Ground]:
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

    def _load(self, state: Mapping[str, torch.Tensor], ground: Ground) -> None:
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

    def add(self, lesson: Lesson, rows: np.ndarray, inputs: StagedInputs, position: float) -> torch.Tensor:
        """Return the lesson's loss with every term added, each times its strength."""
        if not self._terms or lesson.pooled is None or lesson.logits is None or lesson.labels is None:
            return lesson.loss
        model = self._run.model
        batch = Batch(
            rows % self._run.space.whole, lesson.pooled, lesson.logits, lesson.labels, self._run.step, position,
            lambda other: inputs.features(model, other),
        )  # fmt: skip
        total = lesson.loss
        for name, term in self._terms.items():
            size = self._strength[name] * term.loss(batch)
            self._sizes[name] = size.detach()
            total = total + size
        return total

    def sizes(self) -> dict[str, float]:
        """Return the size of each term at the last step, its strength included."""
        return {name: float(size) for name, size in self._sizes.items()}

    def _ground(self, inputs: StagedInputs) -> Ground:
        run = self._run
        rows = run.rows(run.plan.phases[0])
        train = Side(rows, run.labels[torch.from_numpy(rows)], tuple(run.job.dataset.classes))
        spec, whole = run.job.spec, run.model.stages == len(run.job.spec.groups)
        ground = Ground(
            model=run.model,
            start=run.first,
            train=train,
            features=lambda some: inputs.features(run.model, some),
            batch_size=run.plan.batch_size,
            seed=run.job.seed,
            source=run.space.source,
            target=run.space.target,
            original_head=spec.original_head() if spec.original_head is not None and whole else None,
        )
        return replace(ground, teacher=self._teacher()) if run.job.teacher is not None else ground

    def _teacher(self):  # type: ignore[no-untyped-def]
        """Return what scores rows as the teacher does."""
        run, teacher = self._run, self._run.job.teacher
        assert teacher is not None
        model = load_best(teacher.folder, teacher.spec, teacher.plan, len(run.job.dataset.classes)).to(run.device)
        from tl_core.backbones.preprocess import preprocessor

        items, prepare = run.job.store.prepared(run.job.dataset, teacher.spec), preprocessor(teacher.spec)

        @torch.no_grad()
        def scores(rows: np.ndarray) -> torch.Tensor:
            return model(prepare.collate([items[int(row)] for row in rows], run.device))

        return scores


def _under(start: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
