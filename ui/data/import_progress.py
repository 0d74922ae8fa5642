"""An import in progress: how far it is, its questions about a table or folders, why it failed. Its state is on disk."""

from dataclasses import replace
from pathlib import Path
from time import time

import streamlit as st

from tl_core import import_jobs
from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.samples import SAMPLES
from tl_core.data.sources import GUESSES_PREFIX, FolderPreview
from tl_core.data.sources.hub_source import is_hub
from tl_core.data.sources.sample_source import SAMPLE_PREFIX
from tl_core.import_jobs import ImportJob, ImportRequest, Role
from tl_core.types import Modality
from ui import glossary, session
from ui.data import folder_preview, table_preview
from ui.words import escape, seconds

KEPT = ":material/check:"
AT_ONCE = 2.0
"""Seconds that a page waits for an import before it shows progress. Most are done by then."""
REFRESH = 0.7  # seconds between two updates of the progress
_MEASURE = 4.0  # seconds of a stage before its remaining time is estimated


def start(source: str, options: ImportOptions = AUTO_DETECT, role: Role = "data", modality: Modality = "image") -> None:
    """Start to import a source for this project, and run the page again."""
    project = session.update().project  # saved, so that a reloaded page finds the import
    import_id = import_jobs.start_import(session.workspace(), ImportRequest(source, options, project, role, modality))
    import_jobs.wait_for_import(session.workspace(), import_id, AT_ONCE)
    st.rerun()


def resume(incoming: ImportJob, options: ImportOptions, confirmed: bool, labels: bool = True) -> None:
    """Continue an import with other options, or without labels, and run the page again."""
    resumed = import_jobs.resume_import(session.workspace(), incoming, options, confirmed, labels)
    import_jobs.wait_for_import(session.workspace(), resumed, AT_ONCE)
    st.rerun()


def pending(role: Role = "data") -> ImportJob | None:
    """Return this project's import for `role`; None if there is none."""
    return import_jobs.latest_import(session.workspace(), session.current().project, role)


def title(incoming: ImportJob) -> str:
    """Return the title of the source of an import."""
    if incoming.request.source.startswith(GUESSES_PREFIX):
        return incoming.request.options.name
    name = incoming.request.source.removeprefix(SAMPLE_PREFIX)
    if name != incoming.request.source:
        return SAMPLES[name].title if name in SAMPLES else name
    return Path(name).name or name


def cancel(incoming: ImportJob) -> None:
    """Cancel an import, and run the page again. If it finished before it could be cancelled, a message says so."""
    if import_jobs.cancel_import(session.workspace(), incoming.id) and incoming.state.status == "working":
        st.toast("The import had already finished. The data set is under **Imported earlier**.", icon=KEPT)
    st.rerun()


def draw(incoming: ImportJob, key: str) -> None:
    """Draw an import that is working, asking or failed."""
    if incoming.state.status == "working":
        st.fragment(_progress, run_every=REFRESH, key=f"{key}_live")(incoming.id, key)
    elif incoming.state.status == "asking" and incoming.preview:
        _ask(incoming, key)
    elif incoming.state.status == "failed":
        _failed(incoming, key)


def _progress(import_id: str, key: str) -> None:
    incoming = import_jobs.read_import(session.workspace(), import_id)
    if incoming is None or incoming.state.status != "working":
        if incoming and incoming.state.status == "done" and st.session_state.get(f"{key}_stop"):
            st.toast("The import had already finished. Press **Use other data** to go back.", icon=KEPT)
        st.rerun()
    state = incoming.state
    with st.container(border=True, key=f"{key}_working"):
        st.subheader(f":material/hourglass_top: Importing {escape(title(incoming))}", anchor=False)
        progress = state.stage
        if state.total:
            progress = f"{state.stage}: {state.done:,} of {state.total:,}{_remaining(incoming, key)}"
        elif state.done:
            progress = f"{state.stage}: {state.done:,} so far"
        st.progress(min(1.0, state.done / state.total) if state.total else 0.0, text=progress)
        st.caption("You can leave or close this page; the import continues. If you cancel it, nothing is kept.")
        if st.button("Cancel", icon=":material/close:", key=f"{key}_stop"):
            cancel(incoming)


def _remaining(incoming: ImportJob, key: str) -> str:
    """Return the remaining time of a stage in words, from its speed since this page first saw it."""
    state, now = incoming.state, time()
    start = st.session_state.get(f"{key}_seen")
    if not start or start[:2] != (incoming.id, state.stage):
        start = (incoming.id, state.stage, now, state.done)
        st.session_state[f"{key}_seen"] = start
    elapsed, done = now - start[2], state.done - start[3]
    return (
        f", about {seconds(elapsed / done * (state.total - state.done))} left"
        if elapsed > _MEASURE and done > 0
        else ""
    )


def _ask(incoming: ImportJob, key: str) -> None:
    """Ask what a person has to check before the import: the columns of a table, or what folders mean."""
    assert incoming.preview
    icon = "folder" if isinstance(incoming.preview, FolderPreview) else "table"
    with st.container(border=True, key=f"{key}_preview"):
        st.subheader(f":material/{icon}: {escape(title(incoming))}", anchor=False)
        if isinstance(incoming.preview, FolderPreview):
            way = folder_preview.draw(incoming.preview, key)
            wanted, complete = way or incoming.request.options, way is not None
        else:
            wanted, complete = table_preview.draw(incoming.preview, incoming.request.options, key)
            if wanted not in (incoming.request.options, table_preview.as_read(incoming.preview)):
                resume(incoming, wanted, confirmed=False)
        with st.container(horizontal=True):
            if st.button("Import", type="primary", disabled=not complete, key=f"{key}_import"):
                resume(incoming, wanted, confirmed=True)
            _without_labels(incoming, wanted, key)
            if st.button("Cancel", key=f"{key}_cancel"):
                cancel(incoming)


def _failed(incoming: ImportJob, key: str) -> None:
    """Show why an import failed. A retry keeps the options that were confirmed, else it detects them again."""
    with st.container(key=f"{key}_failed"):
        st.error(f"**{escape(incoming.state.message)}** {escape(incoming.state.hint)}".strip(), icon=":material/error:")
        with st.container(horizontal=True):
            if st.button("Try again", icon=":material/refresh:", key=f"{key}_retry"):
                options = incoming.request.options if incoming.request.confirmed else AUTO_DETECT
                resume(incoming, options, confirmed=False, labels=incoming.request.labels)
            if incoming.request.labels:
                _without_labels(incoming, incoming.request.options, key)
            if st.button("Dismiss", key=f"{key}_away", type="tertiary"):
                cancel(incoming)


def _without_labels(incoming: ImportJob, options: ImportOptions, key: str) -> None:
    """Offer to import the project's items without labels, to be sorted by the names of classes."""
    source = incoming.request.source
    if incoming.request.role != "data" or is_hub(source) or source.startswith((SAMPLE_PREFIX, GUESSES_PREFIX)):
        return
    if st.button("They have no labels yet", icon=":material/label_off:", key=f"{key}_unlabelled",
                 help=glossary.tip("zero-shot")):  # fmt: skip
        resume(incoming, replace(options, label_column=""), confirmed=True, labels=False)
