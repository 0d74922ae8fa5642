"""What is going on around the backbones, so that the page follows it: arrivals, downloads, measurements."""

import streamlit as st

from tl_core import fetch_jobs
from tl_core.backbones import acquire
from tl_core.backbones.spec import BACKBONES
from ui import session
from ui.backbone.entries import JOB

FOCUS = "backbone_focus"
"""Session key of the model whose card is shown, by its id in the tree."""
_SEEN = "backbone_seen"


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


def changed(*others: bool) -> bool:
    """Return whether a fetch or any of the `others` (a measurement, a list) began or ended since the last drawing."""
    jobs = fetch_jobs.fetches(session.workspace())
    now = (any(others) or any(job.active for job in jobs), tuple((job.id, job.state.status) for job in jobs), others)
    before = st.session_state.get(_SEEN)
    st.session_state[_SEEN] = now
    return before != now


def busy() -> bool:
    """Return whether something was going on when the page was last drawn."""
    return bool(st.session_state.get(_SEEN, (False,))[0])
