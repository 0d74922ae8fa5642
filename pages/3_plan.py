"""Plan: which layers learn, when and how fast, decided before anything runs."""

import streamlit as st

from ui import rail, session
from ui.empty import need_backbone
from ui.plan import advice, draft, editor, evidence, extra_data_choice, penalties, trials
from ui.plan.context import plan_context
from ui.runs import launch


def watch() -> None:
    """Run probe and speed test, as the body of a fragment; redraw the page when one of them is done."""
    context = plan_context()
    waiting = evidence.probe(context)
    measuring = not context.speed and launch.measure_speed(context.spec)
    now = (waiting, measuring, context.probe is not None)
    before = st.session_state.get("plan_watch", now)
    st.session_state["plan_watch"] = now
    if before != now:
        st.rerun()


def show() -> None:
    st.title("Decide what learns", anchor=False)
    st.write(
        "The plan says which layers stay frozen, which ones learn, and how fast. "
        "A recommended plan is ready. Change what you like."
    )
    waiting, measuring, _ = st.session_state.get("plan_watch", (True, True, False))
    st.fragment(watch, run_every=1.0 if waiting or measuring else None, key="plan_live")()
    context = plan_context()
    advice.recommendation(context)
    advice.likeness(context)
    advice.others(context)
    plan = draft.settle(context)
    st.subheader("The plan", anchor=False)
    if session.current().edited:
        st.caption(":material/edit: Edited by hand.")
    editor.problems(plan, context)
    editor.drawing(plan, context)
    editor.costs(plan, context)
    penalties.draw(plan, context)
    extra_data_choice.draw(plan, context.dataset, context.extra)
    trials.draw(plan, context)
    evidence.evidence(context)
    if st.session_state["plan_watch"][0] and not (session.current().strategy or session.current().edited):
        rail.block("The recommendation is being checked on your data. To continue now, choose a strategy yourself.")


if need_backbone():
    show()
