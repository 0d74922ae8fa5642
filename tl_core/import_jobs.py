"""Imports at work, each in a process of its own and known by its folder `imports/<id>/`.

The folder is the truth: a page that is loaded again, another tab or a restarted server finds the import where it is.
An import does not wait for trainings, and what is cancelled leaves nothing behind.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.sources import TablePreview
from tl_core.errors import GraftError
from tl_core.runs import process
from tl_core.threads import THREAD_SETTINGS
from tl_core.types import Modality, dump, load
from tl_core.workspace import Workspace, read_json, sweep, write_json

Status = Literal["working", "asking", "done", "failed"]
Role = Literal["data", "target", "source"]
"""What a source is imported as: a project's data, a second set whose labels are not read, a second set with labels."""

ASK, STATE, PREVIEW, OWNER, LOG = "ask.json", "state.json", "preview.json", "owner.json", "log.txt"
PATIENCE = 5.0  # seconds in which a process ends by itself before it is killed
_KEPT = 7 * 24 * 3600.0  # seconds after which an import that nobody looks at is cleared away
_BORN = 10.0  # seconds in which a process has said who it is
_SOURCE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ImportRequest:
    """What is to be imported, for which project and as what; `confirmed` says that a table's columns were looked at."""

    source: str
    options: ImportOptions = AUTO_DETECT
    project: str = ""
    role: Role = "data"
    modality: Modality = "image"
    confirmed: bool = False


@dataclass(frozen=True)
class ImportState:
    """How far an import is. `asking` waits for a person to look at `preview`; `done` has a `fingerprint`.

    `message` and `hint` say why one `failed`; `total` is 0 where nobody knows how many there are.
    """

    status: Status = "working"
    stage: str = "Starting"
    done: int = 0
    total: int = 0
    fingerprint: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class ImportJob:
    """One import: its id, what was asked, how far it is, and the table that it asks about."""

    id: str
    ask: ImportRequest
    state: ImportState
    preview: TablePreview | None = None


def start_import(workspace: Workspace, ask: ImportRequest) -> ImportJob:
    """Start to import a source, in a process of its own; whatever else the project imports as the same is given up."""
    sweep(workspace.folder("imports"), "*", _KEPT)
    for earlier in _of(workspace, ask.project, ask.role):
        cancel_import(workspace, earlier.id, keep=ask.source)
    folder = workspace.folder("imports", f"{time.time_ns():x}-{uuid.uuid4().hex[:6]}")
    write_json(folder / ASK, dump(ask))
    return _start(workspace, folder)


def resume_import(workspace: Workspace, intake: ImportJob, options: ImportOptions, confirmed: bool = True) -> ImportJob:
    """Go on with other options: import what asked, or look at its table anew where that is not `confirmed`."""
    folder = workspace.root / "imports" / intake.id
    write_json(folder / ASK, dump(replace(intake.ask, options=options, confirmed=confirmed)))
    return _start(workspace, folder)


def latest_import(workspace: Workspace, project: str, role: Role = "data") -> ImportJob | None:
    """Return the latest import of a project, None where there is none."""
    return next(_of(workspace, project, role), None)


def read_import(workspace: Workspace, name: str) -> ImportJob | None:
    """Return an import by its id as it stands now, None where there is no such."""
    folder = workspace.root / "imports" / name
    try:
        ask, state = load(ImportRequest, read_json(folder / ASK)), _state(folder)
        if state.status == "working" and not _alive(folder):
            state = _state(folder)  # its last word may have come between the two looks
            if state.status == "working":
                state = replace(state, status="failed", message=_DIED[0], hint=_DIED[1])
        shown = load(TablePreview, read_json(folder / PREVIEW)) if state.status == "asking" else None
    except (OSError, ValueError, ValidationError):
        return None
    return ImportJob(name, ask, state, shown)


def wait_for_import(workspace: Workspace, intake: ImportJob, seconds: float) -> ImportJob | None:
    """Wait for an import to get somewhere, so that what takes no time shows no progress; return how it stands."""
    deadline = time.monotonic() + seconds
    now = read_import(workspace, intake.id)
    while now and now.state.status == "working" and time.monotonic() < deadline:
        time.sleep(0.05)
        now = read_import(workspace, intake.id)
    return now


