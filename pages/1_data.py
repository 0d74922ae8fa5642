"""Data."""

import streamlit as st

st.title("Bring your data", anchor=False)
