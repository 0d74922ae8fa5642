"""The ensemble of the model and its from-scratch baseline, as one download."""

from pathlib import Path

import streamlit as st

from tl_core.evaluation.result_files import ensemble_folder
from tl_core.evaluation.results import Report
from tl_core.export.archive import zip_bundle
from ui import words


def offer(run_folder: Path, report: Report, slug: str) -> None:
    """Offer the ensemble as a download; nothing if the baseline was not trained."""
    folder = ensemble_folder(run_folder)
    if not folder.is_dir():
        return

    def packed() -> bytes:
        return zip_bundle(folder, run_folder / f"{slug}-both.zip").read_bytes()

    st.markdown("**Or an ensemble of both networks**")
    for finding in report.findings:
        if finding.code == "ensemble":
            st.caption(words.escape(finding.message))
    st.download_button(
        "Download the ensemble",
        packed,
        file_name=f"{slug}-both.zip",
        mime="application/zip",
        icon=":material/join:",
        on_click="ignore",
        key="try_download_both",
        help="This model, the one trained from scratch, and a predict.py that averages their probabilities.",
    )
