"""Train: say what will run, start it, and watch it learn."""

import streamlit as st

from ui import empty, rail, running, session, training

state = running.chosen()
if state and state.kind != "train":
    state = None
if state:
    st.title("Watch it learn" if state.active else running.title(state), anchor=False)
    if state.active:
        st.session_state["train_watching"] = state.id
        rail.block("The training is still going on. You can leave this page; it goes on without you.")
    else:
        training.outcome(state)
    beside = any(other.active for other in running.baselines(state.id))
    st.fragment(training.show, run_every=1.0 if state.active or beside else None, key="train_live")(state.id)
    if not state.active:
        with st.expander("Train again", icon=":material/replay:", expanded=False, key="train_more"):
            if session.current().plan and session.dataset() and session.backbone():
                training.setup()
            else:
                st.write("Choose data, a backbone and a plan first.")
else:
    st.title("Watch it learn", anchor=False)
    if empty.need_plan():
        rail.block("Start the training first.")
        training.setup()
