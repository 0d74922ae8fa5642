"""The model and its from-scratch baseline as one download, their answers averaged."""

from pathlib import Path

import streamlit as st

from tl_core.evaluation.result_files import ensemble_folder
from tl_core.evaluation.results import Report
from tl_core.export.archive import zip_bundle
from ui import words


def offer(run_folder: Path, report: Report, slug: str) -> None:
    """Offer the two as a download where the baseline was measured; nothing where it was not."""
    folder = ensemble_folder(run_folder)
    if not folder.is_dir():
        return

    def packed() -> bytes:
        return zip_bundle(folder, run_folder / f"{slug}-both.zip").read_bytes()

    st.markdown("**Or both networks as one model**")
    for finding in report.findings:
        if finding.code == "ensemble":
            st.caption(words.tell(finding.message))
    st.download_button(
        "Download both, averaged",
        packed,
        file_name=f"{slug}-both.zip",
        mime="application/zip",
        icon=":material/join:",
        on_click="ignore",
        key="try_download_both",
        help="This model and the one from scratch, each whole, and a predict.py that averages what they answer.",
    )
