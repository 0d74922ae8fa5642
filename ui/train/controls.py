"""Controls of a running training: pause, resume, change the current phase."""

import streamlit as st

from tl_core.runs.store import RunState
from ui import glossary, words
from ui.components.palette import rate_text
from ui.runs import lookup
from ui.runs.live_run import LiveRun
from ui.runs.requests import pause, resume, send

FREEZE, LEARN = "Freeze it", "Let it learn"
START = 1e-4
"""Learning rate proposed if nothing learns now."""
_ENDING = "train_ends"


def pause_button(state: RunState, key: str) -> None:
    """Draw "Pause" or "Resume" for a run that is running or paused."""
    if state.status not in ("running", "paused") or state.stopping:
        return
    tip = "Frees the computer for other runs until you resume. Nothing is lost, even if you switch it off."
    if state.paused:
        # its own key, so that the next rerun does not take one press for the other button
        clicked = st.button("Resume", icon=":material/play_arrow:", type="primary", key=f"{key}_end")
    else:
        clicked = st.button("Pause", icon=":material/pause:", help=tip, key=key)
    if clicked:
        (resume if state.paused else pause)(state.id)
        st.rerun()


def change(live: LiveRun, state: RunState) -> None:
    """Draw what can be changed while a phase runs. Every change is recorded as an event of the run."""
    plan, phase = state.task.plan, live.phase
    if not (plan and phase and live.started and phase.index < len(plan.phases)):
        return
    with st.popover("Change while it runs", icon=":material/tune:", key="train_change"):
        if plan.phases[phase.index].optimizer == "lbfgs":
            st.caption("This phase solves for the best head in one step. You can change the next phase once it runs.")
            return
        _change_group(live, state)
        last = phase.index + 1 == len(plan.phases)
        label = "End this phase" if last else "Skip to the next phase"
        tip = "The best weights so far are kept."
        pressed = is_ending(live, state)
        if st.button(label, icon=":material/skip_next:", help=tip, disabled=pressed, key="train_skip"):
            send(lookup.store().control(state.id).skip_phase, "This phase ends after this step")
            st.session_state[_ENDING] = (state.id, phase.index)
            st.rerun()


def is_ending(live: LiveRun, state: RunState) -> bool:
    """Return whether the current phase was asked to end and has not ended yet."""
    return live.phase is not None and st.session_state.get(_ENDING) == (state.id, live.phase.index)


def _change_group(live: LiveRun, state: RunState) -> None:
    """Draw the form that freezes a layer group or changes its learning rate."""
    assert live.started is not None
    groups = live.started.groups
    titles = {name: title for name, title in words.layer_names(state.task.backbone, groups).items() if name in groups}

    def with_state(name: str) -> str:
        return f"{titles[name]}: " + (f"learns at {rate_text(live.rates[name])}" if name in live.rates else "frozen")

    group = str(st.selectbox("Layer group", list(titles)[::-1], format_func=with_state, key="train_group"))
    wanted = st.segmented_control(
        "From the next step on", (FREEZE, LEARN), default=LEARN, required=True, key="train_wish"
    )
    rate: float | None = None
    if wanted == LEARN:
        value = live.rates.get(group, min(live.rates.values(), default=START))
        tip = glossary.tip("learning rate", note="Halve it if the loss jumps; double it if nothing changes.")
        rate = st.number_input("Learning rate", 1e-8, 1.0, value, format="%.1e", help=tip, key=f"train_rate_{group}")
    if st.button("Change", icon=":material/check:", key="train_edit"):
        done = f"{words.capitalise(words.escape(titles[group]))}: changed from the next step on"
        send(lambda: lookup.store().control(state.id).edit(group, rate), done)
