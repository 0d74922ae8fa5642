"""Trying the model on many items at once."""

from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tl_core.background import delete_upload
from tl_core.errors import GraftError
from tl_core.evaluation.results import HALF, Report
from tl_core.types import Modality
from ui import errors, session, words
from ui.try_out import predictor
from ui.try_out.single import TOP
from ui.uploads import uploader

TABLES = ["zip", "csv", "tsv", "txt", "xlsx", "jsonl", "ndjson", "json", "parquet"]
MANY: dict[Modality, tuple[str, list[str]]] = {
    "image": ("pictures in a zip", ["zip"]),
    "text": ("texts: a table (CSV, XLSX, JSON lines or Parquet) or a zip", TABLES),
    "multimodal": ("pictures with texts: a zip with the pictures, and a table that names them and has texts", ["zip"]),
}
BEGINS = "Begins with"
ROWS = 1000


def _show(bar: DeltaGenerator, done: float, text: str) -> None:
    bar.progress(done, text=text)


def _left_out(skipped: tuple[tuple[str, str], ...]) -> None:
    if skipped:
        with st.expander(f"{words.plural(len(skipped), 'file')} left out", icon=":material/info:", key="try_left_out"):
            st.markdown("\n".join(f"- {words.escape(item)}: {words.escape(reason)}" for item, reason in skipped[:ROWS]))


def _counts(table: pd.DataFrame) -> pd.Series:
    """Return the number of items predicted to have each label, the most frequent first."""
    return (table.iloc[:, 2:] > HALF).sum().sort_values(ascending=False)


def _first_rows(predictions: predictor.Predictions) -> pd.DataFrame:
    """Return the first rows; for texts, with a column that shows how each text begins."""
    rows = predictions.table.head(ROWS).copy()
    texts = list(predictions.texts[: len(rows)])
    if texts and BEGINS not in rows:
        rows.insert(1, BEGINS, texts + [""] * (len(rows) - len(texts)))
    return rows


def batch(bundle: Path, report: Report) -> None:
    """Classify many items at once, and offer the table of predictions for download."""
    kind, suffixes = MANY[predictor.modality(bundle)]
    st.write(f"Upload many {kind}. You get a table with the predicted class and a probability for each class.")
    uploaded = uploader("A batch", suffixes, "try_batch")
    if uploaded:
        st.session_state.pop("try_table", None)
        bar = st.progress(0.0, text="Loading the model")
        try:
            predictions = predictor.predict(bundle, uploaded, lambda done, text: _show(bar, done, text))
            st.session_state["try_table"] = (uploaded.stem, predictions)
        except GraftError as error:
            errors.show(error)
        finally:
            bar.empty()
            delete_upload(uploaded, session.workspace())
    if "try_table" not in st.session_state:
        return
    name, predictions = st.session_state["try_table"]
    table = predictions.table
    st.markdown(f"**{words.plural(len(table), 'item')} classified**")
    counts = _counts(table) if report.multilabel else table["predicted"].value_counts()
    st.caption(" · ".join(f"{words.escape(str(label))}: {count:,}" for label, count in counts.head(TOP).items()))
    _left_out(predictions.skipped)
    bars = {
        str(column): st.column_config.ProgressColumn(str(column), min_value=0, max_value=1, format="percent")
        for column in table.columns[2:]
    }
    titles = {"item": st.column_config.Column("Item"), "predicted": st.column_config.Column("Predicted")}
    st.dataframe(
        _first_rows(predictions),
        hide_index=True,
        column_config=bars | titles,
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
