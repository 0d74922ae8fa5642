"""The headline figures of a report, each with its interval."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tl_core.evaluation.results import Report
from tl_core.types import Estimate
from ui.reports import interval

AREA = (
    "Take an item that has a label and one that has not: how often the model finds the label more likely for the "
    "first. 50 % is guessing."
)


def figure(cell: DeltaGenerator, label: str, value: Estimate, note: str, help_: str) -> None:
    """Show one figure with its interval in a card."""
    with cell, st.container(border=True, height="stretch"):
        st.metric(label, f"{value.value:.1%}", help=help_)
        st.caption(f"{interval(value)}, n = {value.n:,} ({note})")


def headline(report: Report) -> None:
    """Show accuracy and the average over the classes, each with its interval."""
    right = sum(prediction.right for prediction in report.predictions)
    cells = st.columns(3)
    note = f"{right:,} of {report.accuracy.n:,} test items right"
    figure(
        cells[0], "Accuracy", report.accuracy, note, "The share of right answers on items that the training never saw."
    )
    help_ = (
        "For each class, one figure joins how many of its items are found and how many of the finds are right; this "
        "is the average of these figures. The field calls it macro-F1."
    )
    figure(cells[1], "Average of the classes", report.macro_f1, "every class counts the same", help_)
    with cells[2], st.container(border=True, height="stretch"):
        st.metric("Guessing", f"{_guess(report):.1%}", help="Always saying the class that is most frequent.")
        st.caption("what always saying the most frequent class would get")


def _guess(report: Report) -> float:
    counts = np.sum(report.confusion, axis=1)
    return float(counts.max() / max(1, counts.sum()))
