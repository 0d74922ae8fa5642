"""Trying the model on one item."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.errors import GraftError
from tl_core.evaluation.results import Report
from ui import errors, words
from ui.items import show_image
from ui.try_out import predictor
from ui.uploads import uploader

IMAGES = ["jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp"]
LONGEST = 60
TOP = 5


def one_image(bundle: Path, report: Report, dataset: Dataset | None) -> None:
    """Classify a picture: an upload, or one of the test items."""
    left, right = st.columns(2, gap="large")
    with left:
        uploaded = uploader("A picture", IMAGES, "try_image")
        if uploaded:
            st.session_state["try_source"] = (str(uploaded), None)
        picked = _pick(report, dataset)
        if picked is not None and dataset is not None:
            path = dataset.folder / str(dataset.items["path"].iloc[picked])
            st.session_state["try_source"] = (str(path), _truth(report, picked))
    source, truth = st.session_state.get("try_source", ("", None))
    if not source or not Path(source).is_file():
        return
    with right:
        show_image(Path(source), "The picture to classify", width=280)
        asked = f"{bundle}|{source}"
        answer(asked, report, truth, lambda tell: predictor.predict(bundle, Path(source), tell))


def one_text(bundle: Path, report: Report, dataset: Dataset | None) -> None:
    """Classify a text: typed, or one of the test items."""
    left, right = st.columns(2, gap="large")
    with left:
        picked = _pick(report, dataset)
        if picked is not None and dataset is not None:
            st.session_state["try_text"] = str(dataset.items["text"].iloc[picked])
            st.session_state["try_truth"] = _truth(report, picked)
        text = st.text_area("A text", key="try_text", height=220, placeholder="Type or paste a text", max_chars=100_000)
        go = st.button(
            "Classify", type="primary", icon=":material/play_arrow:", key="try_go", disabled=not text.strip()
        )
        if go or picked is not None:
            st.session_state["try_asked"] = text
            if go and picked is None and not _is_test_item(text, dataset):
                st.session_state["try_truth"] = None
        truth = st.session_state.get("try_truth")
    asked = st.session_state.get("try_asked", "")
    if asked.strip():
        with right:
            answer(f"{bundle}|{asked}", report, truth, lambda tell: predictor.predict_text(bundle, asked, tell))


def _truth(report: Report, row: int) -> tuple[str, ...]:
    """Return the labels of a test item."""
    item = next(item for item in report.predictions if item.row == row)
    return tuple(report.classes[label] for label in item.labels)


def _is_test_item(text: str, dataset: Dataset | None) -> bool:
    return dataset is not None and bool((dataset.items["text"] == text).any())


def _pick(report: Report, dataset: Dataset | None) -> int | None:
    """Offer a random test item, which the training never saw; return its row, for one run."""
    if dataset is None or not report.predictions:
        return None
    if not st.button("Take one from the test items", icon=":material/casino:", key="try_pick"):
        return None
    turn = st.session_state.get("try_turn", 0)
    st.session_state["try_turn"] = turn + 1
    return report.predictions[(turn * 7919 + 13) % len(report.predictions)].row


def answer(
    about: str,
    report: Report,
    truth: tuple[str, ...] | None,
    ask: Callable[[predictor.OnProgress], predictor.Predictions],
) -> None:
    """Show the model's answer, beside the true labels where these are known; nothing is asked a second time."""
    known: dict[str, pd.DataFrame] = st.session_state.setdefault("try_answers", {})
    if about not in known:
        try:
            with st.spinner("Asking the model…", show_time=True):
                known[about] = ask(lambda done, text: None).table
        except GraftError as error:
            errors.show(error)
            return
    probabilities = predictor.probabilities(known[about])
    said = predictor.said(probabilities, report.multilabel)
    same = truth is not None and set(truth) == set(said)
    mark = "" if truth is None else ":green[:material/check:] " if same else ":red[:material/close:] "
    st.markdown(f"### {mark}{_names(said)}")
    is_ = "" if truth is None else "the same" if same else _names(truth)
    if report.multilabel:
        st.caption("Each label has a probability of its own; above 50% counts." + (f" Labelled: {is_}." if is_ else ""))
    else:
        st.caption(f"{probabilities[said[0]]:.0%} sure" + (f"; the label says {is_}" if is_ else ""))
    for name, value in list(probabilities.items())[: max(TOP, len(said))]:
        st.progress(min(1.0, value), text=f"{words.tell(name[:LONGEST])} · {value:.1%}")


def _names(labels: Sequence[str]) -> str:
    return words.tell(", ".join(labels)) if labels else "none of the labels"
