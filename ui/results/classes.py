"""The table of classes, or of labels where an item may have several."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from tl_core.evaluation.results import Report
from ui.results.headline import AREA


def class_table(report: Report) -> pd.DataFrame:
    """Return one row a class or label: its test items, and each measure with its interval in words."""
    rows = []
    for score in report.per_class:
        row: dict[str, object] = {_one(report): score.name, "Test items": score.recall.n}
        areas = (("AUC", score.auc),) if report.multilabel else ()
        for name, estimate in (*areas, ("Precision", score.precision), ("Recall", score.recall), ("F1", score.f1)):
            known = estimate if estimate and estimate.n else None
            row[name] = 100 * known.value if known else None
            row[f"{name}, between"] = f"{known.low:.0%} – {known.high:.0%}" if known else "not known"
        rows.append(row)
    return pd.DataFrame(rows)


def show_classes(report: Report) -> None:
    """Draw the table of classes, or of labels where an item may have several."""
    one = _one(report).lower()
    told = {
        "AUC": ("AUC", AREA),
        "Precision": ("Right when said", f"Of the items that are given this {one}, how many are right: precision."),
        "Recall": ("Found", f"Of the items of this {one}, how many were found: recall."),
        "F1": ("Both in one", "The two before in one figure, near the lower of them: F1."),
    }
    st.dataframe(
        class_table(report),
        hide_index=True,
        width="stretch",
        column_config=percent_columns(told),
        key="results_classes",
        alt=f"How well each {one} is found, with intervals",
    )


def _one(report: Report) -> str:
    return "Label" if report.multilabel else "Class"


def percent_columns(told: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the columns of a table of percentages: a bar for each of `told`, by title and help, then its interval."""
    bars = {
        name: st.column_config.ProgressColumn(title, min_value=0, max_value=100, format="%.0f%%", help=help_)
        for name, (title, help_) in told.items()
    }
    between = {
        f"{name}, between": st.column_config.TextColumn("between", help="The 95 % interval.", width="small")
        for name in told
    }
    return {**bars, **between}
