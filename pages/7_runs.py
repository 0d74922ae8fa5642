"""Runs: everything that was trained or measured, to open, resume, stop or delete."""

import streamlit as st

from ui import empty, projects
from ui.heading import heading
from ui.runs import lookup, run_list

with heading("All runs"):
    projects.switcher()
    projects.begin_button("runs_new")
states = lookup.store().list()
if not states:
    empty.empty(
        "history",
        "No runs yet",
        "Every training that you start is listed here, with its results.",
        "Bring your data",
        "data",
    )
else:
    has_measurements = any(state.kind != "train" for state in states)
    everything = has_measurements and st.toggle("Show probes, curves and trials too", key="runs_everything")
    count = sum(1 for state in states if everything or state.kind == "train")
    active = any(state.active for state in states)
    top = st.container()
    pages = max(1, -(-count // run_list.PER_PAGE))
    page = st.pagination(pages, key="runs_page") if pages > 1 else 1
    with top:
        if count:
            st.fragment(run_list.show, run_every=2.0 if active else None)(everything, page)
        else:
            st.caption("No training yet.")
