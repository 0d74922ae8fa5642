"""During the training: progress, layer stack, numbers, curves, and the stop button."""

from collections.abc import Mapping
from time import time

import streamlit as st

from tl_core.errors import GraftError
from tl_core.layers import HEAD
from tl_core.penalties import PENALTIES
from tl_core.runs import supervisor
from tl_core.runs.store import RunState, RunStore
from tl_core.types import Modality
from ui import glossary, session, words
from ui.components.layer_stack import layer_stack, layers
from ui.components.phase_timeline import phase_timeline, segments
from ui.runs import display, lookup
from ui.runs.live_run import LiveRun, watch
from ui.train import controls, curves
from ui.train.freeze_proof import freeze_proof

STAGES = {"frozen layers": "Passing every item through the frozen layers once"}
"""Titles of stages whose name would mislead: "frozen layers: 3 of 12" reads as a count of layers."""
NO_ACCURACY = {
    "masked": "How badly the network fills in hidden parts of the items. Accuracy comes with the phase that learns "
    "the labels.",
    "contrastive": "Low when items of one label are near each other and far from the others. Accuracy comes with the "
    "head, in the next phase.",
}
"""What the loss means for objectives that have no accuracy."""


@st.dialog("Stop this training?")
def confirm_stop(run_id: str) -> None:
    """Ask for confirmation, then stop a run."""
    st.write("The best weights so far are kept and measured, so you can use the result. You can resume the run later.")
    if st.button("Stop and keep the best", type="primary", icon=":material/stop:", key="train_stop_yes"):
        supervisor.stop(lookup.store(), run_id)
        st.toast("Stopping…", icon=":material/stop:")
        st.rerun()


def watched(state: RunState) -> tuple[str, bool, bool]:
    """Return the state that the page around the fragment depends on: a change of it redraws the whole page."""
    return state.id, state.open, any(other.active for other in lookup.baselines(state.id))


def show(run_id: str) -> None:
    """Draw one run, as the body of a fragment: it reads the state of the run each time."""
    try:
        state = lookup.store().state(run_id)
    except GraftError:  # deleted meanwhile
        st.rerun()
    if watched(state) != st.session_state.get("train_watching"):
        st.rerun()
    if state.open:
        with st.container(horizontal=True, vertical_alignment="center", key="train_head"):
            display.badge(state)
            st.markdown(f"**{display.title(state)}**", width="content")
            st.space("stretch")
            controls.pause_button(state, key="train_pause")
            if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="train_stop"):
                confirm_stop(run_id)
    spec = session.find_backbone(state.task.backbone)
    draw_run(lookup.store(), state, spec.modality if spec else "image")
    baseline_line(state)


def progress(live: LiveRun, state: RunState) -> tuple[float, str]:
    """Return how far the run is, in [0, 1], and what it does now, in words."""
    if state.status == "queued":
        return 0.0, "Waiting for another run to finish. This one starts by itself."
    if state.status == "paused":
        return live.position, "Paused. Everything learned so far is kept"
    if live.progress:
        done, total = live.progress.done, live.progress.total
        stage = STAGES.get(live.progress.stage) or words.humanize(live.progress.stage)
        share = live.position if live.phase else done / max(1, total)
        return share, f"{stage}: {done:,} of {total:,}" if total > 1 else stage
    if not live.phase:
        return 0.0, "Starting: loading the backbone and the data"
    if state.stopping:
        return live.position, "Stopping… the best weights so far are kept"
    if state.paused:
        return live.position, f"{'Paused.' if live.waiting else 'Pausing…'} Everything learned so far is kept"
    if controls.is_ending(live, state):
        return (
            live.position,
            f"Phase {live.phase.index + 1}, {words.escape(live.phase.name)}: ends after this step, as requested",
        )
    epoch = min(live.phase_epochs + 1, live.phase.epochs)
    text = f"Phase {live.phase.index + 1}, {words.escape(live.phase.name)}: epoch {epoch} of {live.phase.epochs}"
    if live.step and live.step.phase == live.phase.index and live.step.seconds_left > 0:
        left = words.seconds(live.step.seconds_left)
        text += f" · {left} left" if live.step.seconds_left < 1 else f" · about {left} left"
    return live.position, text


def _rates(live: LiveRun) -> dict[str, float]:
    """Return the current learning rate of every group that learns now."""
    if live.ended or not live.phase:
        return {}
    scheduled = live.step.lr if live.step and live.step.phase == live.phase.index else {}
    return {group: scheduled.get(group, rate) for group, rate in live.rates.items()}


def draw_stack(live: LiveRun, state: RunState, modality: Modality) -> None:
    """Draw the layer stack as it is now; before the start as the first phase has it, after the end as the last."""
    plan = state.task.plan
    if plan is None:
        return
    rates = _rates(live)
    phase = plan.phases[live.phase.index] if live.phase and live.phase.index < len(plan.phases) else plan.phases[0]
    gradual = [part for part in plan.phases if part.optimizer != "lbfgs"]  # a solved head has no rate
    top = max((rate for part in gradual for rate in part.lr.values()), default=1.0)
    shown = rates or dict(phase.lr)
    groups = _groups(live, state)
    titles = words.layer_names(state.task.backbone, groups)
    drawn = layers(groups, shown, top, phase.optimizer == "lbfgs", titles)
    learning = bool(rates) and live.position < 1 and not (live.waiting or state.status == "paused")
    layer_stack(drawn, learning=learning, modality=modality, key="train_stack")


