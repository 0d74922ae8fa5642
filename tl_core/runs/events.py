"""What a run says while it runs. The order is a grammar:

RunStarted, then per phase PhaseStarted and per epoch StepDone* EpochDone [LayerStats] [CheckpointSaved], the last epoch
of a phase always with LayerStats, with Progress, PlanEdited, RunPaused, RunResumed and Noted anywhere between, and
RunEnded exactly once, last: "done", "stopped" (on request, best weights kept) or "failed".

A run that was interrupted or stopped, or failed where it can go on, is gone on with from its last checkpoint: its log
then has RunResumed where the new attempt begins, and the attempt ends with a RunEnded of its own. What the log says
after that checkpoint and before RunResumed was lost and is done again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time
from typing import Literal

from tl_core.plan import TransferPlan
from tl_core.types import Finding


@dataclass(frozen=True)
class RunEvent:
    """Something that happened; `at` is seconds since the epoch."""

    at: float = field(default_factory=time, kw_only=True)


@dataclass(frozen=True)
class RunStarted(RunEvent):
    """The run has its data and its model. `groups` maps each layer group, input side first, to its parameters."""

    kind: str
    plan: TransferPlan | None
    groups: Mapping[str, int]
    device: str
    seed: int
    items: Mapping[str, int]


@dataclass(frozen=True)
class Progress(RunEvent):
    """A stage without epochs goes on: reading, the probe's forward pass, evaluation."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class PhaseStarted(RunEvent):
    """A phase begins; `lr` holds the trainable groups with their base rates, every other group is frozen."""

    index: int
    name: str
    epochs: int
    lr: Mapping[str, float]
    steps: int


@dataclass(frozen=True)
class StepDone(RunEvent):
    """Published by time, not per step. `step` counts over the whole run, of about `steps`; `seconds_left` too."""

    phase: int
    step: int
    steps: int
    loss: float
    lr: Mapping[str, float]
    items_per_second: float
    seconds_left: float
    penalties: Mapping[str, float] = field(default_factory=dict)
    """Size of each penalty term, its strength included, at the last step."""


@dataclass(frozen=True)
class EpochDone(RunEvent):
    """Metrics after an epoch of `phase`: each has "loss" and "accuracy"; `best` where validation improved."""

    phase: int
    epoch: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float
    best: bool


@dataclass(frozen=True)
class GroupStats:
    """One layer group over one epoch, and since the start of the run.

    `gradient` is the norm of its gradient and `update` that of the step over that of the weights, both at the
    epoch's last step, 0 where it is frozen. `drift` is the norm of (weights - first weights) over that of the first
    weights. `norm_drift` is the same of the running statistics of its normalisation layers (0 without any).
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
    """Freeze proof: what each layer group did in an epoch. A frozen group that moved also raises an alarm (Noted)."""

    phase: int
    epoch: int
    groups: Mapping[str, GroupStats]


@dataclass(frozen=True)
class PlanEdited(RunEvent):
    """Somebody changed the phase while it ran; obeyed before step `step` (counted over the run, from 0).

    "rate": `group` learns at `rate` from now on, and thaws where it was frozen; "freeze": it does not learn any
    more; "skip": the phase ends here. `number` is the request's place among all requests to this run, from 1.
    """

    number: int
    step: int
    phase: int
    action: Literal["rate", "freeze", "skip"]
    group: str = ""
    rate: float | None = None


@dataclass(frozen=True)
class RunPaused(RunEvent):
    """The run waits, its state on disk, until it is asked to go on."""

    step: int


@dataclass(frozen=True)
class RunResumed(RunEvent):
    """The run goes on after `step` steps: after a pause, or in a new process from the checkpoint of that step."""

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
        *(RunStarted, Progress, PhaseStarted, StepDone, EpochDone, LayerStats, CheckpointSaved, PlanEdited),
        *(RunPaused, RunResumed, Noted, RunEnded),
    )
}
