"""The events of a run, and their order:

    RunStarted (PhaseSkipped | PhaseStarted (StepDone* EpochDone [LayerStats] [CheckpointSaved])*)* RunEnded

A phase that its own rule skips has no PhaseStarted, only PhaseSkipped and a Noted that says why. The last epoch of a
phase always has LayerStats. Progress, PlanEdited, RunPaused, RunResumed and Noted may come anywhere
in between. RunEnded comes exactly once, last: "done", "stopped" (on request, best weights kept) or "failed".

A run that ended early can be resumed from its last checkpoint. Its log then has a RunResumed where the new attempt
begins, and the attempt ends with its own RunEnded. The work between that checkpoint and RunResumed was lost, and is
done again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time
from typing import Literal

from tl_core.plan import TransferPlan
from tl_core.types import Finding


@dataclass(frozen=True)
class RunEvent:
    """Something that happened; `at` is in seconds since 1970."""

    at: float = field(default_factory=time, kw_only=True)


@dataclass(frozen=True)
class RunStarted(RunEvent):
    """The data and the model are ready. `groups` maps each layer group, input side first, to its parameter count."""

    kind: str
    plan: TransferPlan | None
    groups: Mapping[str, int]
    device: str
    seed: int
    items: Mapping[str, int]


@dataclass(frozen=True)
class Progress(RunEvent):
    """Progress of a stage without epochs: reading, the probe's forward pass, evaluation."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class PhaseStarted(RunEvent):
    """A phase begins. `lr` maps the trainable groups to their base learning rates; all other groups are frozen."""

    index: int
    name: str
    epochs: int
    lr: Mapping[str, float]
    steps: int


@dataclass(frozen=True)
class PhaseSkipped(RunEvent):
    """A phase with `only_if_better` is not trained, because the last trained phase brought no better score."""

    index: int
    name: str


@dataclass(frozen=True)
class StepDone(RunEvent):
    """One training step, published a few times a second. `step`, `steps` (about) and `seconds_left` are of the run."""

    phase: int
    step: int
    steps: int
    loss: float
    lr: Mapping[str, float]
    items_per_second: float
    seconds_left: float
    penalties: Mapping[str, float] = field(default_factory=dict)
    """The value of each penalty term at this step, its strength included."""


@dataclass(frozen=True)
class EpochDone(RunEvent):
    """Metrics after an epoch of `phase`, each with "loss" and "accuracy"; `best` if validation improved."""

    phase: int
    epoch: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float
    best: bool


@dataclass(frozen=True)
class GroupStats:
    """One layer group over one epoch, and since the start of the run.

    At the epoch's last step, `gradient` is the gradient norm, and `update` the norm of the step over the norm of the
    weights; both are 0 for a frozen group. `drift` is the norm of (weights - initial weights) over the norm of the
    initial weights; `norm_drift` is the same for the running statistics of normalisation layers (0 without any).
    `moved` says whether any bit of the group has changed in this phase.
    """

    gradient: float
    update: float
    drift: float
    norm_drift: float
    frozen: bool
    moved: bool


@dataclass(frozen=True)
class LayerStats(RunEvent):
    """What each layer group did in an epoch: the proof of freezing. If a frozen group moved, a Noted event warns."""

    phase: int
    epoch: int
    groups: Mapping[str, GroupStats]


@dataclass(frozen=True)
class PlanEdited(RunEvent):
    """A person changed the running phase; in effect before step `step` (counted over the run, from 0).

    "rate": `group` learns at `rate` from now on, and thaws if it was frozen; "freeze": it no longer learns; "skip":
    the phase ends here. `number` counts the requests to this run, from 1.
    """

    number: int
    step: int
    phase: int
    action: Literal["rate", "freeze", "skip"]
    group: str = ""
    rate: float | None = None


@dataclass(frozen=True)
class RunPaused(RunEvent):
    """The run waits, its state on disk, until it is resumed."""

    step: int


@dataclass(frozen=True)
class RunResumed(RunEvent):
    """The run continues after `step` steps: after a pause, or (`restarted`) in a new process from a checkpoint."""

    step: int
    phase: int
    epoch: int
    restarted: bool


@dataclass(frozen=True)
class CheckpointSaved(RunEvent):
    """The best weights so far are on disk; `path` is relative to the run's folder."""

    path: str
    score: float


@dataclass(frozen=True)
class Noted(RunEvent):
    """Something a person should know."""

    finding: Finding


@dataclass(frozen=True)
class RunEnded(RunEvent):
    """The end, exactly once. `reason` is a sentence; `hint` says what to do after a failure."""

    status: Literal["done", "stopped", "failed"]
    reason: str
    hint: str = ""


EVENTS = {
    cls.__name__: cls
    for cls in (
        *(RunStarted, Progress, PhaseStarted, PhaseSkipped, StepDone, EpochDone, LayerStats, CheckpointSaved),
        *(PlanEdited, RunPaused, RunResumed, Noted, RunEnded),
    )
}
