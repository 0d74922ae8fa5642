"""A page's title with what can be done beside it."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def heading(title: str) -> DeltaGenerator:
    """Draw a title; return the place at its right for buttons."""
    st.space("xsmall")
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.title(title, anchor=False, width="content")
        return st.container(horizontal=True, width="content")
