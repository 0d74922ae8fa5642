"""How a data set is split, in plain words, and how that is changed."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from ui.data_view import SPLITS, split_counts

TOGETHER = (
    "The model never sees the test items while it learns, so that they show what it is worth. "
    "Identical items always stay on the same side; each class is shared out in the same proportion."
)


def draw(dataset: Dataset) -> None:
    """Draw the split, and let it be changed."""
    counts = split_counts(dataset)
    total = max(1, counts.to_numpy().sum())
    with st.grid(3, min_column_width=170, key="data_split_metrics"):
        for name, role in SPLITS.items():
            count = int(counts[name].sum())
            st.metric(f"{name.capitalize()}: {role.lower()}", f"{count:,}", f"{count / total:.0%}", delta_color="off",
                      delta_arrow="off", border=True)  # fmt: skip
    st.caption(TOGETHER)
    with st.expander("Change the split", icon=":material/tune:", key="data_split_edit"):
        _form(dataset, counts)


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
        if st.form_submit_button("Apply", key="data_split_apply"):
            dataset.resplit(
                replace(spec, validation=validation / 100, test=test / 100, seed=int(seed), honour_given=bool(honour))
            )
            st.rerun()
    st.dataframe(counts.rename(columns=str.capitalize).rename_axis("Class"), key="data_split_table")
