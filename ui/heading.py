"""A page's title with buttons at its right."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def heading(title: str) -> DeltaGenerator:
    """Draw a title; return the container at its right, for buttons."""
    st.space("xsmall")
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.title(title, anchor=False, width="content")
        return st.container(horizontal=True, width="content")
