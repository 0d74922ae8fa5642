"""Uploads: to disk at once, because Streamlit holds them in memory as long as the widget does."""

import re
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from tl_core.errors import WorkspaceError
from tl_core.workspace import Workspace


def uploader(label: str, kinds: list[str], key: str) -> Path | None:
    """Draw a file uploader; return the uploaded file's path on disk, for one run.

    The widget gets another key afterwards, which lets go of the copy in memory and empties it.
    """
    turn = st.session_state.setdefault(f"{key}_turn", 0)
    uploaded = st.file_uploader(label, type=kinds, key=f"{key}_{turn}")
    if uploaded is None:
        return None
    path = keep(uploaded, uploaded.name, Workspace.default())
    st.session_state[f"{key}_turn"] = turn + 1
    return path


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
