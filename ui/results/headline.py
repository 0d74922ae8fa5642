"""The headline figures of a report, each with its confidence interval."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tl_core.evaluation.results import Report
from tl_core.types import Estimate
from ui import glossary, words
from ui.reports import interval


def headline(report: Report) -> None:
    """Show accuracy, macro-F1 and the majority baseline of a single-label report."""
    right = sum(prediction.right for prediction in report.predictions)
    cells = st.columns(3)
    note = f"{right:,} of {report.accuracy.n:,} test items right"
    _metric(cells[0], "Accuracy", report.accuracy, note, glossary.tip("accuracy", "test items"))
    _metric(cells[1], "Macro-F1", report.macro_f1, "every class counts the same", glossary.tip("macro-F1", "F1"))
    with cells[2], st.container(border=True, height="stretch"):
        st.metric("Guessing", f"{_majority_share(report):.1%}", help=glossary.tip("baseline"))
        st.caption("accuracy of always answering the most frequent class")


def multilabel(report: Report) -> None:
    """Show mean AUC, accuracy over all answers and the share of items with every label right."""
    cells = st.columns(3)
    auc_tip = glossary.tip("AUC", note="This is the average over the labels.")
    if report.auc:
        _metric(cells[0], "Mean AUC", report.auc, "every label counts the same", auc_tip)
    else:
        with cells[0], st.container(border=True, height="stretch"):
            st.metric("Mean AUC", "–", help=auc_tip)
            st.caption("Not measured: it needs a label that some test items have and others do not.")
    note = "Each label of each item is one answer: yes above a probability of 50%, else no."
    _metric(
        cells[1], "Right answers", report.accuracy, "rare labels make this easy", glossary.tip("accuracy", note=note)
    )
    if report.exact:
        right = sum(prediction.right for prediction in report.predictions)
        tip = "The share of items for which every single label is right (exact match)."
        _metric(cells[2], "All labels right", report.exact, words.plural(right, "item"), tip)
    scores = (("Macro-F1", report.macro_f1), ("Micro-F1", report.micro_f1))
    st.caption(
        ". ".join(f"{name} {value.value:.1%}, {interval(value)}" for name, value in scores if value) + ".",
        help=glossary.tip("macro-F1", "micro-F1", "F1"),
    )


def _metric(cell: DeltaGenerator, label: str, value: Estimate, note: str, tip: str) -> None:
    with cell, st.container(border=True, height="stretch"):
        st.metric(label, f"{value.value:.1%}", help=tip)
        st.caption(f"{interval(value)}, n = {value.n:,} ({note})")


def _majority_share(report: Report) -> float:
    counts = np.sum(report.confusion, axis=1)
    return float(counts.max() / max(1, counts.sum()))
