"""Reports for the pages: reading them, intervals in words, how often the test items were used."""

from pathlib import Path

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.holdout_log import count_holdout_uses
from tl_core.data.split import SplitSpec
from tl_core.evaluation import result_files
from tl_core.evaluation.result_files import REPORT
from tl_core.evaluation.results import Report
from tl_core.runs.store import RunState
from tl_core.types import Estimate
from ui.runs import lookup


def read_report(run: RunState) -> Report | None:
    """Return the report of a run; None if it was not measured, or not yet."""
    folder = lookup.store().folder(run.id)
    path = folder / REPORT
    return _read(str(folder), path.stat().st_mtime_ns) if path.is_file() else None


@st.cache_resource(show_spinner=False, max_entries=16)
def _read(folder: str, version: int) -> Report | None:
    return result_files.read_report(Path(folder))


def interval(estimate: Estimate, points: bool = False) -> str:
    """Return the confidence interval in words: "between 84% and 95%", or in percentage points."""
    if points:
        return f"between {100 * estimate.low:+.1f} and {100 * estimate.high:+.1f} points"
    return f"between {estimate.low:.1%} and {estimate.high:.1%}"


def holdout_caption(dataset: Dataset, split: SplitSpec | None = None) -> None:
    """Show how often the test items were used to measure something; nothing if never.

    `split` is the split whose test items are meant; None means the split of the data set now.
    """
    if split and split != dataset.split:
        dataset = _with_split(dataset, dataset.fingerprint, split)
    n, finding = count_holdout_uses(dataset)
    if n:
        text = finding.message if finding else f"The test items were used {'once' if n == 1 else f'{n:,} times'}."
        st.caption(
            f":material/visibility: {text}",
            help="Each model that is measured on them counts once, and so does each data-efficiency curve.",
        )


@st.cache_resource(show_spinner=False, max_entries=2)
def _with_split(_dataset: Dataset, fingerprint: str, split: SplitSpec) -> Dataset:
    return _dataset.with_split(split)
