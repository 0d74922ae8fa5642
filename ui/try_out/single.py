"""Trying the model on one item: a picture, a text, or a random test item."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.errors import GraftError
from tl_core.evaluation.results import Report
from ui import errors, glossary, words
from ui.items import show_image
from ui.try_out import predictor
from ui.uploads import uploader

IMAGES = ["jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp"]
LONGEST = 60
"""Characters of a class name."""
TOP = 5
"""Classes that are listed."""


def one_image(bundle: Path, report: Report, dataset: Dataset | None) -> None:
    """Classify a picture: an upload or a test item."""
    left, right = st.columns(2, gap="large")
    with left:
        uploaded = uploader("A picture", IMAGES, "try_image")
        if uploaded:
            st.session_state["try_source"] = (str(uploaded), None)
        row = random_test_item(report, dataset)
        if row is not None and dataset is not None:
            path = dataset.folder / str(dataset.items["path"].iloc[row])
            st.session_state["try_source"] = (str(path), true_labels(report, row))
    source, truth = st.session_state.get("try_source", ("", None))
    if not source or not Path(source).is_file():
        return
    with right:
        show_image(Path(source), "The picture to classify", width=280)
        question = f"{bundle}|{source}"
        answer(question, report, truth, partial(predictor.predict, bundle, Path(source)))


def one_text(bundle: Path, report: Report, dataset: Dataset | None) -> None:
    """Classify a text: typed or a test item."""
    left, right = st.columns(2, gap="large")
    with left:
        row = random_test_item(report, dataset)
        if row is not None and dataset is not None:
            st.session_state["try_text"] = str(dataset.items["text"].iloc[row])
            st.session_state["try_truth"] = true_labels(report, row)
        text = st.text_area("A text", key="try_text", height=220, placeholder="Type or paste a text", max_chars=100_000)
        go = st.button(
            "Classify", type="primary", icon=":material/play_arrow:", key="try_go", disabled=not text.strip()
        )
        if go or row is not None:
            st.session_state["try_asked"] = text
            if go and row is None and not _is_test_item(text, dataset):
                st.session_state["try_truth"] = None
        truth = st.session_state.get("try_truth")
    asked = st.session_state.get("try_asked", "")
    if asked.strip():
        with right:
            answer(
                f"{bundle}|{asked}",
                report,
                truth,
                lambda on_progress: predictor.predict_text(bundle, asked, on_progress),
            )


def true_labels(report: Report, row: int) -> tuple[str, ...]:
    """Return the true labels of the test item in this row."""
    item = next(item for item in report.predictions if item.row == row)
    return tuple(report.classes[label] for label in item.labels)


def _is_test_item(text: str, dataset: Dataset | None) -> bool:
    return dataset is not None and bool((dataset.items["text"] == text).any())


def random_test_item(report: Report, dataset: Dataset | None) -> int | None:
    """Offer a random test item, which the model never learned from; return its row, for one rerun."""
    if dataset is None or not report.predictions:
        return None
    if not st.button("Try a random test item", icon=":material/casino:", key="try_pick"):
        return None
    turn = st.session_state.get("try_turn", 0)
    st.session_state["try_turn"] = turn + 1
    return report.predictions[(turn * 7919 + 13) % len(report.predictions)].row


def answer(
    question: str,
    report: Report,
    truth: tuple[str, ...] | None,
    ask: Callable[[predictor.OnProgress], predictor.Predictions],
) -> None:
    """Show the prediction, with the true labels if they are known. `question` is the key under which it is kept."""
    answers: dict[str, pd.DataFrame] = st.session_state.setdefault("try_answers", {})
    if question not in answers:
        try:
            with st.spinner("Classifying…", show_time=True):
                answers[question] = ask(lambda done, text: None).table
        except GraftError as error:
            errors.show(error)
            return
    probabilities = predictor.probabilities(answers[question])
    predicted = predictor.predicted_labels(probabilities, report.multilabel)
    right = truth is not None and set(truth) == set(predicted)
    mark = "" if truth is None else ":green[:material/check:] " if right else ":red[:material/close:] "
    st.markdown(f"### {mark}{_names(predicted)}")
    label = "" if truth is None else "the same" if right else _names(truth)
    if report.multilabel:
        st.caption(
            "Each label has its own probability. Above 50% it counts as predicted."
            + (f" True labels: {label}." if label else "")
        )
    else:
        st.caption(
            f"{probabilities[predicted[0]]:.0%} confident" + (f"; the true label is {label}" if label else ""),
            help=glossary.tip("confidence", "calibration"),
        )
    for name, value in list(probabilities.items())[: max(TOP, len(predicted))]:
        st.progress(min(1.0, value), text=f"{words.escape(name[:LONGEST])} · {value:.1%}")


def _names(labels: Sequence[str]) -> str:
    return words.escape(", ".join(labels)) if labels else "none of the labels"
