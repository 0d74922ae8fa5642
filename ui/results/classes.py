"""The table of classes, or of labels in multi-label data, and the right and wrong answers to each label."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from tl_core.evaluation.report import true_and_predicted
from tl_core.evaluation.results import HALF, Report
from ui import glossary

MEASURES = ("AUC", "Precision", "Recall", "F1")


def class_table(report: Report) -> pd.DataFrame:
    """Return one row a class or label: its test items, and each measure in percent with its interval in words."""
    rows = []
    for score in report.per_class:
        row: dict[str, object] = {_noun(report): score.name, "Test items": score.recall.n}
        auc = (("AUC", score.auc),) if report.multilabel else ()
        for name, estimate in (*auc, ("Precision", score.precision), ("Recall", score.recall), ("F1", score.f1)):
            measured = estimate if estimate and estimate.n else None
            row[name] = 100 * measured.value if measured else None
            row[f"{name}, between"] = f"{measured.low:.0%} – {measured.high:.0%}" if measured else "not known"
        rows.append(row)
    return pd.DataFrame(rows)


def show_classes(report: Report) -> None:
    """Draw the table of classes or labels."""
    measures = {name: glossary.tip(name if name in glossary.TERMS else name.lower()) for name in MEASURES}
    st.dataframe(
        class_table(report),
        hide_index=True,
        width="stretch",
        column_config=percent_columns(measures),
        key="results_classes",
        alt=f"AUC, precision, recall and F1 of each {_noun(report).lower()}, with intervals",
    )


def _noun(report: Report) -> str:
    return "Label" if report.multilabel else "Class"


def percent_columns(tips: Mapping[str, str]) -> dict[str, Any]:
    """Return the column settings of a table of percentages: a bar for each measure, then its interval.

    `tips` holds the tooltip of each measure by its name.
    """
    bars = {
        name: st.column_config.ProgressColumn(name, min_value=0, max_value=100, format="%.0f%%", help=tip)
        for name, tip in tips.items()
    }
    between = {
        f"{name}, between": st.column_config.TextColumn(
            "between", help=glossary.tip("confidence interval"), width="small"
        )
        for name in tips
    }
    return {**bars, **between}


def answer_table(report: Report) -> pd.DataFrame:
    """Return one row a label: test items by whether they have the label and whether it was predicted."""
    truth, predicted = (probabilities > HALF for probabilities in true_and_predicted(report))
    return pd.DataFrame(
        {
            "Label": list(report.classes),
            "Found (true positive)": (truth & predicted).sum(axis=0),
            "Missed (false negative)": (truth & ~predicted).sum(axis=0),
            "False alarm (false positive)": (~truth & predicted).sum(axis=0),
            "Rightly absent (true negative)": (~truth & ~predicted).sum(axis=0),
        }
    )


def show_answers(report: Report) -> None:
    """Draw the confusion counts of each label."""
    st.caption("Labels are predicted one by one: above a probability of 50% a label counts as predicted.")
    st.dataframe(
        answer_table(report),
        hide_index=True,
        width="stretch",
        key="results_answers",
        alt="For each label, how many test items have it and for how many it was predicted",
    )
