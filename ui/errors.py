"""Errors as a person sees them: one sentence and what to do, never a traceback."""

import logging
import uuid
from collections.abc import Callable

import streamlit as st

from tl_core.errors import GraftError
from tl_core.markdown import escape

log = logging.getLogger("graft.ui")


def show(error: GraftError) -> None:
    """Show a foreseen error: what happened, and what to do."""
    hint = f"\n\n{escape(error.hint, links=True)}" if error.hint else ""
    st.error(f"**{escape(error.message)}**{hint}", icon=":material/error:")


def unexpected(error: Exception) -> bool:
    """Log an unforeseen error and show where to find the details. Returns True: Streamlit need not show it again."""
    if isinstance(error, GraftError):
        show(error)
        return True
    reference = uuid.uuid4().hex[:6]
    log.error("unexpected error %s", reference, exc_info=error)
    with st.container(border=True):
        st.subheader("Something went wrong on this page", anchor=False)
        st.write("Your work is saved. Try the page again. If it happens again, go one step back and return.")
        st.caption(f"The app's log has the details under reference {reference}.")
        st.button("Try again", icon=":material/refresh:", key=f"error_retry_{reference}")
    return True


def guard(run: Callable[[], None]) -> None:
    """Run a page; show an error instead of raising it."""
    try:
        run()
    except Exception as error:
        unexpected(error)
