"""Backbone: the pre-trained network that the model builds on."""

import streamlit as st

from ui import glossary, rail, session, words
from ui.backbone import another, arrivals, branches, costs, entries, pairs, ranking
from ui.backbone import card as backbone_card
from ui.components.backbone_tree import backbone_tree
from ui.empty import need_dataset

FOCUS = arrivals.FOCUS


def look() -> None:
    """Draw the tree and what is picked in it, as the body of a fragment that follows downloads and measurements."""
    modality = session.dataset().modality
    leaves = entries.leaves()
    own = entries.own(leaves)
    chosen = entries.find([*leaves, *own], session.current().backbone)
    focus = st.session_state.get(FOCUS, "")
    entry = entries.find([*leaves, *own], focus) or chosen
    if entry is None:
        entry = entries.find(leaves, backbone_card.recommended(session.dataset()).name)
    selected = entries.ADD if focus == entries.ADD else entry.id
    tree = branches.branches(modality, leaves, own)
    picked = backbone_tree(tree, branches.legend(), selected, chosen.id if chosen else "", key="backbone_tree")
    if picked and picked != selected:
        st.session_state[FOCUS] = picked
        st.rerun()
    if focus != entries.ADD and st.button("Another network", icon=":material/add:", key="backbone_add"):
        st.session_state[FOCUS] = entries.ADD
        st.rerun()
    if selected == entries.ADD:
        another.draw(modality)
    else:
        backbone_card.draw(entry, modality)
        backbone_card.below(entry)
    shown = None if selected == entries.ADD else entry
    arrivals.follow(costs.due(shown, modality), another.is_listing())


def choose() -> None:
    st.title("Choose what to build on", anchor=False)
    st.write(
        f"**Backbone**: {glossary.TERMS['backbone']} The more similar its training data are to yours, the less it "
        "has to learn."
    )
    arrivals.welcome()
    note = st.container()  # always there: the fragment below keeps its place on the page when a sentence comes or goes
    if session.current().backbone and not session.backbone():
        title = words.escape(session.backbone_title(session.current().backbone))
        note.warning(f"**{title}**, which this project was built on, is not on this computer. Choose a backbone again.")
    with st.container():
        pairs.section()
    arrivals.live(look)
    ranking.section()
    if not session.backbone():
        rail.block("First, choose a backbone.")


if need_dataset():
    choose()
