"""Data: bring examples in, and see what they are before anything is built on them."""

import streamlit as st

from ui import (
    beside,
    data_in,
    data_profile,
    data_view,
    decisions,
    gallery,
    intake_view,
    projects,
    rail,
    receipt,
    session,
    split_view,
)
from ui.heading import heading
from ui.words import tell


def welcome() -> None:
    with heading("Bring your data"):
        projects.switcher()
    st.write(
        "Show Graft examples that are sorted already. It takes a network that has learned from millions of others "
        "and grafts your task onto it. Everything stays on this computer."
    )
    if session.dataset() and st.button("Keep the data chosen now", icon=":material/undo:", key="data_keep"):
        st.session_state.pop(data_in.CHOOSING, None)
        if found := intake_view.pending():
            intake_view.drop_it(found)
        st.rerun()
    rail.block("Choose your data to go on.")
    data_in.ways_in()


def chosen() -> None:
    dataset = session.dataset()
    with heading(tell(dataset.name)):
        projects.switcher()
        projects.begin_button("data_new")
        if st.button("Use other data", icon=":material/swap_horiz:", key="data_other"):
            st.session_state[data_in.CHOOSING] = True
            st.rerun()
    found = data_view.profile_of(dataset)
    data_view.overview(dataset)
    decisions.draw(dataset, found.findings)
    if found.blocking:
        rail.block("This data cannot be learned from yet. See above what to do.")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Examples", anchor=False)
        gallery.draw(dataset)
    with right:
        st.subheader("Classes", anchor=False)
        data_view.balance(dataset)
        data_profile.effect(found)
    data_profile.more(dataset, found)
    st.subheader("How it is split", anchor=False)
    split_view.draw(dataset)
    receipt.draw(dataset)
    beside.draw(dataset)


if session.dataset() is None or st.session_state.get(data_in.CHOOSING) or intake_view.pending():
    welcome()
else:
    chosen()
