"""Data: import examples, and check them before anything is built on them."""

import streamlit as st

from tl_core.data.unlabelled import is_unlabelled
from ui import glossary, profiles, projects, rail, session
from ui.data import (
    details,
    gallery,
    import_progress,
    overview,
    quality,
    receipt,
    second_dataset,
    split,
    ways_in,
    zero_shot,
)
from ui.heading import heading
from ui.words import escape


def welcome() -> None:
    with heading("Bring your data"):
        projects.switcher()
    st.write(
        "Give Graft examples that are already sorted into classes. It adapts a pre-trained network to your task. "
        "Without labels, Graft can propose them. Everything stays on this computer."
    )
    if session.dataset() and st.button("Keep the current data", icon=":material/undo:", key="data_keep"):
        st.session_state.pop(ways_in.CHOOSING, None)
        if incoming := import_progress.pending():
            import_progress.cancel(incoming)
        st.rerun()
    rail.block("First, choose your data.")
    ways_in.ways_in()


def unlabelled() -> None:
    dataset = session.dataset()
    with heading(escape(dataset.name)):
        projects.switcher()
        projects.begin_button("data_new")
        if st.button("Use other data", icon=":material/swap_horiz:", key="data_other"):
            st.session_state[ways_in.CHOOSING] = True
            st.rerun()
    st.write(zero_shot.heading_text(dataset))
    zero_shot.draw(dataset)
    receipt.draw(dataset)


def chosen() -> None:
    dataset = session.dataset()
    with heading(escape(dataset.name)):
        projects.switcher()
        zero_shot.back_button(dataset)
        projects.begin_button("data_new")
        if st.button("Use other data", icon=":material/swap_horiz:", key="data_other"):
            st.session_state[ways_in.CHOOSING] = True
            st.rerun()
    profile = profiles.profile_of(dataset)
    overview.overview(dataset)
    quality.draw(dataset, profile.findings)
    if profile.blocking:
        rail.block("A model cannot learn from this data yet. See above what to do.")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Examples", anchor=False)
        gallery.draw(dataset)
    with right:
        st.subheader("Classes", anchor=False)
        overview.balance(dataset)
        details.imbalance(profile)
    details.more(dataset, profile)
    st.subheader("Split", anchor=False, help=glossary.tip("split"))
    split.draw(dataset)
    receipt.draw(dataset)
    second_dataset.draw(dataset)


if session.dataset() is None or st.session_state.get(ways_in.CHOOSING) or import_progress.pending():
    welcome()
elif is_unlabelled(session.dataset()):
    unlabelled()
else:
    chosen()
