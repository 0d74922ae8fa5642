"""Empty states: what a page needs before it can show anything, and the way there."""

import streamlit as st

from ui import rail, session


def empty(icon: str, title: str, text: str, link: str, page: str) -> None:
    """Draw an empty state with one button that leads to `page`."""
    with st.container(border=True, horizontal_alignment="center", gap="small", key=f"empty_{page}"):
        st.markdown(f"# :gray[:material/{icon}:]", text_alignment="center", width="stretch")
        st.subheader(title, anchor=False, text_alignment="center")
        st.markdown(text, text_alignment="center", width="stretch")
        if st.button(link, type="primary", key=f"empty_go_{page}"):
            rail.go(page)


def need_dataset() -> bool:
    """Return whether there is a data set; draw the way to one where there is none."""
    if session.dataset():
        return True
    rail.block("First, choose your data.")
    empty(
        "local_florist",
        "No data yet",
        "Everything grows from examples: pictures or texts that somebody has sorted already.",
        "Choose data",
        "data",
    )
    return False


def need_backbone() -> bool:
    """Return whether there are data and a backbone; draw the way to what is missing."""
    if not need_dataset():
        return False
    if session.backbone():
        return True
    rail.block("First, choose a backbone.")
    empty(
        "account_tree",
        "No backbone yet",
        "A backbone is a network that has learned from millions of examples. Yours builds on one of them.",
        "Choose a backbone",
        "backbone",
    )
    return False


def need_plan() -> bool:
    """Return whether there are data, a backbone and a plan; draw the way to what is missing."""
    if not need_backbone():
        return False
    if session.current().plan:
        return True
    rail.block("First, settle the plan.")
    empty(
        "format_list_bulleted",
        "No plan yet",
        "The plan says which layers learn, when, and how fast. There is a recommendation ready for your data.",
        "See the plan",
        "plan",
    )
    return False


def need_run() -> bool:
    """Return whether this project has a run; draw the way to one where there is none."""
    if session.current().run:
        return True
    rail.block("First, train a model.")
    empty("park", "Nothing trained yet", "Once a model is trained, you find it here.", "Go to training", "train")
    return False
