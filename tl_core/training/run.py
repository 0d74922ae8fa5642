"""The moving parts of one run: model, rows, rates, best weights, clock."""

import math
import os
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import numpy as np
import torch

from tl_core.backbones.compat import default_device
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError, RunError
from tl_core.features import STATE_BUDGET, FeatureStore
from tl_core.label_task import label_task
from tl_core.layers import HEAD
from tl_core.penalties import Need, at_hand
from tl_core.plan import Phase, TransferPlan
from tl_core.runnable import require_runnable
from tl_core.runs.control import RunControl
from tl_core.runs.events import Noted, PlanEdited, Progress, RunEvent, RunStarted
from tl_core.training import adapters
from tl_core.training.activation_cache import CacheBudget
from tl_core.training.best_weights import BestWeights
from tl_core.training.checkpoints import Checkpoints, Snapshot
from tl_core.training.evaluate import evaluate
from tl_core.training.input_provider import InputProvider, Stage
from tl_core.training.inputs import Inputs
from tl_core.training.item_index import ItemIndex
from tl_core.training.model import build_model, groups_of
from tl_core.training.objectives import Objective, objective
from tl_core.training.optimisers import Freezer
from tl_core.training.penalty_set import PenaltySet
from tl_core.training.precision import Precision, lay_out


@dataclass(frozen=True)
class Teacher:
    """A finished run over the same classes: its backbone, its plan, and the folder with its best weights."""

    spec: BackboneSpec
    plan: TransferPlan
    folder: Path


@dataclass(frozen=True)
class TrainJob:
    """What to train, on what, and where to leave the weights.

    `budget` caps the seconds of training, preparation not counted. `train_rows` restricts the training items to
    some rows of the data set (a data-efficiency curve). `cache` caps the bytes that the frozen prefix's activations
    may take in memory, 0 keeps none; where they need more, `disk` caps their file in the workspace, 0 makes none.
    `publish` is the shortest time in seconds between two StepDone or Progress events. `source` (labelled) and `target`
    (its labels are never read) are second data sets for what needs them, `teacher` is a finished run.

    `resume` goes on from the last good checkpoint in the folder, if there is one. `edits` are obeyed at the steps that
    they name, as an earlier attempt, or the run that this one repeats, told them. `checkpoints` False writes none.
    """

    dataset: Dataset
    spec: BackboneSpec
    plan: TransferPlan
    seed: int
    folder: Path
    store: FeatureStore
    budget: float | None = None
    train_rows: Sequence[int] | None = None
    cache: int = 2 * 2**30
    disk: int = STATE_BUDGET
    publish: float = 0.25
    source: Dataset | None = None
    target: Dataset | None = None
    teacher: Teacher | None = None
    resume: bool = False
    edits: Sequence[PlanEdited] = ()
    checkpoints: bool = True

    @property
    def have(self) -> tuple[Need, ...]:
        """What there is beside the data set, for the penalties that need it."""
        beside = (one is not None for one in (self.source, self.target, self.teacher))
        return at_hand(self.plan, self.spec, *beside)


Made = TypeVar("Made")


class Stopped(Exception):
    """Somebody asked the run to stop."""


class Diverged(Exception):
    """The loss is no longer a number, since step `step`; `penalty` names the term that alone is none, if one is."""

    def __init__(self, step: int, penalty: str = "") -> None:
        super().__init__(step)
        self.step, self.penalty = step, penalty


