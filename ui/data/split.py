"""The split of a data set: its sizes, its rules in words, and the form that changes it."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.split import split_rule, time_findings
from tl_core.evaluation.leakage import read_leakage
from ui import glossary, session
from ui.data.overview import SPLITS, split_counts
from ui.profiles import profile_of
from ui.reports import holdout_caption
from ui.words import show_findings


def draw(dataset: Dataset) -> None:
    """Draw the split, and the form to change it."""
    counts = split_counts(dataset)
    sizes = profile_of(dataset).splits
    total = max(1, sum(sizes.values()))
    with st.grid(3, min_column_width=170, key="data_split_metrics"):
        for name, term in SPLITS.items():
            share = f"{sizes[name] / total:.0%}"
            title = "Training" if name == "train" else name.capitalize()
            st.metric(title, f"{sizes[name]:,}", share, delta_color="off", delta_arrow="off", border=True,
                      help=glossary.tip(term))  # fmt: skip
    st.caption(" ".join(_rules(dataset)))
    show_findings(time_findings(dataset.items, dataset.split))
    holdout_caption(dataset)
    spec = session.backbone()
    score = read_leakage(session.workspace(), dataset, spec.name) if spec else None
    if score:
        st.caption(f":material/content_copy: {score.sentence}")
    with st.expander("Change the split", icon=":material/tune:", key="data_split_edit"):
        _form(dataset, counts)


def _rules(dataset: Dataset) -> list[str]:
    """Return the rules of the split, one sentence each."""
    spec = dataset.split
    sentences = ["The model never sees the test items while it learns, so they show how good it is."]
    alike = "Identical and nearly identical items stay" if spec.keep_near else "Identical items stay"
    sentences.append(f"{alike} in the same part, so that the model is not tested on items it has learned from.")
    if (dataset.items["group"] != "").any():
        sentences.append("So do items of the same group.")
    rules = {
        "given": "The split that came with the data is used.",
        "time": "The latest items are the test items, because the model will be used on later items too.",
        "random": "Each class is split in the same proportion.",
    }
    sentences.append(rules[split_rule(dataset.items, spec)])
    return sentences


def _form(dataset: Dataset, counts: pd.DataFrame) -> None:
    spec = dataset.split
    has_given = bool((dataset.items["given"] != "").any())
    with st.form("data_split_form", border=False):
        left, middle, right = st.columns(3)
        validation = left.slider(
            "Validation", 5, 40, round(spec.validation * 100), format="%d%%", key="data_validation"
        )
        test = middle.slider("Test", 5, 40, round(spec.test * 100), format="%d%%", key="data_test")
        seed = right.number_input("Seed", 0, 9999, spec.seed, key="data_seed", help=glossary.tip("seed"))
        use_given = st.toggle(
            "Use the split that came with the data", spec.honour_given, disabled=not has_given, key="data_honour",
            help="Your folders or your table name a split." if has_given else "Your data do not name a split.",
        )  # fmt: skip
        has_dates = dataset.items["time"].nunique() > 1
        latest = st.toggle(
            "Test on the latest items", spec.by == "time", disabled=not has_dates, key="data_by_time",
            help="As in real use: the model learns from the past and is tested on what came later." if has_dates
            else "Your data have no dates. A table can have a column of dates.",
        )  # fmt: skip
        keep_near = st.toggle(
            "Keep near-duplicates together", spec.keep_near, key="data_near",
            help=glossary.tip("near-duplicates"),
        )  # fmt: skip
        if st.form_submit_button("Apply", key="data_split_apply"):
            changed = replace(
                spec, validation=validation / 100, test=test / 100, seed=int(seed), keep_near=bool(keep_near)
            )
            dataset.change_split(replace(changed, honour_given=bool(use_given), by="time" if latest else "random"))
            st.rerun()
    st.dataframe(counts.rename(columns=str.capitalize).rename_axis("Class"), key="data_split_table")
