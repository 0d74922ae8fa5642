"""The receipt of an import: which items were taken, converted or skipped, and why."""

import math
import re
from pathlib import Path

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.types import noun
from ui import session
from ui.words import escape, plural

PAGE = 100
TAKEN = "taken unchanged"


def draw(dataset: Dataset) -> None:
    """Draw the receipt in an expander."""
    if dataset.origins:
        st.caption(":material/search: " + "; ".join(escape(str(origin)) for origin in dataset.origins) + ".")
    taken = plural(dataset.receipt.taken, *(noun(dataset.modality, count) for count in (1, 2)))
    if not dataset.receipt.lines:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f":material/check: The whole source was taken unchanged: {taken}.", width="stretch")
            _download(dataset)
        return
    counts = [f"{dataset.receipt.converted:,} of them converted"] if dataset.receipt.converted else []
    counts += [f"{dataset.receipt.skipped:,} skipped"] if dataset.receipt.skipped else []
    label = ", ".join([f"Receipt: {taken} taken", *counts])
    with st.expander(label, icon=":material/receipt_long:", key="data_receipt"):
        st.fragment(_lines)(dataset)
        _download(dataset)


def table(dataset: Dataset) -> pd.DataFrame:
    """Return one row for each item that was converted or skipped, with the reason."""
    lines = [(line.item, line.action, line.reason) for line in dataset.receipt_lines()]
    return pd.DataFrame(lines, columns=["Item", "What", "Why"], dtype=object)


def reasons(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the number of items for each reason, the most frequent first. Numbers in a reason are ignored."""
    kinds = lines.assign(Kind=lines["Why"].map(kind))
    counts = kinds.groupby(["What", "Kind"], sort=False)["Why"].agg(Items="size", Why="first", several="nunique")
    counts = counts.reset_index().sort_values(["What", "Items"], ascending=[False, False], kind="stable")
    counts["Why"] = counts["Why"].where(counts["several"] == 1, counts["Kind"])
    return counts[["What", "Why", "Items", "Kind"]].reset_index(drop=True)


def kind(reason: str) -> str:
    """Return a reason with an ellipsis in place of each number."""
    return re.sub(r"\d[\d,.]*(?<=\d)", "…", reason)


def csv(dataset: Dataset) -> bytes:
    """Return the receipt of every item, also of those taken unchanged, as CSV for spreadsheets."""
    lines = table(dataset)
    unchanged = dataset.items["id"][~dataset.items["id"].isin(set(lines["Item"][lines["What"] == "converted"]))]
    receipt = pd.concat([lines, pd.DataFrame({"Item": unchanged, "What": TAKEN, "Why": ""})], ignore_index=True)
    return receipt.to_csv(index=False).encode("utf-8-sig")


def _lines(dataset: Dataset) -> None:
    """Draw the counts by reason, and the items of one or all reasons, page by page. The body of a fragment."""
    version = (dataset.folder / "dataset.json").stat().st_mtime_ns
    lines, counts = _receipt_tables(str(dataset.folder), version)
    shown = counts[["What", "Why", "Items"]].assign(What=counts["What"].str.capitalize())
    st.dataframe(shown, hide_index=True, key="data_receipt_counts")
    names = {row.Kind + row.What: f"{row.What.capitalize()}: {row.Why}" for row in counts.itertuples()}
    chosen = st.selectbox(
        "Show", ["", *names], format_func=lambda reason: names.get(reason, "Every item"), key="data_receipt_reason"
    )
    if chosen:
        lines = lines[(lines["Why"].map(kind) + lines["What"]) == chosen]
    pages = math.ceil(len(lines) / PAGE)
    place = st.container()
    page = st.pagination(pages, key=f"data_receipt_page_{chosen}") if pages > 1 else 1
    place.dataframe(lines.iloc[(page - 1) * PAGE : page * PAGE], hide_index=True, key="data_receipt_table")


@st.cache_data(show_spinner=False, max_entries=4)
def _receipt_tables(folder: str, version: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    dataset = session.open_dataset(Path(folder).name)
    lines = table(dataset) if dataset else pd.DataFrame(columns=["Item", "What", "Why"])
    return lines, reasons(lines)


def _download(dataset: Dataset) -> None:
    st.download_button(
        "Download the receipt", lambda: csv(dataset), f"receipt {dataset.name[:60]}.csv", "text/csv", type="tertiary",
        key="data_receipt_download", on_click="ignore", icon=":material/download:",
        help="A list of all items of the source, with what happened to each.",
    )  # fmt: skip
