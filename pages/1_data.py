"""Data: bring examples in, and see what they are before anything is built on them."""

import streamlit as st

from ui import profiles, projects, rail, session
from ui.data import details, gallery, import_progress, overview, quality, receipt, second_dataset, split, ways_in
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
        st.session_state.pop(ways_in.CHOOSING, None)
        if found := import_progress.pending():
            import_progress.drop_it(found)
        st.rerun()
    rail.block("Choose your data to go on.")
    ways_in.ways_in()


def chosen() -> None:
    dataset = session.dataset()
    with heading(tell(dataset.name)):
        projects.switcher()
        projects.begin_button("data_new")
        if st.button("Use other data", icon=":material/swap_horiz:", key="data_other"):
            st.session_state[ways_in.CHOOSING] = True
            st.rerun()
    found = profiles.profile_of(dataset)
    overview.overview(dataset)
    quality.draw(dataset, found.findings)
    if found.blocking:
        rail.block("This data cannot be learned from yet. See above what to do.")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Examples", anchor=False)
        gallery.draw(dataset)
    with right:
        st.subheader("Classes", anchor=False)
        overview.balance(dataset)
        details.effect(found)
    details.more(dataset, found)
    st.subheader("How it is split", anchor=False)
    split.draw(dataset)
    receipt.draw(dataset)
    second_dataset.draw(dataset)


if session.dataset() is None or st.session_state.get(ways_in.CHOOSING) or import_progress.pending():
    welcome()
else:
    chosen()
