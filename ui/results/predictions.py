"""Test items with their predictions, a page at a time."""

from collections.abc import Sequence

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.evaluation.report import errors
from tl_core.evaluation.results import Prediction, Report
from ui import session
from ui.items import show_items
from ui.words import tell

PAGE = 12


def cell_items(report: Report, truth: int, predicted: int) -> list[Prediction]:
    """Return the test items of one cell of the confusion matrix, the most confident first."""
    found = [item for item in report.predictions if item.truth == truth and item.predicted == predicted]
    return sorted(found, key=lambda item: -item.probabilities[predicted])


def names(report: Report, labels: Sequence[int]) -> str:
    """Return the names of some classes for Markdown."""
    return tell(", ".join(report.classes[label] for label in labels) or "none of the labels")


def show_predictions(report: Report, dataset: Dataset | None, found: Sequence[Prediction], key: str) -> None:
    """Show test items page by page: what each is, and what the model said how surely."""
    if dataset is None:
        st.caption("The data set of this run is no longer in the workspace, so its items cannot be shown.")
        return
    pages = max(1, -(-len(found) // PAGE))
    at = st.pagination(pages, key=f"{key}_page") if pages > 1 else 1
    shown = found[(at - 1) * PAGE : at * PAGE]
    captions = {}
    for item in shown:
        said, is_ = names(report, item.predicted_labels), names(report, item.labels)
        sure = "" if report.multilabel else f", {item.confidence:.0%} sure"
        captions[item.row] = (
            f":green[:material/check:] **{said}**{sure}"
            if item.right
            else f":red[:material/close:] **{said}**{sure}; labelled {is_}"
        )
    show_items(dataset, [item.row for item in shown], captions, f"{key}_items")


def mistakes(report: Report) -> None:
    """Draw the wrong items, the most confident first."""
    wrong = errors(report)
    if not wrong:
        st.success("Every test item was right.", icon=":material/check_circle:")
        return
    st.caption("The surest mistakes come first. They often show a wrong label, or two classes that overlap.")
    show_predictions(report, session.open_dataset(report.fingerprint), wrong, "results_wrong")