def cancel_import(workspace: Workspace, name: str, keep: str = "") -> bool:
    """Give an import up: its process ends, and its folder and its upload go, unless the upload is `keep`.

    Returns whether it was done before it could end: its data set is whole, and stays.
    """
    folder, done = workspace.root / "imports" / Path(name).name, False
    if not (folder / ASK).is_file():
        return done
    _end(folder)
    with contextlib.suppress(OSError, ValueError):
        done = _state(folder).status == "done"
    with contextlib.suppress(OSError, ValueError):
        source = load(ImportRequest, read_json(folder / ASK)).source
        if source != keep:
            delete_upload(source, workspace)
    shutil.rmtree(folder, ignore_errors=True)
    return done


def stop_all(workspace: Workspace) -> None:
    """At shutdown: end what is at work; it says so where it is looked at again, and can be started anew."""
    for folder in workspace.folder("imports").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if _state(folder).status == "working":
                _end(folder)


def delete_upload(source: Path | str, workspace: Workspace) -> None:
    """Delete an upload that was imported or is not wanted; anything outside the uploads folder is left alone."""
    uploads = workspace.folder("uploads").resolve()
    with contextlib.suppress(OSError, ValueError):
        parts = Path(source).resolve().relative_to(uploads).parts
        if parts:
            shutil.rmtree(uploads / parts[0], ignore_errors=True)


def write_state(folder: Path, state: ImportState) -> None:
    """Write down how an import stands."""
    write_json(folder / STATE, dump(state))


def start_process(folder: Path) -> None:
    """Start the process of an import, in a session of its own, so that Ctrl-C reaches only the server."""
    paths = [str(_SOURCE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TMPDIR": str(folder),  # what a library puts down goes with the folder
        **THREAD_SETTINGS,
    }
    with open(folder / LOG, "ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "tl_core.import_worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=_SOURCE,
            env=environment,
        )
    write_owner(folder, child.pid)
    threading.Thread(target=child.wait, name=f"import-{child.pid}", daemon=True).start()


def write_owner(folder: Path, pid: int) -> None:
    """Write down which process works on an import."""
    write_json(folder / OWNER, dump(process.identify(pid) or process.Owner(pid, "gone", "")))


_DIED = (
    "The import ended without a word, as happens where the computer's memory or disk is full.",
    "Try it again, with less data or with other programs closed.",
)


def _of(workspace: Workspace, project: str, role: Role) -> Iterator[ImportJob]:
    """Yield the imports of a project, the latest first."""
    for folder in sorted(workspace.folder("imports").iterdir(), key=lambda folder: folder.name, reverse=True):
        found = read_import(workspace, folder.name)
        if found and (found.ask.project, found.ask.role) == (project, role):
            yield found


def _start(workspace: Workspace, folder: Path) -> ImportJob:
    (folder / OWNER).unlink(missing_ok=True)
    write_state(folder, ImportState())
    try:
        start_process(folder)
    except OSError as error:
        write_state(
            folder, ImportState("failed", message=f"The import could not be started ({error.strerror}).", hint=_DIED[1])
        )
    found = read_import(workspace, folder.name)
    if found is None:
        raise GraftError("The import could not be started.", "Check the free space of the workspace folder.")
    return found


def _state(folder: Path) -> ImportState:
    return load(ImportState, read_json(folder / STATE))


def _alive(folder: Path) -> bool:
    """Whether the process of an import lives, or is about to say who it is."""
    try:
        return process.alive(load(process.Owner, read_json(folder / OWNER)))
    except (OSError, ValueError, ValidationError):
        return time.time() - (folder / STATE).stat().st_mtime < _BORN


def _end(folder: Path) -> None:
    """End the process of an import; it clears up after itself, and is killed where it does not in time."""
    try:
        owner = load(process.Owner, read_json(folder / OWNER))
    except (OSError, ValueError, ValidationError):
        return
    if not process.alive(owner) or owner.pid == os.getpid():
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while process.alive(owner) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill(owner)
