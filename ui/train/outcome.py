"""After the training: how it ended, and the next step."""

from pathlib import Path
from typing import Literal

import streamlit as st

from tl_core.runs.failure import LOG
from tl_core.runs.store import RunState
from ui import rail, session, words
from ui.runs import launch, lookup, requests


def outcome(state: RunState) -> None:
    """Say how a run ended, and offer the next step."""
    if state.status in ("done", "stopped"):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            accuracy = state.numbers.get("accuracy")
            told = f" It gets {accuracy:.0%} of the test items right." if accuracy is not None else ""
            if "exact" in state.numbers:  # items with several labels
                told = f" On the test items: {words.score(state.numbers)}."
            st.markdown(
                f"**{'The model is ready.' if state.status == 'done' else 'Stopped; the best is kept.'}**{told}"
            )
            st.space("stretch")
            if state.resumable:
                go_on(state.id, "secondary")
            if st.button("See the results", type="primary", icon=":material/insights:", key="train_results"):
                rail.go("results")
        return
    tone = st.error if state.status == "failed" else st.warning
    reason = words.tell(state.reason or "The training did not finish.")
    tone(f"**{reason}**\n\n{words.tell(state.hint)}")
    details = last_lines(lookup.store().folder(state.id) / LOG)
    if "Traceback" in details:
        with st.expander("Details for whoever looks into it", icon=":material/bug_report:", key="train_details"):
            st.code(details, language=None, wrap_lines=True)
    with st.container(horizontal=True, key="train_recover"):
        if state.resumable:
            go_on(state.id, "primary")
        if st.button(
            "Start again",
            type="secondary" if state.resumable else "primary",
            icon=":material/replay:",
            key="train_again",
        ):
            session.update(run=launch.restart(state))
            st.rerun()


def go_on(run_id: str, kind: Literal["primary", "secondary"]) -> None:
    """Draw the button that goes on with a run that ended early."""
    tip = "What was learned up to the last saved state is kept; only the rest is done."
    if st.button("Go on", type=kind, icon=":material/play_arrow:", help=tip, key="train_go_on"):
        requests.go_on(run_id)
        st.rerun()


def last_lines(path: Path, size: int = 3000) -> str:
    """Return the end of a log, "" where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
