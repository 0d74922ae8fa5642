"""Plan: which layers learn, when and how fast, decided before anything runs."""

import streamlit as st

from ui import rail, session
from ui.empty import need_backbone
from ui.plan import advice, context, draft, editor, evidence, extra_data_choice, penalties, trials
from ui.runs import launch


def watch() -> None:
    """See to the probe and the speed test; a fragment's body, which redraws the page when one of them is done."""
    known = context.ground()
    waiting = evidence.probe(known)
    measuring = not known.speed and launch.measure(known.spec)
    now = (waiting, measuring, known.probe is not None)
    before = st.session_state.get("plan_watch", now)
    st.session_state["plan_watch"] = now
    if before != now:
        st.rerun()


def show() -> None:
    st.title("Decide what learns", anchor=False)
    st.write(
        "The plan says which layers keep what they know, which ones learn, and how fast. "
        "A good one is ready; change what you like."
    )
    waiting, measuring, _ = st.session_state.get("plan_watch", (True, True, False))
    st.fragment(watch, run_every=1.0 if waiting or measuring else None, key="plan_live")()
    known = context.ground()
    advice.recommendation(known)
    advice.likeness(known)
    advice.others(known)
    plan = draft.settle(known)
    st.subheader("The plan", anchor=False)
    if session.current().edited:
        st.caption(":material/edit: Edited by hand.")
    editor.problems(plan, known)
    editor.drawing(plan, known)
    editor.costs(plan, known)
    penalties.draw(plan, known)
    extra_data_choice.draw(plan, known.dataset, known.beside)
    trials.draw(plan, known)
    evidence.evidence(known)
    if st.session_state["plan_watch"][0] and not (session.current().strategy or session.current().edited):
        rail.block("The recommendation is being checked on your data. To go on at once, choose another way yourself.")


if need_backbone():
    show()
