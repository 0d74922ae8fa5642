"""What is going on around the backbones, so that the page follows it: arrivals, downloads, measurements."""

from collections.abc import Callable

import streamlit as st

from tl_core import fetch_jobs
from tl_core.backbones import acquire
from tl_core.backbones.spec import BACKBONES
from ui import session
from ui.backbone.entries import JOB

FOCUS = "backbone_focus"
"""Session key of the model whose card is shown, by its id in the tree."""
_SEEN = "backbone_seen"
_WHOLE = "backbone_whole"
"""Session key that is true while the whole page is drawn, and not this part of it alone."""
_EVERY = 1.0  # seconds


def welcome() -> None:
    """Say that a backbone has arrived, and show its card where its fetch was shown."""
    workspace = session.workspace()
    for job in fetch_jobs.fetches(workspace):
        if job.state.status != "done":
            continue
        fetch_jobs.dismiss_fetch(workspace, job.id)
        if st.session_state.get(FOCUS) == f"{JOB}{job.id}":
            st.session_state[FOCUS] = _part(job.state.name)
        st.toast(f"{session.backbone_title(job.state.name)} is ready.", icon=":material/check:")


def _part(name: str) -> str:
    """Return the part of a network for pictures and texts that reads the project's data; else the network."""
    spec, dataset = session.find_backbone(name), session.dataset()
    if spec is None or dataset is None or spec.modality == dataset.modality:
        return name
    return acquire.other_part(spec, session.workspace()) or name


def show(job: fetch_jobs.FetchJob) -> None:
    """Show the card of a fetch that has just been started."""
    st.session_state[FOCUS] = job.request.what if job.request.what in BACKBONES else f"{JOB}{job.id}"


def live(body: Callable[[], None]) -> None:
    """Draw the part of the page that follows what is going on; `body` ends with `follow`.

    A rerun in the middle of a whole page would lose a click on what is drawn below it, so the page is drawn to its end
    and again a moment later.
    """
    before = _busy()
    st.session_state[_WHOLE] = True
    st.fragment(body, run_every=_EVERY if before else None, key="backbone_live")()
    if _busy() != before:
        st.fragment(_draw_again, run_every=_EVERY, key="backbone_again")()
    st.session_state[_WHOLE] = False


def follow(*others: bool) -> None:
    """Draw the page anew where a fetch or any of the `others` (a measurement, a list) began or ended."""
    if _changed(*others):
        _draw_again()


def _draw_again() -> None:
    if not st.session_state.get(_WHOLE):
        st.rerun()


def _changed(*others: bool) -> bool:
    jobs = fetch_jobs.fetches(session.workspace())
    now = (any(others) or any(job.active for job in jobs), tuple((job.id, job.state.status) for job in jobs), others)
    before = st.session_state.get(_SEEN)
    st.session_state[_SEEN] = now
    return before != now


def _busy() -> bool:
    """Return whether something was going on when the page was last drawn."""
    return bool(st.session_state.get(_SEEN, (False,))[0])
