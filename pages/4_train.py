"""Train: see what will run, start it, and watch it learn."""

import streamlit as st

from ui import empty, rail, session
from ui.runs import display, lookup
from ui.train import live, outcome, setup

state = lookup.project_run()
if state and state.kind != "train":
    state = None
if state:
    st.title("Watch it learn" if state.open else display.title(state), anchor=False)
    watched = st.session_state["train_watching"] = live.watched(state)
    if state.status == "paused":
        rail.block("The training is paused. Resume it, or stop it and keep the best weights.")
    elif state.active:
        rail.block("The training is still running. You can leave this page; it continues without you.")
    else:
        outcome.outcome(state)
        if state.status not in ("done", "stopped"):
            rail.block("This training has no results.")
    st.fragment(live.show, run_every=1.0 if any(watched[1:]) else None, key="train_live")(state.id)
    project = session.current()
    if not state.open and project.plan and session.dataset() and session.backbone():
        changed = not setup.same(state.task, project.plan)
        label = "Train the plan as it is now" if changed else "Train once more"
        with st.expander(label, icon=":material/replay:", expanded=changed, key="train_more"):
            setup.setup()
else:
    st.title("Watch it learn", anchor=False)
    if empty.need_plan():
        rail.block("Start the training first.")
        setup.setup()
