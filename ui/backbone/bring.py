"""Bringing a backbone to this computer: what it takes, the button, the progress, and what went wrong."""

from dataclasses import dataclass

import streamlit as st

from tl_core import fetch_jobs
from tl_core.backbones import fetched
from tl_core.backbones.catalogue import short_name
from tl_core.backbones.hub.faults import no_room
from tl_core.backbones.hub.fetch import SPARE
from tl_core.backbones.licences import is_open
from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import GraftError
from tl_core.fetch_jobs import FetchJob, FetchRequest, FetchState
from ui import errors, session, words
from ui.backbone import arrivals

STAGES = {
    "starting": "Starting",
    "asking": "Asking what there is to download",
    "proving": "Checking that it can be trained in stages. A large network takes a minute or two",
}
NOT_STATED = "not stated"
GATED = "Its makers ask you to sign in to the hub and to accept their terms on its page first."
_PATHS = ("/", "~", ".")


@dataclass(frozen=True)
class Download:
    """What a download would bring: `what` the fetch is asked for, and what a person should know before."""

    what: str
    title: str
    bytes: int
    licence: str
    page: str
    access: str = ""

    @property
    def needs_consent(self) -> bool:
        """Whether a person has to say that they accept the terms."""
        return bool(self.access) or not is_open(self.licence)


def download_of(spec: BackboneSpec) -> Download:
    """Return the download of a registered backbone."""
    return Download(spec.name, spec.title, spec.weights.bytes, spec.licence, spec.source, spec.access)


def draw(download: Download, job: FetchJob | None, here: int = 0) -> None:
    """Draw the button that downloads, with what speaks against it; `here` bytes have arrived earlier."""
    if job and job.state.status == "failed":
        failure(job)
    missing = max(0, download.bytes - here)
    free = fetched.free_bytes(session.workspace().folder("backbones"))
    fits = missing + SPARE <= free
    if not fits:
        error = no_room(free, missing, SPARE)
        st.warning(f"**{words.escape(error.message)}** {words.escape(error.hint)}", icon=":material/hard_drive:")
    agreed = bool(job and job.request.agreed) or not download.needs_consent or _consent(download)
    with st.container(horizontal=True, vertical_alignment="center"):
        label = _label(download, job, here)
        pressed = st.button(
            label,
            type="primary",
            icon=":material/download:",
            disabled=not (fits and agreed),
            key=f"backbone_download_{fetch_jobs.job_id(download.what)}",
        )
        if pressed:
            start(FetchRequest(download.what, agreed=True))
        if here and not (job and job.active):
            drop_part(download, job)
    if fits:
        room = f"{words.size(free)} are free on the disk"
        st.caption(f"From {words.escape(download.page.split('//')[-1].split('/')[0])}, once for all projects. {room}.")


def start(request: FetchRequest) -> None:
    """Start a fetch, and run the page again with its card."""
    arrivals.show(fetch_jobs.start_fetch(session.workspace(), request))
    st.rerun()


def progress(job: FetchJob) -> None:
    """Draw how far a fetch is, with a button that cancels it."""
    state = job.state
    copying = job.request.what.startswith(_PATHS)
    share = min(1.0, state.done / state.total) if state.total else 0.0
    st.progress(share, text=_sentence(state, copying))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Cancel", icon=":material/close:", key=f"backbone_cancel_{job.id}"):
            fetch_jobs.stop_fetch(session.workspace(), job.id)
            st.rerun()
        kept = "nothing is kept" if copying else "what has arrived is kept"
        st.caption(f"You can leave or close this page; it goes on. If you cancel, {kept}.", width="stretch")


def failure(job: FetchJob) -> None:
    """Draw why a fetch failed."""
    with st.container(key=f"backbone_failed_{job.id}"):
        st.error(
            f"**{words.escape(job.state.message)}** {words.escape(job.state.hint, links=True)}", icon=":material/error:"
        )


def again(job: FetchJob, label: str = "Try again") -> None:
    """Draw the buttons that start a fetch once more, or forget it."""
    if job.state.done and job.state.total and not job.request.what.startswith(_PATHS):
        here = f"{words.size(job.state.done)} of {words.size(job.state.total)}"
        st.caption(f"{here} are here. They stay for some days, also if you dismiss this.")
    with st.container(horizontal=True):
        if st.button(label, type="primary", icon=":material/refresh:", key=f"backbone_again_{job.id}"):
            start(job.request)
        if st.button("Dismiss", type="tertiary", key=f"backbone_dismiss_{job.id}"):
            fetch_jobs.dismiss_fetch(session.workspace(), job.id)
            st.rerun()


def offered(job: FetchJob) -> None:
    """Say what the hub or torchvision would give for a name."""
    if offer := job.state.offer:
        st.markdown(
            f"[{words.escape(short_name(offer.name))}]({offer.page}) holds weights that can be tried: "
            f"**{words.size(offer.bytes)}**, licence: **{words.escape(offer.licence or NOT_STATED)}**. "
            f"Version {offer.name.rpartition('@')[2][:10]}."
        )


def take(job: FetchJob) -> None:
    """Draw the button that takes what is offered, and one that does not."""
    if offer := job.state.offer:
        licence, access = offer.licence or NOT_STATED, GATED if offer.gated else ""
        draw(Download(job.request.what, short_name(offer.name), offer.bytes, licence, offer.page, access), job)
    if st.button("Dismiss", type="tertiary", key=f"backbone_dismiss_{job.id}"):
        fetch_jobs.dismiss_fetch(session.workspace(), job.id)
        st.rerun()


def drop_part(download: Download, job: FetchJob | None) -> None:
    """Draw the button that deletes what has arrived of a download."""
    if not st.button("Delete what is here", type="tertiary", key=f"backbone_drop_{fetch_jobs.job_id(download.what)}"):
        return
    workspace = session.workspace()
    repo = download.page.rpartition("huggingface.co/")[2]
    try:
        for name in fetched.unfinished(workspace):
            if name.partition("@")[0] == f"hub:{repo}":
                fetched.delete(workspace, name)
    except GraftError as error:
        errors.show(error)
        return
    if job:
        fetch_jobs.dismiss_fetch(workspace, job.id)
    st.rerun()


def _consent(download: Download) -> bool:
    """Ask a person to accept the terms; return whether they do."""
    page = download.page
    stated = not download.licence.startswith(NOT_STATED)
    terms = f"{download.licence}" if stated else "its page, which states no licence"
    if download.access:
        st.caption(f":material/key: {words.escape(download.access)}")
    return st.checkbox(
        f"I have read and accept the terms of {words.escape(download.title)}: [{words.escape(terms)}]({page})"
        if stated
        else f"I have read [{terms}]({page}), and may use {words.escape(download.title)}",
        key=f"backbone_agree_{fetch_jobs.job_id(download.what)}",
    )


def _label(download: Download, job: FetchJob | None, here: int) -> str:
    total = (job.state.total if job else 0) or download.bytes
    if here:
        return f"Go on downloading ({words.part(here, total)} are here)"
    if job and job.state.status == "failed":
        return "Try again"
    return f"Download ({words.size(total)})" if total else "Download"


def _sentence(state: FetchState, copying: bool) -> str:
    if state.stage != "bringing":
        return STAGES[state.stage]
    parts = [f"{'Copying' if copying else 'Downloading'}: {words.part(state.done, state.total)}"]
    if state.speed > 0:
        parts.append(f"{words.size(state.speed)}/s")
    if state.seconds_left is not None and state.done < state.total:
        parts.append(f"about {words.seconds(state.seconds_left)} left".replace("about under", "under"))
    return " · ".join(parts)
