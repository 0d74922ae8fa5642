"""After the training: how it ended, and the next step."""

from pathlib import Path
from typing import Literal

import streamlit as st

from tl_core.runs.failure import LOG
from tl_core.runs.store import RunState
from ui import rail, session, words
from ui.runs import launch, lookup, requests


def outcome(state: RunState) -> None:
    """Show how a run ended, and offer the next step."""
    if state.status in ("done", "stopped"):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            accuracy = state.numbers.get("accuracy")
            result = f" It gets {accuracy:.0%} of the test items right." if accuracy is not None else ""
            if "exact" in state.numbers:  # multi-label
                result = f" On the test items: {words.score_text(state.numbers)}."
            ending = "The model is ready." if state.status == "done" else "Stopped. The best weights are kept."
            st.markdown(f"**{ending}**{result}")
            st.space("stretch")
            if state.resumable:
                resume_button(state.id, "secondary")
            if st.button("See the results", type="primary", icon=":material/insights:", key="train_results"):
                rail.go("results")
        return
    tone = st.error if state.status == "failed" else st.warning
    reason = words.escape(state.reason or "The training did not finish.")
    tone(f"**{reason}**\n\n{words.escape(state.hint)}")
    details = last_lines(lookup.store().folder(state.id) / LOG)
    if "Traceback" in details:
        with st.expander("Details of the error", icon=":material/bug_report:", key="train_details"):
            st.code(details, language=None, wrap_lines=True)
    with st.container(horizontal=True, key="train_recover"):
        if state.resumable:
            resume_button(state.id, "primary")
        if st.button(
            "Start again",
            type="secondary" if state.resumable else "primary",
            icon=":material/replay:",
            key="train_again",
        ):
            session.update(run=launch.restart(state))
            st.rerun()


def resume_button(run_id: str, kind: Literal["primary", "secondary"]) -> None:
    """Draw the button that resumes a run that ended early."""
    tip = "Continues from the last saved state. What was learned until then is kept."
    if st.button("Resume", type=kind, icon=":material/play_arrow:", help=tip, key="train_go_on"):
        requests.resume(run_id)
        st.rerun()


def last_lines(path: Path, size: int = 3000) -> str:
    """Return the last `size` bytes of a log as text; "" if there is no log."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
