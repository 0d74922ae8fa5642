"""A run as a page sees it: its events read by cursor, kept as plain numbers, and drawn while it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from time import time

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.layers import HEAD
from tl_core.penalties import PENALTIES
from tl_core.runs.events import (
    EpochDone,
    LayerStats,
    Noted,
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
from tl_core.runs.history import in_words
from tl_core.runs.store import RunState, RunStore
from tl_core.types import Finding, Modality
from ui import charts, steering, words
from ui.components.layer_stack import layer_stack, layers
from ui.components.phase_timeline import phase_timeline, segments
from ui.proof import freeze_proof

POINTS = 500
_KEY = "live_runs"
STAGES = {"frozen layers": "Showing every item to the frozen layers once"}
"""What a stage is called where its own name would mislead: a count behind "frozen layers" reads as one of layers."""
NO_ACCURACY = {
    "masked": "How badly it fills in what is hidden. There is nothing to be right about before it learns the labels.",
    "contrastive": "How far items of one label are from each other, and how near to others. Accuracy comes with the "
    "head, in the next phase.",
}
"""Objectives without right answers, and what their loss means."""


@dataclass
class LiveRun:
    """What a run has said so far, without what an interruption lost.

    `losses` holds (step, loss) pairs, thinned to at most POINTS; `rates` the base rates of what learns now, with what
    was changed by hand; `waiting` while it is paused; `idle` the seconds in which nobody worked at it; `last` when it
    last said something.
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
    boundaries: list[tuple[int, int, str]] = field(default_factory=list)
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
        """Add one event. Matches by name, because a reloaded module has classes of its own."""
        handler = getattr(self, f"_on_{type(event).__name__}", None)
        if handler:
            handler(event)
        self.last = event.at

    def _on_RunStarted(self, event: RunStarted) -> None:
        if self.started:  # nothing had been saved when it was interrupted: it begins again
            fresh = LiveRun(self.cursor, notes=self.notes, idle=self.idle + event.at - self.last, _edits=self._edits)
            self.__dict__.update(vars(fresh), started=self.started)
        self.started = self.started or event

    def _on_Progress(self, event: Progress) -> None:
        self.progress = event

    def _on_PhaseStarted(self, event: PhaseStarted) -> None:
        self.phase, self.progress, self.rates = event, None, dict(event.lr)
        if event.index >= len(self.boundaries):
            self.boundaries.append((self.step.step if self.step else 0, len(self.epochs), event.name))
        self._back_to(event.index)

    def _back_to(self, index: int) -> None:
        """Stand in phase `index`, which may have begun before an interruption."""
        del self.boundaries[index + 1 :]
        if self.boundaries:
            self.phase_start, before, _ = self.boundaries[-1]
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
        if event.number not in self._edits:  # after an interruption it is obeyed, and told, again
            self._edits.add(event.number)
            started = self.started
            told = words.layer_names(started.plan.backbone, started.groups) if started and started.plan else {}
            event = replace(event, group=told.get(event.group, event.group))
            self.notes.append(Finding("info", "edited", in_words(event)))

    def _on_RunPaused(self, event: RunPaused) -> None:
        self.waiting = True
        self.notes.append(Finding("info", "paused", in_words(event)))

    def _on_RunResumed(self, event: RunResumed) -> None:
        self.waiting, self.ended = False, None
        self.idle += event.at - self.last
        self.notes.append(Finding("info", "resumed", in_words(event)))
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
        """How far the running phase is, in [0, 1]."""
        if not self.phase or (self.ended and self.ended.status == "done"):
            return 1.0 if self.phase else 0.0
        by_step = (self.step.step - self.phase_start) / max(1, self.phase.steps) if self.step else 0.0
        return min(1.0, max(by_step, self.phase_epochs / max(1, self.phase.epochs)))

    @property
    def position(self) -> float:
        """How far the training is, in [0, 1]."""
        if self.ended and self.ended.status == "done":
            return 1.0
        return min(1.0, self.step.step / max(1, self.step.steps)) if self.step else 0.0

    @property
    def epochs_planned(self) -> int:
        """How many epochs there are at most, from what was done and what is left; a solved phase has one."""
        plan = self.started.plan if self.started else None
        if plan is None or self.ended:
            return len(self.epochs)
        at = self.phase.index if self.phase else 0
        left = [1 if phase.optimizer == "lbfgs" else phase.epochs for phase in plan.phases[at:]]
        return len(self.epochs) - self.phase_epochs + max(left[0], self.phase_epochs) + sum(left[1:])

    @property
    def epochs_done(self) -> list[int]:
        """How many epochs each phase has had that has begun."""
        starts = [*(before for _, before, _ in self.boundaries), len(self.epochs)]
        return [after - before for before, after in pairwise(starts)]

    @property
    def best(self) -> EpochDone | None:
        """The epoch whose weights are kept."""
        return next((event for _, event in reversed(self.epochs) if event.best), None)

    @property
    def mixed(self) -> bool:
        """Whether its phases learn different things, so that their losses do not compare."""
        plan = self.started.plan if self.started else None
        return plan is not None and len({phase.objective for phase in plan.phases}) > 1

    @property
    def aim(self) -> str:
        """What the phase that runs learns ("labels", "masked", "contrastive")."""
        plan = self.started.plan if self.started else None
        known = plan is not None and self.phase is not None and self.phase.index < len(plan.phases)
        return plan.phases[self.phase.index].objective if known and plan and self.phase else "labels"


