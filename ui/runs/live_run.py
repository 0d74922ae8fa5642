"""A run as a page follows it: its events, read by cursor and kept as plain numbers."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import streamlit as st

from tl_core.runs.events import (
    EpochDone,
    LayerStats,
    Noted,
    PhaseSkipped,
    PhaseStarted,
    PlanEdited,
    Progress,
    RunEnded,
    RunEvent,
    RunPaused,
    RunResumed,
    RunStarted,
    StepDone,
)
from tl_core.runs.history import describe_event
from tl_core.runs.store import RunStore
from tl_core.types import Finding
from ui import words

POINTS = 500
"""Losses that are kept for the chart, at most."""
_KEY = "live_runs"


@dataclass
class LiveRun:
    """The events of a run so far, without the epochs that an interruption lost.

    `losses` holds (step, loss) pairs, thinned to at most POINTS; `epochs` holds (step, event); `boundaries` holds the
    first step, first epoch and name of each phase that has begun, by its index in the plan; `skipped` holds the
    indices of the phases that the run has skipped. `rates` holds the base learning rates of the groups that learn
    now, with changes by hand. `waiting` is true while the run is paused; `idle` counts the seconds in which no
    process worked on it; `last` is the time of the last event.
    """

    cursor: int = 0
    started: RunStarted | None = None
    phase: PhaseStarted | None = None
    step: StepDone | None = None
    progress: Progress | None = None
    ended: RunEnded | None = None
    phase_start: int = 0
    phase_epochs: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    epochs: list[tuple[int, EpochDone]] = field(default_factory=list)
    boundaries: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    notes: list[Finding] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    stats: LayerStats | None = None
    waiting: bool = False
    idle: float = 0.0
    _edits: set[int] = field(default_factory=set)
    last: float = 0.0
    _stride: int = 1
    _seen: int = 0

    def take(self, event: RunEvent) -> None:
        """Add one event. The handler is found by name, because a reloaded module defines its classes anew."""
        handler = getattr(self, f"_on_{type(event).__name__}", None)
        if handler:
            handler(event)
        self.last = event.at

    def _on_RunStarted(self, event: RunStarted) -> None:
        if self.started:  # interrupted before anything was saved: the run starts from the beginning
            restarted = LiveRun(
                self.cursor, notes=self.notes, idle=self.idle + event.at - self.last, _edits=self._edits
            )
            self.__dict__.update(vars(restarted), started=self.started)
        self.started = self.started or event

    def _on_Progress(self, event: Progress) -> None:
        self.progress = event

    def _on_PhaseStarted(self, event: PhaseStarted) -> None:
        self.phase, self.progress, self.rates = event, None, dict(event.lr)
        if event.index not in self.boundaries:
            self.boundaries[event.index] = (self.step.step if self.step else 0, len(self.epochs), event.name)
        self._back_to(event.index)

    def _on_PhaseSkipped(self, event: PhaseSkipped) -> None:
        self.skipped.add(event.index)

    def _back_to(self, index: int) -> None:
        """Make phase `index` the current one; it may have begun before an interruption."""
        self.boundaries = {phase: start for phase, start in self.boundaries.items() if phase <= index}
        self.skipped = {phase for phase in self.skipped if phase < index}
        if self.boundaries:
            self.phase_start, before, _ = self.boundaries[max(self.boundaries)]
            self.phase_epochs = len(self.epochs) - before

    def _on_StepDone(self, event: StepDone) -> None:
        self.step, self.progress = event, None
        if self._seen % self._stride == 0:
            self.losses.append((event.step, event.loss))
        self._seen += 1
        if len(self.losses) > POINTS:
            self.losses, self._stride = self.losses[::2], self._stride * 2

    def _on_EpochDone(self, event: EpochDone) -> None:
        self.progress = None
        self.phase_epochs += 1
        self.epochs.append((self.step.step if self.step else len(self.epochs) + 1, event))

    def _on_LayerStats(self, event: LayerStats) -> None:
        self.stats = event

    def _on_PlanEdited(self, event: PlanEdited) -> None:
        if event.action == "rate" and event.rate is not None:
            self.rates[event.group] = event.rate
        elif event.action == "freeze":
            self.rates.pop(event.group, None)
        if event.number not in self._edits:  # after an interruption the same edit arrives again
            self._edits.add(event.number)
            started = self.started
            titles = words.layer_names(started.plan.backbone, started.groups) if started and started.plan else {}
            event = replace(event, group=titles.get(event.group, event.group))
            self.notes.append(Finding("info", "edited", describe_event(event)))

    def _on_RunPaused(self, event: RunPaused) -> None:
        self.waiting = True
        self.notes.append(Finding("info", "paused", describe_event(event)))

    def _on_RunResumed(self, event: RunResumed) -> None:
        self.waiting, self.ended = False, None
        self.idle += event.at - self.last
        self.notes.append(Finding("info", "resumed", describe_event(event)))
        if not event.restarted:
            return
        self.progress = None
        self.losses = [point for point in self.losses if point[0] <= event.step]
        kept = [pair for pair in self.epochs if (pair[1].phase, pair[1].epoch) < (event.phase, event.epoch)]
        self.epochs = [(min(step, event.step), epoch) for step, epoch in kept]
        if self.step and self.step.step > event.step:
            self.step = replace(self.step, step=event.step)
        if self.stats and (self.stats.phase, self.stats.epoch) >= (event.phase, event.epoch):
            self.stats = None
        self._back_to(event.phase)

    def _on_Noted(self, event: Noted) -> None:
        self.notes.append(event.finding)

    def _on_RunEnded(self, event: RunEnded) -> None:
        self.ended, self.progress, self.waiting = event, None, False

    @property
    def phase_position(self) -> float:
        """Progress of the current phase, in [0, 1]."""
        if not self.phase or (self.ended and self.ended.status == "done"):
            return 1.0 if self.phase else 0.0
        by_step = (self.step.step - self.phase_start) / max(1, self.phase.steps) if self.step else 0.0
        return min(1.0, max(by_step, self.phase_epochs / max(1, self.phase.epochs)))

    @property
    def position(self) -> float:
        """Progress of the whole training, in [0, 1]."""
        if self.ended and self.ended.status == "done":
            return 1.0
        return min(1.0, self.step.step / max(1, self.step.steps)) if self.step else 0.0

    @property
    def epochs_planned(self) -> int:
        """The most epochs that the run can have: those done and those left. A phase that solves the head has one."""
        plan = self.started.plan if self.started else None
        if plan is None or self.ended:
            return len(self.epochs)
        at = self.phase.index if self.phase else 0
        ahead = [phase for index, phase in enumerate(plan.phases) if index >= at and index not in self.skipped]
        left = [1 if phase.optimizer == "lbfgs" else phase.epochs for phase in ahead]
        return len(self.epochs) - self.phase_epochs + max(left[0], self.phase_epochs) + sum(left[1:])

    @property
    def epochs_done(self) -> dict[int, int]:
        """The number of finished epochs of each phase that has begun, by the index of the phase."""
        starts = [*(before for _, before, _ in self.boundaries.values()), len(self.epochs)]
        return {index: after - before for index, (before, after) in zip(self.boundaries, pairwise(starts), strict=True)}

    @property
    def best(self) -> EpochDone | None:
        """The epoch with the best validation result so far; its weights are kept."""
        return next((event for _, event in reversed(self.epochs) if event.best), None)

    @property
    def mixed(self) -> bool:
        """Whether the phases have different objectives, so that their losses cannot be compared."""
        plan = self.started.plan if self.started else None
        return plan is not None and len({phase.objective for phase in plan.phases}) > 1

    @property
    def objective(self) -> str:
        """The objective of the current phase: "labels", "masked" or "contrastive"."""
        plan = self.started.plan if self.started else None
        if plan is None or self.phase is None or self.phase.index >= len(plan.phases):
            return "labels"
        return plan.phases[self.phase.index].objective


def watch(store: RunStore, run_id: str) -> LiveRun:
    """Return the run as far as it is, reading only the events that are new to this tab."""
    followed: dict[str, LiveRun] = st.session_state.setdefault(_KEY, {})
    live = followed.setdefault(run_id, LiveRun())
    events, live.cursor = store.events(run_id, live.cursor)
    for event in events:
        live.take(event)
    return live
