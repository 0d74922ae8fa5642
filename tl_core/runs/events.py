"""What a run says while it runs. The order is a grammar:

RunStarted, then per phase PhaseStarted and per epoch StepDone* EpochDone [CheckpointSaved], with Progress and
Noted anywhere between, and RunEnded exactly once, last: "done", "stopped" (on request, best weights kept) or
"failed".
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
    for cls in (RunStarted, Progress, PhaseStarted, StepDone, EpochDone, CheckpointSaved, Noted, RunEnded)
}
