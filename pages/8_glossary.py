"""Glossary: the terms of the field in plain words."""

import streamlit as st

from ui import glossary

st.title("Glossary", anchor=False)
st.write("The terms that Graft uses are the usual ones of the field. Here is what they mean.")
glossary.draw()
