"""Fetch jobs: each backbone that a person asks for is brought in the background, in the folder `fetches/<id>/`.

There is one folder for each thing that can be asked for, so that it is never brought twice at once.
"""

import contextlib
import hashlib
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tl_core import background
from tl_core.backbones.hub.fetch import Offer
from tl_core.errors import GraftError
from tl_core.workspace import Workspace, file_name, read_value, sweep, write_value

Status = Literal["working", "asking", "unnamed", "stopped", "failed", "done"]
Stage = Literal["starting", "asking", "bringing", "proving"]

_STARTING = threading.Lock()
_NAME = 60  # characters of a job's id that tell a person what it brings
_DIED = (
    "This ended unexpectedly, as happens when memory or disk is full.",
    "Try again, with other programs closed. A download goes on where it was.",
)


@dataclass(frozen=True)
class FetchRequest:
    """What to bring: a registered name, a model of the hub, or a path; `architecture` describes one's own weights.

    `agreed` says that a person has seen what would be downloaded; a model of the hub waits for that.
    """

    what: str
    architecture: str = ""
    agreed: bool = False


@dataclass(frozen=True)
class FetchState:
    """How far a fetch is. `done` and `total` are bytes, `speed` bytes a second.

    asking: a person has to agree to the `offer` of the hub; unnamed: has to say which network the weights belong to.
    stopped: by a person or with the server; what has arrived is kept. failed: `message` and `hint` say why.
    done: `name` is the backbone, ready.
    """

    status: Status = "working"
    stage: Stage = "starting"
    done: int = 0
    total: int = 0
    speed: float = 0.0
    name: str = ""
    offer: Offer | None = None
    message: str = ""
    hint: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is there at this speed, None while nothing comes."""
        return (self.total - self.done) / self.speed if self.speed > 0 else None


@dataclass(frozen=True)
class FetchJob:
    """A fetch: its id, request and state."""

    id: str
    request: FetchRequest
    state: FetchState

    @property
    def active(self) -> bool:
        """Whether its process is at work."""
        return self.state.status == "working"


def start_fetch(workspace: Workspace, request: FetchRequest) -> FetchJob:
    """Start to bring something, or go on with it; where that is going on already, return it as it is.

    Raises GraftError where it cannot be started.
    """
    sweep(workspace.folder("fetches"), "*", background.MAX_AGE)
    folder = workspace.folder("fetches", job_id(request.what))
    with _STARTING:
        job = read_fetch(workspace, folder.name)
        if job is None or not job.active:
            before = job.state if job else FetchState()
            (folder / background.OWNER).unlink(missing_ok=True)
            write_value(folder / background.REQUEST, request)
            state = FetchState(done=before.done, total=before.total, offer=before.offer)
            write_state(folder, state)
            try:
                start_process(folder)
            except OSError as error:
                message = f"No process could be started ({error.strerror})."
                write_state(folder, replace(state, status="failed", message=message, hint=_DIED[1]))
    started = read_fetch(workspace, folder.name)
    if started is None:
        raise GraftError("Nothing could be started.", "Check the free space of the workspace folder.")
    return started


def job_id(what: str) -> str:
    """Return the id of the job that brings something."""
    return f"{file_name(what)[-_NAME:].strip('.~')}-{hashlib.sha256(what.encode()).hexdigest()[:10]}"


def read_fetch(workspace: Workspace, name: str) -> FetchJob | None:
    """Return a fetch by its id, None where there is none."""
    folder = workspace.root / "fetches" / name
    request, state = (
        read_value(FetchRequest, folder / background.REQUEST),
        read_value(FetchState, folder / background.STATE),
    )
    if request is None or state is None:
        return None
    if state.status == "working" and not background.is_alive(folder):
        state = read_value(FetchState, folder / background.STATE) or state  # it may have ended between the two reads
        if state.status == "working":
            state = replace(state, status="failed", message=_DIED[0], hint=_DIED[1])
    return FetchJob(name, request, state)


def fetch_of(workspace: Workspace, what: str) -> FetchJob | None:
    """Return the fetch of something, None where there is none."""
    return read_fetch(workspace, job_id(what))


def fetches(workspace: Workspace) -> tuple[FetchJob, ...]:
    """Return every fetch, in the order of their ids."""
    folders = sorted(folder.name for folder in workspace.folder("fetches").iterdir())
    return tuple(job for name in folders if (job := read_fetch(workspace, name)))


def stop_fetch(workspace: Workspace, name: str) -> None:
    """Stop a fetch; what has arrived is kept, and the fetch can be started again."""
    folder = workspace.root / "fetches" / Path(name).name
    background.end_process(folder)
    state = read_value(FetchState, folder / background.STATE)
    if state and state.status == "working" and not background.is_alive(folder):
        write_state(folder, replace(state, status="stopped", speed=0.0))


def dismiss_fetch(workspace: Workspace, name: str) -> None:
    """Stop a fetch and forget it, with the upload that it was about. What has arrived of a download stays."""
    folder = workspace.root / "fetches" / Path(name).name
    job = read_fetch(workspace, folder.name)
    background.end_process(folder)
    if job:
        background.delete_upload(job.request.what, workspace)
    shutil.rmtree(folder, ignore_errors=True)


def stop_all(workspace: Workspace) -> None:
    """Stop every fetch at shutdown; what has arrived is kept."""
    for job in fetches(workspace):
        if job.active:
            with contextlib.suppress(OSError, GraftError):
                stop_fetch(workspace, job.id)


def write_state(folder: Path, state: FetchState) -> None:
    """Write the state of a fetch."""
    write_value(folder / background.STATE, state)


def start_process(folder: Path) -> None:
    """Start the process of a fetch."""
    background.start_process("tl_core.fetch_worker", folder)
