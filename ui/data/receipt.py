"""The receipt of an import: what was taken, converted and skipped, and why; counts first, then every item."""

import math
import re
from pathlib import Path

import pandas as pd
import streamlit as st

from tl_core.data.dataset import Dataset
from ui import rail, session
from ui.words import plural

PAGE = 100
TAKEN = "taken as it is"


def draw(dataset: Dataset) -> None:
    """Draw the receipt, unfolded on request."""
    taken = plural(dataset.receipt.taken, *(rail.noun(dataset.modality, count) for count in (1, 2)))
    if not dataset.receipt.lines:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f":material/check: All of the source was taken as it is: {taken}.", width="stretch")
            _download(dataset)
        return
    said = [f"{dataset.receipt.converted:,} of them converted"] if dataset.receipt.converted else []
    said += [f"{dataset.receipt.skipped:,} skipped"] if dataset.receipt.skipped else []
    label = ", ".join([f"Receipt: {taken} taken", *said])
    with st.expander(label, icon=":material/receipt_long:", key="data_receipt"):
        st.fragment(_lines)(dataset)
        _download(dataset)


def table(dataset: Dataset) -> pd.DataFrame:
    """Return every line that is not simply "taken", with its reason."""
    lines = [(line.item, line.action, line.reason) for line in dataset.receipt_lines()]
    return pd.DataFrame(lines, columns=["Item", "What", "Why"], dtype=object)


def reasons(lines: pd.DataFrame) -> pd.DataFrame:
    """Return how often each reason stands there, the most frequent first; reasons differ by more than their numbers."""
    kinds = lines.assign(Kind=lines["Why"].map(kind))
    counts = kinds.groupby(["What", "Kind"], sort=False)["Why"].agg(Items="size", Why="first", several="nunique")
    counts = counts.reset_index().sort_values(["What", "Items"], ascending=[False, False], kind="stable")
    counts["Why"] = counts["Why"].where(counts["several"] == 1, counts["Kind"])
    return counts[["What", "Why", "Items", "Kind"]].reset_index(drop=True)


def kind(reason: str) -> str:
    """Return a reason without the numbers in it."""
    return re.sub(r"\d[\d,.]*(?<=\d)", "…", reason)


def csv(dataset: Dataset) -> bytes:
    """Return a line for each item of the source, also for those that were simply taken, as CSV for spreadsheets."""
    lines = table(dataset)
    plain = dataset.items["id"][~dataset.items["id"].isin(set(lines["Item"][lines["What"] == "converted"]))]
    whole = pd.concat([lines, pd.DataFrame({"Item": plain, "What": TAKEN, "Why": ""})], ignore_index=True)
    return whole.to_csv(index=False).encode("utf-8-sig")


def _lines(dataset: Dataset) -> None:
    """Draw counts by reason, and the items of one or all of them a page at a time. A fragment."""
    version = (dataset.folder / "dataset.json").stat().st_mtime_ns
    lines, counts = _known(str(dataset.folder), version)
    shown = counts[["What", "Why", "Items"]].assign(What=counts["What"].str.capitalize())
    st.dataframe(shown, hide_index=True, key="data_receipt_counts")
    names = {row.Kind + row.What: f"{row.What.capitalize()}: {row.Why}" for row in counts.itertuples()}
    picked = st.selectbox(
        "Show", ["", *names], format_func=lambda each: names.get(each, "Every item"), key="data_receipt_reason"
    )
    if picked:
        lines = lines[(lines["Why"].map(kind) + lines["What"]) == picked]
    pages = math.ceil(len(lines) / PAGE)
    place = st.container()
    page = st.pagination(pages, key=f"data_receipt_page_{picked}") if pages > 1 else 1
    place.dataframe(lines.iloc[(page - 1) * PAGE : page * PAGE], hide_index=True, key="data_receipt_table")


@st.cache_data(show_spinner=False, max_entries=4)
def _known(folder: str, version: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    dataset = session.open_dataset(Path(folder).name)
    lines = table(dataset) if dataset else pd.DataFrame(columns=["Item", "What", "Why"])
    return lines, reasons(lines)


def _download(dataset: Dataset) -> None:
    st.download_button(
        "Download the receipt", lambda: csv(dataset), f"receipt {dataset.name[:60]}.csv", "text/csv", type="tertiary",
        key="data_receipt_download", on_click="ignore", icon=":material/download:",
        help="Every item of the source, and what became of it.",
    )  # fmt: skip