class Run:
    """State that the phases share; raises a GraftError where the job cannot be run at all."""

    def __init__(self, job: TrainJob, control: RunControl) -> None:
        require_runnable(job.plan, job.spec, job.dataset, job.have)
        self.job, self.plan = job, job.plan
        self.control = control
        self._zero = monotonic()
        self._choose_rows()
        self.device = _device()
        self.model = build_model(job.spec, job.plan, len(job.dataset.classes), job.seed)
        adapters.insert(self.model, job.spec, job.plan, job.seed)
        self.model.to(self.device)
        self.plain()
        may_learn = adapters.may_learn(job.plan)
        self.freezer = Freezer(self.model, groups_of(self.model, job.spec), may_learn)
        self.label_task = label_task(job.dataset.multilabel)
        """How the head's scores answer."""
        self.best = BestWeights(self.model, job.folder, self.label_task)
        self.space = ItemIndex(job.dataset, job.spec, job.store, job.source, job.target)
        self.feed = InputProvider(job.dataset, job.spec, job.plan, job.store, self.space)
        self.feed.augment(job.seed)
        self.labels = self.space.labels.to(self.device)
        self.first: dict[str, torch.Tensor] = {}
        self.remembered: set[str] = set()
        self.touched: set[str] = set()
        """Tensors that some phase has let learn so far; no other can differ from what it was at first."""
        self.begun: dict[str, torch.Tensor] = {}
        """What a phase that ends in a blend began with."""
        self.remember({group for phase in job.plan.phases for group in phase.lr})
        self.terms = PenaltySet(self)
        self.shuffle = torch.Generator().manual_seed(job.seed)
        self.parts = 1  # pieces that a step is taken in, where memory is short
        self.fresh = True  # the head has not learned anything yet
        self.step = 0
        self.gradient = torch.zeros(())  # norm of the whole gradient at the last step, before clipping
        self.planned = [phase.epochs * self.steps_per_epoch(phase) for phase in job.plan.phases]
        self.clock: float | None = None
        self.obeyed = 0
        """Edits obeyed or refused so far."""
        self.choices: dict[str, Any] = {}
        """What was measured and decided once (plain JSON), so that a resumed run does not decide otherwise."""
        self.checkpoints = Checkpoints(job.folder)
        self._published = -math.inf

    def _choose_rows(self) -> None:
        data = self.job.dataset
        self._train = data.rows("train")
        if self.job.train_rows is not None:
            self._train = np.intersect1d(self._train, np.asarray(self.job.train_rows, dtype=np.int64))
        self._validation = data.rows("validation")
        truth = data.truth[self._train]
        if (truth == truth[:1]).all():
            raise DataError(
                "The training items all have the same labels, so there is nothing to tell apart."
                if data.multilabel
                else "The training items show fewer than two classes, so there is nothing to tell apart.",
                "Add labelled items, or change the split so that more of them are for training.",
            )

    def started(self) -> RunStarted:
        """Return the event that opens the run."""
        sizes = {name: parameter.numel() for name, parameter in self.model.named_parameters()}
        groups = {group: sum(sizes.get(n, 0) for n in names) for group, names in self.freezer.owned.items()}
        items = {"train": len(self._train), "validation": len(self._validation)}
        items["test"] = len(self.job.dataset.rows("test"))
        return RunStarted("train", self.plan, groups, str(self.device), self.job.seed, items)

    def rows(self, phase: Phase) -> np.ndarray:
        """Return the rows that a phase learns from."""
        return self._train if phase.fit_on == "train" else np.union1d(self._train, self._validation)

    def judged(self, phase: Phase) -> np.ndarray:
        """Return the rows that a phase is judged by: none where it learns from the validation items too."""
        return self._validation if phase.fit_on == "train" else self._validation[:0]

    @property
    def steps(self) -> int:
        """Return about how many steps the run takes in all."""
        return sum(self.planned)

    def steps_per_epoch(self, phase: Phase) -> int:
        """Return the optimiser steps in an epoch; a solved head takes one."""
        return 1 if phase.optimizer == "lbfgs" else objective(self, self.plan.phases.index(phase)).steps()

    def start_of(self, phase: Phase) -> int:
        """Return the first stage that a phase trains; the number of stages where it trains the head alone."""
        names = self.model.backbone.names[: self.model.stages]
        return next((index for index, name in enumerate(names) if name in phase.lr), self.model.stages)

    def inputs(self, aim: Objective, again: bool = False) -> Generator[RunEvent, None, Inputs]:
        """Return what the phase reads, and standardise a fresh head's features on the way.

        `again`: the phase has begun already, so the head keeps its standardisation and the best weights stay.
        """
        phase = aim.phase
        rows, judged, start = aim.rows(), self.judged(phase), self.start_of(phase)
        self.freezer.thaw_only(())
        inputs: Inputs | None = None
        standardise = self.fresh and not again
        # random weights that all learn have no features yet to take a mean and deviation from
        if start == self.model.stages or (standardise and self.plan.init == "pretrained" and aim.judged):
            features = self.feed.pooled(self.model, np.union1d(rows, judged))
            inputs = pooled = yield from self._told(features)
            if standardise:
                self.model.head.standardise(pooled.features[torch.from_numpy(rows)])
            pooled.settle(self.model)
        if start < self.model.stages:
            every = np.unique(np.concatenate([self.space.seen(rows), judged, self.terms.rows()]))
            folder = self.job.store.workspace.root / "cache"
            room = CacheBudget(0 if aim.raw else self.job.cache, self.job.disk, folder)
            inputs = staged = yield from self._told(self.feed.staged(self.model, start, every, room))
            if not self.terms.ready and aim.judged:
                for finding in (yield from self._told(self.terms.prepare(staged))).notes:
                    yield Noted(finding)
        self.thaw(phase, again)
        self.clock = self.now() if self.clock is None else self.clock
        assert inputs is not None
        return inputs

    def thaw(self, phase: Phase, again: bool) -> None:
        """Let the groups of a phase learn and no others; the best weights cover what may change."""
        self.freezer.thaw_only(phase.lr)
        names = [name for group in phase.lr for name in self.freezer.owned[group]]
        self.touched.update(names)
        (self.best.extend if again else self.best.watch)(names)
        state, known = self.model.state_dict(), self.begun if again else {}
        fresh = {n: state[n].clone() for n in names if phase.interpolate_weights and n in state and n not in known}
        self.begun = known | fresh

    def plain(self) -> None:
        """Let the model compute as it did when it was built: what a phase decided about numbers ends with it."""
        self.model.precision = Precision()
        if self.job.spec.modality == "image":  # the layout that convolutions are faster in, on CPUs and GPUs alike
            lay_out(self.model, Precision(channels_last=True))

    def remember(self, groups: Collection[str]) -> None:
        """Keep the present values of the backbone tensors of some groups as the ones that the run began with."""
        state = self.model.state_dict()
        self.remembered |= set(groups)
        for group in set(groups) & set(self.freezer.owned) - {HEAD}:
            for name in self.freezer.owned[group]:
                if name in state:  # a buffer that is not saved (BERT's position numbers) is in a group all the same
                    self.first.setdefault(name, state[name].clone())

    def _told(self, stages: Generator[Stage, None, Made]) -> Generator[RunEvent, None, Made]:
        try:
            while True:
                stage, done, total = next(stages)
                self.check()
                if self.due() or done == total:
                    yield Progress(stage, done, total)
        except StopIteration as end:
            return end.value
        finally:
            stages.close()

    def validate(self, phase: Phase, inputs: Inputs) -> Generator[RunEvent, None, dict[str, float]]:
        """Return loss and accuracy on the validation items, or nothing where they do not judge this phase."""
        rows = self.judged(phase)
        return (yield from self.measure(phase, inputs, rows)) if len(rows) else {}

    def measure(self, phase: Phase, inputs: Inputs, rows: np.ndarray) -> Generator[RunEvent, None, dict[str, float]]:
        """Return loss and accuracy on `rows`, in evaluation mode."""
        self.freezer.training_mode(())
        try:
            measuring = evaluate(self.model, inputs, self.labels, rows, self.at_once)
            while True:
                done = next(measuring)
                self.check()
                if done < len(rows) and self.due():
                    yield Progress("evaluation", done, len(rows))
        except StopIteration as end:
            return end.value
        finally:
            self.freezer.training_mode(phase.lr)

    def check(self) -> None:
        """Raise Stopped where somebody asked for it."""
        if self.control.stopped:
            raise Stopped

    def now(self) -> float:
        """Return the seconds that the run has worked: without pauses, and over every attempt."""
        return monotonic() - self._zero

    def set_time(self, now: float) -> None:
        """Let `now` be the time."""
        self._zero = monotonic() - now

    def randoms(self) -> dict[str, torch.Tensor]:
        """Return the state of every source of random numbers; dropout's follow from seed and step."""
        return {"shuffle": self.shuffle.get_state(), "torch": torch.get_rng_state()}

    def randomness(self, saved: Snapshot) -> None:
        """Put the sources of random numbers where a checkpoint left them."""
        states = saved.under("random")
        self.shuffle.set_state(states["shuffle"])
        torch.set_rng_state(states["torch"])

    def due(self) -> bool:
        """Whether it is time to tell something."""
        if monotonic() - self._published < self.job.publish:
            return False
        self._published = monotonic()
        return True

    def spent(self) -> bool:
        """Whether the time budget is used up."""
        budget = self.job.budget
        return budget is not None and self.clock is not None and self.now() - self.clock >= budget

    def seconds_left(self, index: int, done: int, seconds: float) -> float:
        """Return the time left, after `done` steps of phase `index` took `seconds`.

        A step of a later phase costs as much more as it trains more stages; a phase of the head alone cannot tell
        what the others will cost.
        """
        per_step = seconds / max(done, 1)
        left = per_step * max(self.planned[index] - done, 0)
        costs = [self.model.stages - self.start_of(phase) for phase in self.plan.phases]
        if costs[index]:
            later = zip(costs[index + 1 :], self.planned[index + 1 :], strict=True)
            left += per_step * sum(cost * steps for cost, steps in later) / costs[index]
        if self.job.budget is not None and self.clock is not None:
            left = min(left, max(self.job.budget - (self.now() - self.clock), 0.0))
        return left

    @property
    def at_once(self) -> int:
        """Items that go through the model at once."""
        return max(1, self.plan.batch_size // self.parts)

    def halve(self) -> None:
        """Take each step in twice as many pieces. Raises RunError where a piece is one item already."""
        if self.at_once == 1:
            raise RunError(
                "The memory is not enough for a single item.",
                "Choose a smaller backbone, train fewer layer groups, or close other programs.",
            )
        self.parts *= 2


def _device() -> torch.device:
    """Return where to train; a graphics card is made to repeat itself bit for bit."""
    device = default_device()
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    return device