def _groups(live: LiveRun, state: RunState) -> Mapping[str, int]:
    """Return the layer groups, input side first, with their parameter counts; 0 while these are unknown."""
    if live.started:
        return live.started.groups
    spec = session.find_backbone(state.task.backbone)
    return dict.fromkeys([*(group.name for group in spec.groups), HEAD] if spec else [HEAD], 0)


def draw_run(store: RunStore, state: RunState, modality: Modality) -> None:
    """Draw the whole live part of a training."""
    live = watch(store, state.id)
    position, sentence = progress(live, state)
    if live.phase and state.open:
        st.markdown(f"**{position:.0%}** · {sentence}")
    elif state.open:
        st.progress(min(1.0, max(0.0, position)), text=sentence)
    if state.task.plan:
        index = live.phase.index if live.phase else 0
        done = live.ended is not None and live.ended.status == "done"
        index = len(state.task.plan.phases) if done else index
        parts = segments(state.task.plan.phases, index, live.phase_position, live.epochs_done, live.skipped)
        phase_timeline(parts, key="train_timeline")
    left, right = st.columns([2, 3], gap="large")
    with left:
        draw_stack(live, state, modality)
        if state.status == "running":
            controls.change(live, state)
    with right:
        _numbers(live, state)
        _curves(live)
    words.show_findings(live.notes[-3:])
    freeze_proof(live.stats, state.task.backbone)


def _numbers(live: LiveRun, state: RunState) -> None:
    step = live.step
    cells = st.columns(3)
    label, value, note = _score(live, state)
    cells[0].metric(label, value, border=True, help=note)
    speed = f"{step.items_per_second:,.0f}" if step and step.items_per_second else "–"
    cells[1].metric(
        "Items a second", speed, border=True, help="How many training items the computer handles each second."
    )
    start = live.started.at if live.started else state.created
    now = live.last if live.waiting or state.status == "paused" else time()
    end = live.ended.at if live.ended else (now if state.open else live.epochs[-1][1].at if live.epochs else start)
    duration = words.seconds(end - start - live.idle) if live.started or not state.open else "–"
    cells[2].metric("Time so far" if state.open else "Time", duration, border=True)
    if step and step.penalties:
        parts = (f"{_penalty(name)} {value:.3g}" for name, value in step.penalties.items())
        st.caption(
            words.escape(f"Penalties added to the loss at this step: {'; '.join(parts)}."), help=glossary.tip("penalty")
        )


def _score(live: LiveRun, state: RunState) -> tuple[str, str, str]:
    """Return the figure that shows best how the training goes: its label, its value, its tooltip."""
    if live.objective in NO_ACCURACY and not live.ended:
        loss = live.losses[-1][1] if live.losses and live.losses[-1][0] > live.phase_start else None
        return "Loss", "–" if loss is None else f"{loss:.3f}", NO_ACCURACY[live.objective]
    if (best := live.best) and "accuracy" in best.validation:
        label = "Best so far" if state.open else "Best validation"
        note = glossary.tip(
            "accuracy", "validation items", note="The weights with the best validation result are kept."
        )
        return label, f"{best.validation['accuracy']:.1%}", note
    value = live.epochs[-1][1].train.get("accuracy") if live.epochs else None
    note = glossary.tip("accuracy", "training items", note="What counts is measured at the end, on the test items.")
    return "Training accuracy", "–" if value is None else f"{value:.1%}", note


def _penalty(name: str) -> str:
    return PENALTIES[name].title if name in PENALTIES else words.humanize(name)


def _curves(live: LiveRun) -> None:
    plan = live.started.plan if live.started else None
    if plan and all(phase.optimizer == "lbfgs" for phase in plan.phases):
        st.caption("The head is solved in one step, so there are no curves.")
        return
    if not live.losses and not live.epochs:
        st.caption("The curves start with the first training steps.")
        return
    compare = "; compare it only within a phase" if live.mixed else ""
    st.markdown(f"**Loss**  :small[:gray[how wrong the network is: lower is better{compare}]]")
    st.echarts_chart(curves.loss(live), height=220, key="train_loss", alt=curves.loss_words(live))
    if live.objective in NO_ACCURACY and not any("accuracy" in epoch.train for _, epoch in live.epochs):
        st.caption("Accuracy starts with the phase that learns the labels.")
        return
    st.markdown("**Accuracy**  :small[:gray[share of right answers after each epoch: higher is better]]")
    st.echarts_chart(curves.accuracy(live), height=220, key="train_accuracy", alt=curves.accuracy_words(live))


def baseline_line(state: RunState) -> None:
    """Show the from-scratch baseline of this run in one line."""
    for other in lookup.baselines(state.id)[:1]:
        with st.container(horizontal=True, vertical_alignment="center", key="train_scratch_line"):
            display.badge(other)
            live = watch(lookup.store(), other.id)
            done = f", {live.position:.0%}" if other.status == "running" else ""
            st.caption(f"The same network from scratch, at most {other.task.budget or 0:.0f} s{done}", width="content")
