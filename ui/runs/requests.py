"""Requests to a run, from any page: pause, go on."""

from collections.abc import Callable

import streamlit as st

from tl_core.errors import GraftError
from tl_core.runs import supervisor
from ui.runs import lookup


def ask(action: Callable[[], object], done: str) -> None:
    """Hand a request to a run; one that has just ended cannot take it."""
    try:
        action()
    except GraftError as error:
        st.toast(f"{error.message} {error.hint}".strip(), icon=":material/error:")
    else:
        st.toast(done, icon=":material/check:")


def pause(run_id: str) -> None:
    """Ask a run to wait."""
    ask(lambda: lookup.store().pause(run_id), "Pausing after this step")


def go_on(run_id: str) -> None:
    """Let a run go on that is about to pause, or queue one that is paused or was interrupted."""
    ask(lambda: supervisor.resume(lookup.store(), run_id), "It goes on from where it was")
