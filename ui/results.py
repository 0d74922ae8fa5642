"""Results as a person reads them: numbers with their intervals in words, tables, verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tl_core.data.dataset import Dataset
from tl_core.data.looked import looked
from tl_core.data.split import SplitSpec
from tl_core.evaluation import saved
from tl_core.evaluation.results import Prediction, Report
from tl_core.evaluation.saved import REPORT
from tl_core.runs.store import RunState
from tl_core.types import Estimate
from ui import running
from ui.items import show_items
from ui.words import tell

PAGE = 12
AREA = (
    "Take an item that has a label and one that has not: how often the model finds the label more likely for the "
    "first. 50 % is guessing."
)


def read_report(run: RunState) -> Report | None:
    """Return what was measured of a run, None where nothing was (yet)."""
    folder = running.store().folder(run.id)
    path = folder / REPORT
    return _read(str(folder), path.stat().st_mtime_ns) if path.is_file() else None


@st.cache_resource(show_spinner=False, max_entries=16)
def _read(folder: str, version: int) -> Report | None:
    return saved.read_report(Path(folder))


def interval(estimate: Estimate, points: bool = False) -> str:
    """Return the interval in words: "between 84% and 95%", or in percentage points."""
    if points:
        return f"between {100 * estimate.low:+.1f} and {100 * estimate.high:+.1f} points"
    return f"between {estimate.low:.1%} and {estimate.high:.1%}"


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


def looks_caption(dataset: Dataset, split: SplitSpec | None = None) -> None:
    """Say how often the test items of a data set, perhaps under another split, were looked at, where they were."""
    if split and split != dataset.split:
        dataset = _under(dataset, dataset.fingerprint, split)
    n, finding = looked(dataset)
    if n:
        text = finding.message if finding else f"The test items were looked at {'once' if n == 1 else f'{n:,} times'}."
        st.caption(
            f":material/visibility: {text}",
            help="Each model that is measured on them is one look, and so is each curve of how results grow.",
        )


@st.cache_resource(show_spinner=False, max_entries=2)
def _under(_dataset: Dataset, fingerprint: str, split: SplitSpec) -> Dataset:
    return _dataset.split_by(split)


def _guess(report: Report) -> float:
    counts = np.sum(report.confusion, axis=1)
    return float(counts.max() / max(1, counts.sum()))


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
        said, is_ = names(report, item.said), names(report, item.labels)
        sure = "" if report.multilabel else f", {item.sureness:.0%} sure"
        captions[item.row] = (
            f":green[:material/check:] **{said}**{sure}"
            if item.right
            else f":red[:material/close:] **{said}**{sure}; labelled {is_}"
        )
    show_items(dataset, [item.row for item in shown], captions, f"{key}_items")
