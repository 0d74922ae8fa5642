"""Controls of a running training: pause, resume, change the current phase."""

import streamlit as st

from tl_core.runs.store import RunState
from ui import words
from ui.components.palette import rate_text
from ui.runs import lookup
from ui.runs.live_run import LiveRun
from ui.runs.requests import ask, go_on, pause

FREEZE, LEARN = "Freeze it", "Let it learn"
START = 1e-4
_ENDS = "train_ends"


def pause_button(state: RunState, key: str) -> None:
    """Draw "Pause" or "Resume" for a run that works or is paused."""
    if state.status not in ("running", "paused") or state.stopping:
        return
    tip = "The computer is free, for other runs too, until you let it go on. Nothing is lost, even when switched off."
    if state.paused:
        # a key of its own: one press must not be taken for the other by the run that follows it
        clicked = st.button("Resume", icon=":material/play_arrow:", type="primary", key=f"{key}_end")
    else:
        clicked = st.button("Pause", icon=":material/pause:", help=tip, key=key)
    if clicked:
        (go_on if state.paused else pause)(state.id)
        st.rerun()


def change(live: "LiveRun", state: RunState) -> None:
    """Draw what can be changed while the phase runs; every change is kept with the run."""
    plan, phase = state.task.plan, live.phase
    if not (plan and phase and live.started and phase.index < len(plan.phases)):
        return
    with st.popover("Change while it runs", icon=":material/tune:", key="train_change"):
        if plan.phases[phase.index].optimizer == "lbfgs":
            st.caption("This phase finds the best head in one go, so there is nothing to change before the next one.")
            return
        _group(live, state)
        last = phase.index + 1 == len(plan.phases)
        label = "End the training of this phase" if last else "Skip to the next phase"
        tip = "The best weights so far are kept."
        if st.button(label, icon=":material/skip_next:", help=tip, disabled=ends(live, state), key="train_skip"):
            ask(lookup.store().control(state.id).skip_phase, "This phase ends after this step")
            st.session_state[_ENDS] = (state.id, phase.index)
            st.rerun()


def ends(live: "LiveRun", state: RunState) -> bool:
    """Whether the phase that runs was asked to end, and has not obeyed yet."""
    return live.phase is not None and st.session_state.get(_ENDS) == (state.id, live.phase.index)


def _group(live: "LiveRun", state: RunState) -> None:
    """Draw the change of one layer group."""
    assert live.started is not None
    groups = live.started.groups
    told = {name: told for name, told in words.layer_names(state.task.backbone, groups).items() if name in groups}

    def named(name: str) -> str:
        return f"{told[name]}: " + (f"learns at {rate_text(live.rates[name])}" if name in live.rates else "frozen")

    group = str(st.selectbox("Layer group", list(told)[::-1], format_func=named, key="train_group"))
    wish = st.segmented_control(
        "From the next step on", (FREEZE, LEARN), default=LEARN, required=True, key="train_wish"
    )
    rate: float | None = None
    if wish == LEARN:
        value = live.rates.get(group, min(live.rates.values(), default=START))
        tip = "How big its steps are. Halve it where the loss jumps, double it where nothing moves."
        label = "Learning rate"
        rate = st.number_input(label, 1e-8, 1.0, value, format="%.1e", help=tip, key=f"train_rate_{group}")
    if st.button("Change", icon=":material/check:", key="train_edit"):
        done = f"{words.capital(words.tell(told[group]))}: changed from the next step on"
        ask(lambda: lookup.store().control(state.id).edit(group, rate), done)