def watch(store: RunStore, run_id: str) -> LiveRun:
    """Return what the run has said, reading only what is new since this tab last looked."""
    known: dict[str, LiveRun] = st.session_state.setdefault(_KEY, {})
    live = known.setdefault(run_id, LiveRun())
    events, live.cursor = store.events(run_id, live.cursor)
    for event in events:
        live.take(event)
    return live


def doing(live: LiveRun, state: RunState) -> tuple[float, str]:
    """Return how far the run is and what it does now, in words."""
    if state.status == "queued":
        return 0.0, "Waiting for its turn. Another run is at work; this one starts by itself."
    if state.status == "paused":
        return live.position, "Paused. Everything learned so far is kept"
    if live.progress:
        done, total = live.progress.done, live.progress.total
        stage = STAGES.get(live.progress.stage) or words.sentence(live.progress.stage)
        share = live.position if live.phase else done / max(1, total)
        return share, f"{stage}: {done:,} of {total:,}" if total > 1 else stage
    if not live.phase:
        return 0.0, "Starting: loading the backbone and the data"
    if state.stopping:
        return live.position, "Stopping… the best weights so far are kept"
    if state.paused:
        return live.position, f"{'Paused.' if live.waiting else 'Pausing…'} Everything learned so far is kept"
    if steering.ends(live, state):
        return live.position, f"Phase {live.phase.index + 1}, {live.phase.name}: ends after this step, as you asked"
    epoch = min(live.phase_epochs + 1, live.phase.epochs)
    text = f"Phase {live.phase.index + 1}, {live.phase.name}: epoch {epoch} of {live.phase.epochs}"
    if live.step and live.step.phase == live.phase.index and live.step.seconds_left > 0:
        left = words.seconds(live.step.seconds_left)
        text += f" · {left} left" if live.step.seconds_left < 1 else f" · about {left} left"
    return live.position, text


def _rates(live: LiveRun) -> dict[str, float]:
    """Return the current rate of every group that learns now."""
    if live.ended or not live.phase:
        return {}
    moved = live.step.lr if live.step and live.step.phase == live.phase.index else {}
    return {group: moved.get(group, rate) for group, rate in live.rates.items()}


def draw_stack(live: LiveRun, state: RunState, modality: Modality) -> None:
    """Draw the layer stack as it stands now; before the start and after the end, by the plan's last phase."""
    plan = state.task.plan
    if plan is None:
        return
    rates = _rates(live)
    phase = plan.phases[live.phase.index] if live.phase and live.phase.index < len(plan.phases) else plan.phases[0]
    gradual = [part for part in plan.phases if part.optimizer != "lbfgs"]  # a solved head has no rate
    top = max((rate for part in gradual for rate in part.lr.values()), default=1.0)
    shown = rates or dict(phase.lr)
    groups = _groups(live, state)
    told = words.layer_names(state.task.backbone, groups)
    drawn = layers(groups, shown, top, phase.optimizer == "lbfgs", told)
    learning = bool(rates) and live.position < 1 and not (live.waiting or state.status == "paused")
    layer_stack(drawn, learning=learning, modality=modality, key="train_stack")


