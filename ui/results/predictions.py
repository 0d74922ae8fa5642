"""Test items with their predictions, one page at a time."""

from collections.abc import Sequence

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.evaluation.report import errors
from tl_core.evaluation.results import Prediction, Report
from ui import glossary, session
from ui.items import show_items
from ui.words import escape

PAGE = 12


def cell_items(report: Report, truth: int, predicted: int) -> list[Prediction]:
    """Return the test items of one cell of the confusion matrix, the most confident first."""
    items = [item for item in report.predictions if item.truth == truth and item.predicted == predicted]
    return sorted(items, key=lambda item: -item.probabilities[predicted])


def names(report: Report, labels: Sequence[int]) -> str:
    """Return the names of labels, safe for Markdown."""
    return escape(", ".join(report.classes[label] for label in labels) or "none of the labels")


def show_predictions(report: Report, dataset: Dataset | None, predictions: Sequence[Prediction], key: str) -> None:
    """Show test items page by page, each with its predicted and true labels and the confidence of the model."""
    if dataset is None:
        st.caption("The data set of this run is no longer in the workspace, so its items cannot be shown.")
        return
    pages = max(1, -(-len(predictions) // PAGE))
    at = st.pagination(pages, key=f"{key}_page") if pages > 1 else 1
    shown = predictions[(at - 1) * PAGE : at * PAGE]
    captions = {}
    for item in shown:
        predicted, truth = names(report, item.predicted_labels), names(report, item.labels)
        confidence = "" if report.multilabel else f", {item.confidence:.0%} confident"
        captions[item.row] = (
            f":green[:material/check:] **{predicted}**{confidence}"
            if item.right
            else f":red[:material/close:] **{predicted}**{confidence}; labelled {truth}"
        )
    show_items(dataset, [item.row for item in shown], captions, f"{key}_items")


def mistakes(report: Report) -> None:
    """Draw the misclassified test items, the most confident first."""
    wrong = errors(report)
    if not wrong:
        st.success("Every test item was right.", icon=":material/check_circle:")
        return
    st.caption(
        "The most confident mistakes come first. They often reveal a wrong label, or two classes that overlap.",
        help=glossary.tip("confidence"),
    )
    show_predictions(report, session.open_dataset(report.fingerprint), wrong, "results_wrong")
