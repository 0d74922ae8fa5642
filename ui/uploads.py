"""Uploads: large ones in a stream under a ticket, small ones through Streamlit's own widget; all to disk at once."""

import secrets
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from tl_core.errors import GraftError, WorkspaceError
from tl_core.workspace import Workspace, sweep
from ui.components.drop_zone import drop_zone
from ui.upload_route import TICKET, safe_name

SMALL = 300
"""Megabytes that Streamlit's own widget takes: it holds a file in memory twice."""
LOOSE = "files"
"""What several files that came together are called."""


def drop(lead: str, key: str, small: bool = False) -> Path | None:
    """Draw a drop zone; return the file or folder that came, on disk, for one run."""
    what = drop_zone(lead, ticket(key), key=f"{key}_zone", small=small)
    if what == "gone":
        give_up(key)
        st.rerun()
    return arrived(key) if what == "sent" else None


def ticket(key: str) -> str:
    """Return the ticket of a page's drop zone: the same until what came with it is taken."""
    folder = Workspace.default().folder("uploads")
    known = st.session_state.get(f"{key}_ticket", "")
    if not known or not (folder / known / TICKET).is_file():
        sweep(folder, "*")
        known = secrets.token_hex(16)
        (folder / known).mkdir(mode=0o700)
        (folder / known / TICKET).touch()
        st.session_state[f"{key}_ticket"] = known
    return known


def arrived(key: str) -> Path | None:
    """Take what came with the page's ticket, which ends it: a file, a folder, or a folder of several files."""
    known = st.session_state.pop(f"{key}_ticket", "")
    folder = Workspace.default().folder("uploads") / known
    if not known or not (folder / TICKET).is_file():
        return None
    (folder / TICKET).unlink()
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if len(found) < 2:
        return found[0] if found else None
    together = folder / LOOSE
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir()
    for path in found:
        path.rename(scratch / path.name)
    scratch.rename(together)
    return together


def give_up(key: str) -> None:
    """Throw away what came with the page's ticket so far."""
    known = st.session_state.pop(f"{key}_ticket", "")
    if known:
        shutil.rmtree(Workspace.default().folder("uploads") / known, ignore_errors=True)


def uploader(label: str, kinds: list[str] | None, key: str) -> Path | None:
    """Draw a file uploader for what is small; return the uploaded file's path on disk, for one run.

    The widget gets another key before it is drawn again, which lets go of the copy in memory and empties it: the next
    file, after a bad one too, finds the widget that the page knows. Raises WorkspaceError where there is no space.
    """
    turn = st.session_state.setdefault(f"{key}_turn", 0)
    st.file_uploader(label, type=kinds, key=f"{key}_{turn}", on_change=_take, args=(key, turn), max_upload_size=SMALL)
    taken: Path | GraftError | None = st.session_state.pop(f"{key}_taken", None)
    if isinstance(taken, GraftError):
        raise taken
    return taken


def _take(key: str, turn: int) -> None:
    """Put an upload on disk before the page runs."""
    uploaded = st.session_state.get(f"{key}_{turn}")
    if uploaded is None:
        return
    try:
        st.session_state[f"{key}_taken"] = keep(uploaded, uploaded.name, Workspace.default())
    except GraftError as error:
        st.session_state[f"{key}_taken"] = error
    st.session_state[f"{key}_turn"] = turn + 1


def keep(content: BinaryIO, name: str, workspace: Workspace) -> Path:
    """Write an upload into the workspace under a name that cannot leave it. Raises WorkspaceError where it is full."""
    path = workspace.folder("uploads", uuid.uuid4().hex[:8]) / safe_name(name)
    try:
        with open(path, "wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
    except OSError as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise WorkspaceError(
            f"{name} could not be stored ({error.strerror}).", "Check the free space of the workspace folder."
        ) from error
    return path
