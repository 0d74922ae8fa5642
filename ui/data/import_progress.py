"""An import on its way: its progress, the table that it asks about, and why it failed. What it is lies on disk."""

from pathlib import Path
from time import time

import streamlit as st

from tl_core import import_jobs
from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.samples import SAMPLES
from tl_core.data.sources import SAMPLE_PREFIX
from tl_core.import_jobs import ImportJob, ImportRequest, Role
from tl_core.types import Modality
from ui import session
from ui.data import table_preview
from ui.words import seconds, tell

KEPT = ":material/check:"
AT_ONCE = 2.0
"""Seconds that a page waits for an import before it shows progress: most are done by then."""
TICK = 0.7  # seconds between two looks at one that is at work
_SURE = 4.0  # seconds of one stage after which its rest is foretold


def start(source: str, options: ImportOptions = AUTO_DETECT, role: Role = "data", modality: Modality = "image") -> None:
    """Begin to import a source for this project, and draw the page anew as it stands then."""
    project = session.update().project  # written down, so that a page that is loaded again finds it
    begun = import_jobs.start_import(session.workspace(), ImportRequest(source, options, project, role, modality))
    import_jobs.wait_for_import(session.workspace(), begun, AT_ONCE)
    st.rerun()


def resume(found: ImportJob, options: ImportOptions, confirmed: bool) -> None:
    """Go on with other options, and draw the page anew as it stands then."""
    import_jobs.wait_for_import(
        session.workspace(), import_jobs.resume_import(session.workspace(), found, options, confirmed), AT_ONCE
    )
    st.rerun()


def pending(role: Role = "data") -> ImportJob | None:
    """Return this project's import, None where there is none."""
    return import_jobs.latest_import(session.workspace(), session.current().project, role)


def title(found: ImportJob) -> str:
    """Return what a source is called."""
    name = found.ask.source.removeprefix(SAMPLE_PREFIX)
    if name != found.ask.source:
        return SAMPLES[name].title if name in SAMPLES else name
    return Path(name).name or name


def drop_it(found: ImportJob) -> None:
    """Give an import up, and draw the page anew; one that is done by then is whole, and that is said."""
    if import_jobs.cancel_import(session.workspace(), found.id) and found.state.status == "working":
        st.toast("It was done before it could be cancelled. It is kept under **Imported earlier**.", icon=KEPT)
    st.rerun()


def draw(found: ImportJob, key: str) -> None:
    """Draw an import that is at work, asks or failed."""
    if found.state.status == "working":
        st.fragment(_progress, run_every=TICK, key=f"{key}_live")(found.id, key)
    elif found.state.status == "asking" and found.preview:
        _table(found, key)
    elif found.state.status == "failed":
        _failed(found, key)


def _progress(name: str, key: str) -> None:
    found = import_jobs.read_import(session.workspace(), name)
    if found is None or found.state.status != "working":
        if found and found.state.status == "done" and st.session_state.get(f"{key}_stop"):
            st.toast("It was done before it could be cancelled. **Use other data** leads back.", icon=KEPT)
        st.rerun()
    state = found.state
    with st.container(border=True, key=f"{key}_working"):
        st.subheader(f":material/hourglass_top: Bringing in {tell(title(found))}", anchor=False)
        told = state.stage
        if state.total:
            told = f"{state.stage}: {state.done:,} of {state.total:,}{_rest(found, key)}"
        elif state.done:
            told = f"{state.stage}: {state.done:,} so far"
        st.progress(min(1.0, state.done / state.total) if state.total else 0.0, text=told)
        st.caption("This goes on by itself: you can leave the page or close it. Cancelled, it leaves nothing behind.")
        if st.button("Cancel", icon=":material/close:", key=f"{key}_stop"):
            drop_it(found)


def _rest(found: ImportJob, key: str) -> str:
    """Return how long a stage still takes, by how fast it went since this page saw it first."""
    state, now = found.state, time()
    seen = st.session_state.get(f"{key}_seen")
    if not seen or seen[:2] != (found.id, state.stage):
        seen = (found.id, state.stage, now, state.done)
        st.session_state[f"{key}_seen"] = seen
    gone, done = now - seen[2], state.done - seen[3]
    return f", about {seconds(gone / done * (state.total - state.done))} left" if gone > _SURE and done > 0 else ""


def _table(found: ImportJob, key: str) -> None:
    assert found.preview
    with st.container(border=True, key=f"{key}_preview"):
        st.subheader(f":material/table: {tell(title(found))}", anchor=False)
        wanted, complete = table_preview.draw(found.preview, found.ask.options, key)
        if wanted not in (found.ask.options, table_preview.as_read(found.preview)):
            resume(found, wanted, confirmed=False)
        with st.container(horizontal=True):
            if st.button("Import", type="primary", disabled=not complete, key=f"{key}_import"):
                resume(found, wanted, confirmed=True)
            if st.button("Cancel", key=f"{key}_cancel"):
                drop_it(found)


def _failed(found: ImportJob, key: str) -> None:
    """Say why; what was chosen of a table is shown again, and a reading that went wrong is found anew."""
    with st.container(key=f"{key}_failed"):
        st.error(f"**{tell(found.state.message)}** {tell(found.state.hint)}".strip(), icon=":material/error:")
        with st.container(horizontal=True):
            if st.button("Try it again", icon=":material/refresh:", key=f"{key}_retry"):
                resume(found, found.ask.options if found.ask.confirmed else AUTO_DETECT, confirmed=False)
            if st.button("Put it away", key=f"{key}_away", type="tertiary"):
                drop_it(found)