def _groups(live: LiveRun, state: RunState) -> Mapping[str, int]:
    """Return the layer groups, input side first, with their parameters; 0 while these are not known."""
    if live.started:
        return live.started.groups
    name = state.task.backbone
    known = [group.name for group in BACKBONES[name].groups] if name in BACKBONES else []
    return dict.fromkeys([*known, HEAD], 0)


def draw_run(store: RunStore, state: RunState, modality: Modality) -> None:
    """Draw everything that is live about a training run."""
    live = watch(store, state.id)
    position, sentence = doing(live, state)
    if live.phase and state.open:
        st.markdown(f"**{position:.0%}** · {sentence}")
    elif state.open:
        st.progress(min(1.0, max(0.0, position)), text=sentence)
    if state.task.plan:
        index = live.phase.index if live.phase else 0
        done = live.ended is not None and live.ended.status == "done"
        index = len(state.task.plan.phases) if done else index
        parts = segments(state.task.plan.phases, index, live.phase_position, live.epochs_done)
        phase_timeline(parts, key="train_timeline")
    left, right = st.columns([2, 3], gap="large")
    with left:
        draw_stack(live, state, modality)
        if state.status == "running":
            steering.change(live, state)
    with right:
        _numbers(live, state)
        _curves(live)
    words.findings(live.notes[-3:])
    freeze_proof(live.stats, state.task.backbone)


def _numbers(live: LiveRun, state: RunState) -> None:
    step = live.step
    cells = st.columns(3)
    label, value, note = _score(live, state)
    cells[0].metric(label, value, border=True, help=note)
    speed = f"{step.items_per_second:,.0f}" if step and step.items_per_second else "–"
    cells[1].metric("Items a second", speed, border=True, help="How many items the computer learns from each second.")
    start = live.started.at if live.started else state.created
    now = live.last if live.waiting or state.status == "paused" else time()
    end = live.ended.at if live.ended else (now if state.open else live.epochs[-1][1].at if live.epochs else start)
    took = words.seconds(end - start - live.idle) if live.started or not state.open else "–"
    cells[2].metric("Time so far" if state.open else "Time", took, border=True)
    if step and step.penalties:
        parts = (f"{_penalty(name)}: {value:.3g}" for name, value in step.penalties.items())
        st.caption(words.tell(f"Added to the loss at this step. {'; '.join(parts)}."))


def _score(live: LiveRun, state: RunState) -> tuple[str, str, str]:
    """Return what tells best how it goes, its value, and what it means."""
    if live.aim in NO_ACCURACY and not live.ended:
        loss = live.losses[-1][1] if live.losses and live.losses[-1][0] > live.phase_start else None
        return "Loss", "–" if loss is None else f"{loss:.3f}", NO_ACCURACY[live.aim]
    if (best := live.best) and "accuracy" in best.validation:
        label = "Best so far" if state.open else "Best validation"
        note = "Accuracy on the validation items, from which the training never learns. The best weights are kept."
        return label, f"{best.validation['accuracy']:.1%}", note
    value = live.epochs[-1][1].train.get("accuracy") if live.epochs else None
    note = "On the items that it learns from; what counts is measured at the end."
    return "Training accuracy", "–" if value is None else f"{value:.1%}", note


def _penalty(name: str) -> str:
    return PENALTIES[name].title if name in PENALTIES else words.sentence(name)


def _curves(live: LiveRun) -> None:
    plan = live.started.plan if live.started else None
    if plan and all(phase.optimizer == "lbfgs" for phase in plan.phases):
        st.caption("The head is found in one go, not step by step, so there are no curves to watch.")
        return
    if not live.losses and not live.epochs:
        st.caption("The curves begin with the first steps of training.")
        return
    compare = "; compare it within a phase only" if live.mixed else ""
    st.markdown(f"**Loss**  :small[:gray[how wrong the network is; lower is better{compare}]]")
    st.echarts_chart(charts.loss(live), height=220, key="train_loss", alt=charts.loss_words(live))
    if live.aim in NO_ACCURACY and not any("accuracy" in epoch.train for _, epoch in live.epochs):
        st.caption("Accuracy begins with the phase that learns the labels.")
        return
    st.markdown("**Accuracy**  :small[:gray[share of right answers after each epoch; higher is better]]")
    st.echarts_chart(charts.accuracy(live), height=220, key="train_accuracy", alt=charts.accuracy_words(live))
