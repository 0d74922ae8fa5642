"""The small parts of a run that only keep count: time, steps, random numbers, micro-batches, head, edited plan.

Each gives its own state to a checkpoint (`state`) and takes it back (`load`).
"""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

import numpy as np
import torch

from tl_core.errors import RunError
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.control import RunControl
from tl_core.runs.events import Progress, RunEvent
from tl_core.types import WorkDone, dump, load

T = TypeVar("T")
Events = Generator[RunEvent, None, None]


class Stopped(Exception):
    """Somebody asked the run to stop."""


class Diverged(Exception):
    """The loss is no longer a finite number, since step `step`.

    `penalty` names the penalty term that is not finite by itself; "" where it is the objective's own loss.
    """

    def __init__(self, step: int, penalty: str = "") -> None:
        super().__init__(step)
        self.step, self.penalty = step, penalty


def raise_if_stopped(control: RunControl) -> None:
    """Raise Stopped where somebody asked the run to stop."""
    if control.stopped:
        raise Stopped


class Clock:
    """Seconds that a run has worked: over every attempt, without pauses. Also says when an event is due."""

    def __init__(self, budget: float | None, publish: float) -> None:
        """Take the seconds that training may last (None: no limit), and the least seconds between two events."""
        self._budget, self._publish = budget, publish
        self._zero = monotonic()
        self._published = -math.inf
        self.training_since: float | None = None
        """When training began, after the first preparation; the budget counts from there."""

    def now(self) -> float:
        """Return the seconds worked so far."""
        return monotonic() - self._zero

    def set(self, now: float) -> None:
        """Let `now` be the time."""
        self._zero = monotonic() - now

    def start_training(self) -> None:
        """Start to count the budget, unless it counts already."""
        if self.training_since is None:
            self.training_since = self.now()

    def budget_left(self) -> float:
        """Return the seconds left of the budget, infinity where there is no limit or training has not begun."""
        if self._budget is None or self.training_since is None:
            return math.inf
        return max(self._budget - (self.now() - self.training_since), 0.0)

    def out_of_time(self) -> bool:
        """Return whether the budget is used up."""
        return self.budget_left() == 0.0

    def due(self) -> bool:
        """Return whether enough time has passed since the last event; if so, count from now."""
        if monotonic() - self._published < self._publish:
            return False
        self._published = monotonic()
        return True

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"now": self.now(), "training_since": self.training_since}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.set(state["now"])
        self.training_since = state["training_since"]


class StepCounter:
    """Steps taken so far in the run, and for each phase the planned steps (once it has ended: those it took)."""

    def __init__(self, planned: Sequence[int]) -> None:
        self.step = 0
        self.planned = list(planned)
        self.skipped: set[int] = set()
        """The phases that were skipped because the last trained one brought no better score."""

    @property
    def total(self) -> int:
        """About how many steps the run takes in all."""
        return sum(self.planned)

    def skip(self, index: int) -> None:
        """Note that phase `index` is skipped by its own rule."""
        self.planned[index] = 0
        self.skipped.add(index)

    def seconds_left(self, index: int, done: int, seconds: float, stages: Sequence[int]) -> float:
        """Return the time left, after `done` steps of phase `index` took `seconds`.

        `stages` are the backbone stages that each phase trains. A step of a later phase is taken to cost in proportion
        to them. A phase of the head alone trains none, so it says nothing about the cost of the others.
        """
        per_step = seconds / max(done, 1)
        left = per_step * max(self.planned[index] - done, 0)
        if stages[index]:
            later = zip(stages[index + 1 :], self.planned[index + 1 :], strict=True)
            left += per_step * sum(trained * steps for trained, steps in later) / stages[index]
        return left

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"step": self.step, "planned": self.planned, "skipped": sorted(self.skipped)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.step, self.planned = state["step"], list(state["planned"])
        # checkpoints before `skipped` was kept tell a skipped phase by its steps alone
        self.skipped = set(state.get("skipped", (i for i, steps in enumerate(self.planned) if not steps)))


class RandomState:
    """Every source of random numbers: a generator for the order of batches, and torch's own inside a step."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.shuffle = torch.Generator().manual_seed(seed)

    def seed_step(self, step: int) -> None:
        """Seed torch for one step (dropout, mixup): whoever reads the events may draw numbers in between."""
        torch.manual_seed(self.seed * 1_000_003 + step)

    def state(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint keeps."""
        return {"shuffle": self.shuffle.get_state(), "torch": torch.get_rng_state()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` returned."""
        self.shuffle.set_state(state["shuffle"])
        torch.set_rng_state(state["torch"])


class MicroBatches:
    """How many micro-batches a step is split into: one, until memory runs out."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.count = 1

    @property
    def size(self) -> int:
        """Items that go through the model at once."""
        return max(1, self._batch_size // self.count)

    def state(self) -> int:
        """Return what a checkpoint keeps."""
        return self.count

    def load(self, state: int) -> None:
        """Take back what `state` returned."""
        self.count = state

    def split(self, rows_B: np.ndarray) -> list[np.ndarray]:
        """Return a batch in micro-batches."""
        return np.array_split(rows_B, min(self.count, len(rows_B)))

    def halve(self) -> None:
        """Halve the items that go through at once. Raises RunError where that is a single item already."""
        if self.size == 1:
            raise RunError(
                "There is not enough memory for a single item.",
                "Choose a smaller backbone, train fewer layer groups, or close other programs.",
            )
        self.count *= 2


class HeadState:
    """What a run knows about its head."""

    def __init__(self) -> None:
        self.untrained = True
        """Whether the head has not learned anything yet in this run."""

    def state(self) -> bool:
        """Return what a checkpoint keeps."""
        return self.untrained

    def load(self, state: bool) -> None:
        """Take back what `state` returned."""
        self.untrained = state


class EditedPlan:
    """The plan with the edits that were made while it ran."""

    def __init__(self, plan: TransferPlan) -> None:
        self.plan = plan
        self.edits_applied = 0
        """The number of the last edit that was applied or refused."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"phases": [dump(phase) for phase in self.plan.phases], "edits_applied": self.edits_applied}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.plan = replace(self.plan, phases=tuple(load(Phase, phase) for phase in state["phases"]))
        self.edits_applied = state["edits_applied"]


def as_progress(
    work: Generator[WorkDone, None, T], control: RunControl, clock: Clock, tell_end: bool = True
) -> Generator[RunEvent, None, T]:
    """Pass on what `work` says it has done as Progress events, when they are due; return what it returns.

    That all is done is told even if no event is due, or with `tell_end` False not at all. Raises Stopped where somebody
    asked the run to stop.
    """
    try:
        while True:
            stage, done, total = next(work)
            raise_if_stopped(control)
            if done == total and not tell_end:
                continue
            if clock.due() or done == total:
                yield Progress(stage, done, total)
    except StopIteration as end:
        return end.value
    finally:
        work.close()
