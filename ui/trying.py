"""Trying a trained model: one item or a batch, and what the answer looks like."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tl_core.data.dataset import Dataset
from tl_core.errors import GraftError
from tl_core.evaluation.results import HALF, Report
from tl_core.intake import discard
from ui import errors, predict, session, words
from ui.items import show_image
from ui.uploads import uploader

IMAGES = ["jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp"]
TABLES = ["zip", "csv", "tsv", "txt", "xlsx", "jsonl", "ndjson", "json", "parquet"]
LONGEST = 60
BEGINS = "Begins with"
ROWS = 1000
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
        answer(asked, report, truth, lambda tell: predict.predict(bundle, Path(source), tell))


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
            answer(f"{bundle}|{asked}", report, truth, lambda tell: predict.predict_text(bundle, asked, tell))


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
    ask: Callable[[predict.OnProgress], predict.Predictions],
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
    probabilities = predict.probabilities(known[about])
    said = predict.said(probabilities, report.multilabel)
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


def _show(bar: DeltaGenerator, done: float, text: str) -> None:
    bar.progress(done, text=text)


def _left_out(skipped: tuple[tuple[str, str], ...]) -> None:
    if skipped:
        with st.expander(f"{words.plural(len(skipped), 'file')} left out", icon=":material/info:", key="try_left_out"):
            st.markdown("\n".join(f"- {words.tell(item)}: {words.tell(reason)}" for item, reason in skipped[:ROWS]))


def _counts(table: pd.DataFrame) -> pd.Series:
    """Return how many items were given each label, the most frequent first."""
    return (table.iloc[:, 2:] > HALF).sum().sort_values(ascending=False)


def _shown(found: predict.Predictions) -> pd.DataFrame:
    """Return the first rows; beside the number of a table's row stands how its text begins."""
    rows = found.table.head(ROWS).copy()
    texts = list(found.texts[: len(rows)])
    if texts and BEGINS not in rows:
        rows.insert(1, BEGINS, texts + [""] * (len(rows) - len(texts)))
    return rows


def batch(bundle: Path, report: Report) -> None:
    """Classify many items at once and hand the table out."""
    text = (bundle / "tokenizer.json").is_file()
    kind = "texts: a table (CSV, XLSX, JSON lines or Parquet) or a zip" if text else "pictures in a zip"
    st.write(f"Drop in many {kind}. You get a table with the answer and a probability for each class.")
    uploaded = uploader("A batch", TABLES if text else ["zip"], "try_batch")
    if uploaded:
        st.session_state.pop("try_table", None)
        bar = st.progress(0.0, text="Loading the model")
        try:
            found = predict.predict(bundle, uploaded, lambda done, text: _show(bar, done, text))
            st.session_state["try_table"] = (uploaded.stem, found)
        except GraftError as error:
            errors.show(error)
        finally:
            bar.empty()
            discard(uploaded, session.workspace())
    if "try_table" not in st.session_state:
        return
    name, found = st.session_state["try_table"]
    table = found.table
    st.markdown(f"**{words.plural(len(table), 'item')} classified**")
    counts = _counts(table) if report.multilabel else table["predicted"].value_counts()
    st.caption(" · ".join(f"{words.tell(str(label))}: {count:,}" for label, count in counts.head(TOP).items()))
    _left_out(found.skipped)
    shares = {
        str(column): st.column_config.ProgressColumn(str(column), min_value=0, max_value=1, format="percent")
        for column in table.columns[2:]
    }
    named = {"item": st.column_config.Column("Item"), "predicted": st.column_config.Column("Answer")}
    st.dataframe(
        _shown(found),
        hide_index=True,
        column_config=shares | named,
        key="try_rows",
        alt="Items with their predicted classes",
    )
    st.download_button(
        "Download the table",
        table.to_csv(index=False),
        file_name=f"{name}-predicted.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="try_table_download",
    )
