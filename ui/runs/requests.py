"""Requests to a run, from any page: pause, resume."""

from collections.abc import Callable

import streamlit as st

from tl_core.errors import GraftError
from tl_core.markdown import escape
from tl_core.runs import supervisor
from ui.runs import lookup


def send(action: Callable[[], object], done: str) -> None:
    """Send a request to a run, and show `done`; show the error if the run has just ended."""
    try:
        action()
    except GraftError as error:
        st.toast(escape(f"{error.message} {error.hint}".strip(), links=True), icon=":material/error:")
    else:
        st.toast(done, icon=":material/check:")


def pause(run_id: str) -> None:
    """Ask a run to pause."""
    send(lambda: lookup.store().pause(run_id), "Pausing after this step")


def resume(run_id: str) -> None:
    """Cancel a pause that has not begun, or queue a run that is paused or was interrupted."""
    send(lambda: supervisor.resume(lookup.store(), run_id), "Continues from where it stopped")
