"""Uploads to disk: large ones are streamed with a ticket, small ones come through Streamlit's own widget."""

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
"""The most megabytes for Streamlit's own widget, which holds a file in memory twice."""
LOOSE = "files"
"""Name of the folder for several files that were uploaded together."""


def drop(lead: str, key: str, small: bool = False) -> Path | None:
    """Draw a drop zone; return the uploaded file or folder on disk, for one rerun."""
    event = drop_zone(lead, ticket(key), key=f"{key}_zone", small=small)
    if event == "gone":
        discard_upload(key)
        st.rerun()
    return arrived(key) if event == "sent" else None


def ticket(key: str) -> str:
    """Return the ticket of a drop zone. It stays the same until its upload is taken."""
    folder = Workspace.default().folder("uploads")
    current = st.session_state.get(f"{key}_ticket", "")
    if not current or not (folder / current / TICKET).is_file():
        sweep(folder, "*")
        current = secrets.token_hex(16)
        (folder / current).mkdir(mode=0o700)
        (folder / current / TICKET).touch()
        st.session_state[f"{key}_ticket"] = current
    return current


def arrived(key: str) -> Path | None:
    """Take the upload of a drop zone, which ends its ticket: a file, a folder, or a folder of several files."""
    name = st.session_state.pop(f"{key}_ticket", "")
    folder = Workspace.default().folder("uploads") / name
    if not name or not (folder / TICKET).is_file():
        return None
    (folder / TICKET).unlink()
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if len(paths) < 2:
        return paths[0] if paths else None
    together = folder / LOOSE
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir()
    for path in paths:
        path.rename(scratch / path.name)
    scratch.rename(together)
    return together


def discard_upload(key: str) -> None:
    """Delete what was uploaded so far, and end the ticket."""
    name = st.session_state.pop(f"{key}_ticket", "")
    if name:
        shutil.rmtree(Workspace.default().folder("uploads") / name, ignore_errors=True)


def uploader(label: str, kinds: list[str] | None, key: str) -> Path | None:
    """Draw a file uploader for small files; return the path of the uploaded file on disk, for one rerun.

    After each upload the widget gets a new key. This frees the copy in memory and empties the widget for the next file.
    Raises WorkspaceError if the disk is full.
    """
    turn = st.session_state.setdefault(f"{key}_turn", 0)
    st.file_uploader(label, type=kinds, key=f"{key}_{turn}", on_change=_take, args=(key, turn), max_upload_size=SMALL)
    taken: Path | GraftError | None = st.session_state.pop(f"{key}_taken", None)
    if isinstance(taken, GraftError):
        raise taken
    return taken


def _take(key: str, turn: int) -> None:
    """Write an upload to disk, before the page runs."""
    uploaded = st.session_state.get(f"{key}_{turn}")
    if uploaded is None:
        return
    try:
        st.session_state[f"{key}_taken"] = keep(uploaded, uploaded.name, Workspace.default())
    except GraftError as error:
        st.session_state[f"{key}_taken"] = error
    st.session_state[f"{key}_turn"] = turn + 1


def keep(content: BinaryIO, name: str, workspace: Workspace) -> Path:
    """Write an upload into the workspace, under a safe name. Raises WorkspaceError if it cannot be written."""
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
