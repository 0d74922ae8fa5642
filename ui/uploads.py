"""Uploads: to disk at once, because Streamlit holds them in memory as long as the widget does."""

import re
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from tl_core.errors import GraftError, WorkspaceError
from tl_core.workspace import Workspace


def uploader(label: str, kinds: list[str] | None, key: str) -> Path | None:
    """Draw a file uploader; return the uploaded file's path on disk, for one run.

    The widget gets another key before it is drawn again, which lets go of the copy in memory and empties it: the next
    file, after a bad one too, finds the widget that the page knows. Raises WorkspaceError where there is no space.
    """
    turn = st.session_state.setdefault(f"{key}_turn", 0)
    st.file_uploader(label, type=kinds, key=f"{key}_{turn}", on_change=_take, args=(key, turn))
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


def discard(path: Path, workspace: Workspace) -> None:
    """Delete an upload that was imported or is not wanted; anything outside the uploads folder is left alone."""
    if path.resolve().is_relative_to(workspace.folder("uploads").resolve()):
        shutil.rmtree(path.parent, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return a file name without folders, control characters or a leading dot."""
    base = re.sub(r"[\x00-\x1f<>:\"|?*]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".")
    return base[-120:] or "upload"
