"""Empty states: what a page needs before it can show anything, and a button that leads there."""

import streamlit as st

from ui import glossary, rail, session, words


def empty(icon: str, title: str, text: str, link: str, page: str) -> None:
    """Draw an empty state with one button, `link`, that leads to `page`."""
    with st.container(border=True, horizontal_alignment="center", gap="small", key=f"empty_{page}"):
        st.markdown(f"# :gray[:material/{icon}:]", text_alignment="center", width="stretch")
        st.subheader(title, anchor=False, text_alignment="center")
        st.markdown(text, text_alignment="center", width="stretch")
        if st.button(link, type="primary", key=f"empty_go_{page}"):
            rail.go(page)


def need_dataset() -> bool:
    """Return whether a data set is chosen; draw the empty state if not."""
    if session.dataset():
        return True
    rail.block("First, choose your data.")
    empty(
        "local_florist",
        "No data yet",
        "Everything starts from examples: pictures or texts that somebody has already sorted.",
        "Choose data",
        "data",
    )
    return False


def need_backbone() -> bool:
    """Return whether data and backbone are chosen; draw the empty state for what is missing."""
    if not need_dataset():
        return False
    if session.backbone():
        return True
    rail.block("First, choose a backbone.")
    if gone := session.current().backbone:
        title = f"{words.escape(session.backbone_title(gone))} is not on this computer"
        text = "It was deleted. Download it again, or choose another. Finished models keep working."
    else:
        title, text = "No backbone yet", glossary.TERMS["backbone"]
    empty("account_tree", title, text, "Choose a backbone", "backbone")
    return False


def need_plan() -> bool:
    """Return whether data, backbone and plan are there; draw the empty state for what is missing."""
    if not need_backbone():
        return False
    if session.current().plan:
        return True
    rail.block("First, decide on a plan.")
    empty(
        "format_list_bulleted",
        "No plan yet",
        "The plan says which layers learn, when and how fast. A recommendation for your data is ready.",
        "See the plan",
        "plan",
    )
    return False


def need_run() -> bool:
    """Return whether this project has a run; draw the empty state if not."""
    if session.current().run:
        return True
    rail.block("First, train a model.")
    empty("park", "Nothing trained yet", "Once you have trained a model, you find it here.", "Go to training", "train")
    return False
