"""Import jobs: each import runs in the background and keeps its state in the folder `imports/<id>/`.

A cancelled import leaves nothing behind.
"""

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tl_core import background
from tl_core.background import MAX_AGE, OWNER, REQUEST, STATE, delete_upload, end_process, is_alive
from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.sources import FolderPreview, Preview, TablePreview
from tl_core.errors import GraftError
from tl_core.types import Modality, dump, load
from tl_core.workspace import Workspace, read_json, sweep, write_json

Status = Literal["working", "asking", "done", "failed"]
Role = Literal["data", "target", "source"]
"""What a source is for: the project's data, unlabelled extra data ("target"), or labelled extra data ("source")."""

PREVIEW = "preview.json"


@dataclass(frozen=True)
class ImportRequest:
    """What to import, for which project and role.

    `confirmed`: a person has checked the columns of a table. Without `labels`, the items are imported as they are,
    to be sorted.
    """

    source: str
    options: ImportOptions = AUTO_DETECT
    project: str = ""
    role: Role = "data"
    modality: Modality = "image"
    confirmed: bool = False
    labels: bool = True


@dataclass(frozen=True)
class ImportState:
    """The state of an import. `asking` waits for a person to check the preview; `done` has a `fingerprint`.

    `message` and `hint` say why an import `failed`. `total` is 0 where the number of items is unknown.
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
    """An import: its id, request and state, and the preview that it asks about."""

    id: str
    request: ImportRequest
    state: ImportState
    preview: Preview | None = None


def start_import(workspace: Workspace, request: ImportRequest) -> ImportJob:
    """Start an import in a process of its own. Earlier imports of the project in the same role are cancelled."""
    sweep(workspace.folder("imports"), "*", MAX_AGE)
    for earlier in _imports(workspace, request.project, request.role):
        cancel_import(workspace, earlier.id, keep=request.source)
    folder = workspace.folder("imports", f"{time.time_ns():x}-{uuid.uuid4().hex[:6]}")
    write_json(folder / REQUEST, dump(request))
    return _start(workspace, folder)


def resume_import(
    workspace: Workspace, job: ImportJob, options: ImportOptions, confirmed: bool = True, labels: bool = True
) -> ImportJob:
    """Continue with other options: import if `confirmed`, else preview the table again.

    Without `labels`, the items are imported as they are.
    """
    folder = workspace.root / "imports" / job.id
    write_json(folder / REQUEST, dump(replace(job.request, options=options, confirmed=confirmed, labels=labels)))
    return _start(workspace, folder)


def latest_import(workspace: Workspace, project: str, role: Role = "data") -> ImportJob | None:
    """Return the latest import of a project, None where there is none."""
    return next(_imports(workspace, project, role), None)


def read_import(workspace: Workspace, name: str) -> ImportJob | None:
    """Return the present state of an import by its id, None where there is none."""
    folder = workspace.root / "imports" / name
    try:
        request, state = load(ImportRequest, read_json(folder / REQUEST)), _state(folder)
        if state.status == "working" and not is_alive(folder):
            state = _state(folder)  # it may have ended between the two reads
            if state.status == "working":
                state = replace(state, status="failed", message=_DIED[0], hint=_DIED[1])
        preview = _preview(folder) if state.status == "asking" else None
    except (OSError, ValueError):
        return None
    return ImportJob(name, request, state, preview)


def wait_for_import(workspace: Workspace, job: ImportJob, seconds: float) -> ImportJob | None:
    """Wait until an import stops working or the time is up, and return its state. Quick imports show no progress."""
    deadline = time.monotonic() + seconds
    now = read_import(workspace, job.id)
    while now and now.state.status == "working" and time.monotonic() < deadline:
        time.sleep(0.05)
        now = read_import(workspace, job.id)
    return now


def cancel_import(workspace: Workspace, name: str, keep: str = "") -> bool:
    """Cancel an import: end its process, and delete its folder and its upload, unless the upload is `keep`.

    Returns whether the import was done already. Its data set then stays.
    """
    folder, done = workspace.root / "imports" / Path(name).name, False
    if not (folder / REQUEST).is_file():
        return done
    end_process(folder)
    with contextlib.suppress(OSError, ValueError):
        done = _state(folder).status == "done"
    with contextlib.suppress(OSError, ValueError):
        source = load(ImportRequest, read_json(folder / REQUEST)).source
        if source != keep:
            delete_upload(source, workspace)
    shutil.rmtree(folder, ignore_errors=True)
    return done


def stop_all(workspace: Workspace) -> None:
    """End all running imports at shutdown. They are shown as failed afterwards and can be started again."""
    for folder in workspace.folder("imports").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if _state(folder).status == "working":
                end_process(folder)


def write_state(folder: Path, state: ImportState) -> None:
    """Write the state of an import."""
    write_json(folder / STATE, dump(state))


def start_process(folder: Path) -> None:
    """Start the process of an import."""
    background.start_process("tl_core.import_worker", folder)


_DIED = (
    "The import ended unexpectedly, as happens when memory or disk is full.",
    "Try again, with less data or with other programs closed.",
)


def _imports(workspace: Workspace, project: str, role: Role) -> Iterator[ImportJob]:
    """Yield the imports of a project in a role, latest first."""
    for folder in sorted(workspace.folder("imports").iterdir(), key=lambda folder: folder.name, reverse=True):
        job = read_import(workspace, folder.name)
        if job and (job.request.project, job.request.role) == (project, role):
            yield job


def _start(workspace: Workspace, folder: Path) -> ImportJob:
    (folder / OWNER).unlink(missing_ok=True)
    write_state(folder, ImportState())
    try:
        start_process(folder)
    except OSError as error:
        write_state(
            folder, ImportState("failed", message=f"The import could not be started ({error.strerror}).", hint=_DIED[1])
        )
    job = read_import(workspace, folder.name)
    if job is None:
        raise GraftError("The import could not be started.", "Check the free space of the workspace folder.")
    return job


def _state(folder: Path) -> ImportState:
    return load(ImportState, read_json(folder / STATE))


def _preview(folder: Path) -> Preview:
    fields = read_json(folder / PREVIEW)
    return load(FolderPreview, fields) if "ways" in fields else load(TablePreview, fields)
