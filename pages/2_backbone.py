"""Backbone: the pre-trained network that the model builds on."""

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from ui import glossary, rail, session
from ui.backbone import branches
from ui.backbone import card as backbone_card
from ui.components.backbone_tree import backbone_tree
from ui.empty import need_dataset
from ui.runs import launch

FOCUS = "backbone_focus"


def choose() -> None:
    modality = session.dataset().modality
    st.title("Choose what to build on", anchor=False)
    st.write(
        f"**Backbone**: {glossary.TERMS['backbone']} The more similar its training data are to yours, the less it "
        "has to learn."
    )
    chosen = session.current().backbone
    focus = st.session_state.get(FOCUS, "")
    if focus not in BACKBONES:
        focus = chosen or backbone_card.recommended(modality).name
    picked = backbone_tree(branches.branches(modality), focus, chosen, key="backbone_tree")
    if picked in BACKBONES and picked != focus:
        st.session_state[FOCUS] = picked
        st.rerun()
    st.caption("● ready on this computer\u2003○ needs a download\u2003M, B: million, billion parameters")
    spec = BACKBONES[focus]
    measuring = spec.modality == modality and launch.measure_speed(spec)

    def card() -> None:
        backbone_card.card(spec, modality)
        if measuring and not launch.measure_speed(spec):
            st.rerun()

    st.fragment(card, run_every=1.5 if measuring else None, key="backbone_live")()
    if spec.input:
        backbone_card.preprocessing(spec)
    if not chosen:
        rail.block("First, choose a backbone.")


if need_dataset():
    choose()
