"""How a data set is split, in plain words, and how that is changed."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.split import rule, time_findings
from tl_core.evaluation.leakage import read_leakage
from ui import session
from ui.data.overview import SPLITS, split_counts
from ui.profiles import profile_of
from ui.reports import looks_caption
from ui.words import findings


def draw(dataset: Dataset) -> None:
    """Draw the split, and let it be changed."""
    counts = split_counts(dataset)
    sizes = profile_of(dataset).splits
    total = max(1, sum(sizes.values()))
    with st.grid(3, min_column_width=170, key="data_split_metrics"):
        for name, role in SPLITS.items():
            share = f"{sizes[name] / total:.0%}"
            st.metric(f"{name.capitalize()}: {role.lower()}", f"{sizes[name]:,}", share, delta_color="off",
                      delta_arrow="off", border=True)  # fmt: skip
    st.caption(" ".join(_rules(dataset)))
    findings(time_findings(dataset.items, dataset.split))
    looks_caption(dataset)
    spec = session.backbone()
    score = read_leakage(session.workspace(), dataset, spec.name) if spec else None
    if score:
        st.caption(f":material/content_copy: {score.sentence}")
    with st.expander("Change the split", icon=":material/tune:", key="data_split_edit"):
        _form(dataset, counts)


def _rules(dataset: Dataset) -> list[str]:
    """Return by which rules items were shared out, a sentence each."""
    spec = dataset.split
    said = ["The model never sees the test items while it learns, so that they show what it is worth."]
    alike = "Identical and nearly identical items stay" if spec.keep_near else "Identical items stay"
    said.append(f"{alike} on the same side, so that it is not judged by what it has seen.")
    if (dataset.items["group"] != "").any():
        said.append("So do items that belong together, as your data says.")
    by = {
        "given": "The split that came with the data is used.",
        "time": "The latest items are the test, as it will be when the model is used.",
        "random": "Each class is shared out in the same proportion.",
    }
    said.append(by[rule(dataset.items, spec)])
    return said


def _form(dataset: Dataset, counts: pd.DataFrame) -> None:
    spec = dataset.split
    given = bool((dataset.items["given"] != "").any())
    with st.form("data_split_form", border=False):
        left, middle, right = st.columns(3)
        validation = left.slider(
            "Validation", 5, 40, round(spec.validation * 100), format="%d%%", key="data_validation"
        )
        test = middle.slider("Test", 5, 40, round(spec.test * 100), format="%d%%", key="data_test")
        seed = right.number_input("Seed", 0, 9999, spec.seed, key="data_seed", help="Another number, another draw.")
        honour = st.toggle(
            "Use the split that came with the data", spec.honour_given, disabled=not given, key="data_honour",
            help="Your folders or table named a split." if given else "Your data did not name a split.",
        )  # fmt: skip
        dated = dataset.items["time"].nunique() > 1
        latest = st.toggle(
            "Judge by the latest items", spec.by == "time", disabled=not dated, key="data_by_time",
            help="As it will be in use: learn from the past, be judged by what came after." if dated
            else "Your data does not say when items were made. A table can, with a column of dates.",
        )  # fmt: skip
        near = st.toggle(
            "Keep look-alikes together", spec.keep_near, key="data_near",
            help="Pictures of the same thing and texts that are nearly the same. Apart, they make a model look better "
            "than it is.",
        )  # fmt: skip
        if st.form_submit_button("Apply", key="data_split_apply"):
            wanted = replace(spec, validation=validation / 100, test=test / 100, seed=int(seed), keep_near=bool(near))
            dataset.change_split(replace(wanted, honour_given=bool(honour), by="time" if latest else "random"))
            st.rerun()
    st.dataframe(counts.rename(columns=str.capitalize).rename_axis("Class"), key="data_split_table")
