"""Runs on disk. A run's folder is the truth about it; every process derives the same state from the same files.

runs/<id>/task.json      what was asked, written with the folder
          events.jsonl   what happened, appended by the worker alone (by the store for a run that never started)
          owner.json     the worker's process
          exit.json      how the worker ended without a RunEnded: what it left for, or the code that a supervisor saw
          attempts.json  where in events.jsonl each later attempt begins, for a run that was gone on with
          stop.request   somebody wants it to end
          pause.request  somebody wants it to wait
          edits.jsonl    changes that somebody asked for
          summary.json   a few numbers for the list of runs
          worker.log     what the worker printed
          checkpoints/   what a training that was interrupted or stopped goes on from
          trained.json   how the training ended, until its result is measured
          report.json, bundle/, ensemble/, best.safetensors: the work itself

A worker that dies leaves no RunEnded. Nobody writes one in its place: the state says "interrupted", because what
the folder holds is what the worker got done. A training that is asked to wait writes its state down, and its worker
leaves: the run is then "paused", and in nobody's way. To go on with a run is to note where its log ends now, so that an
earlier RunEnded counts no more, and to take its owner away: it waits again, for a worker that finds the checkpoints.
"""

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any, Literal

from pydantic import ValidationError

from tl_core.errors import RunError
from tl_core.runs import event_log, process
from tl_core.runs.control import PAUSE_REQUEST, STOP_REQUEST, FileControl
from tl_core.runs.events import RunEnded, RunEvent
from tl_core.runs.failure import AGAIN_HINT, CLOSED, GO_ON_HINT, PAUSED, LeaveReason, explain_exit
from tl_core.runs.process import Owner
from tl_core.runs.record import EVENTS_FILE
from tl_core.runs.task import Kind, Task
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

Status = Literal["queued", "running", "paused", "done", "stopped", "failed", "interrupted"]
Events = list[RunEvent]
ACTIVE: tuple[Status, ...] = ("queued", "running")
SUMMARY = "summary.json"
ATTEMPTS = "attempts.json"
EXIT = "exit.json"
CHECKPOINTS = "checkpoints"
TRAINED = "trained.json"
NOBODY = Owner(0, "", "")
_ID = re.compile(r"\d{8}-\d{6}-\d{6}")
_ID_FORMAT = "%Y%m%d-%H%M%S-%f"


@dataclass(frozen=True)
class RunState:
    """One run as a list shows it. `created` and `ended` are seconds since the epoch; `stopping` while a request
    to stop waits to be obeyed; `paused` from the request to wait until it goes on; `resumable` where the run ended
    early, or is paused, and can go on from what it saved; `numbers` holds what the run wrote down as its key figures,
    such as "accuracy"."""

    id: str
    kind: Kind
    name: str
    status: Status
    reason: str
    hint: str
    created: float
    task: Task
    ended: float | None = None
    stopping: bool = False
    paused: bool = False
    resumable: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it waits or works."""
        return self.status in ACTIVE

    @property
    def open(self) -> bool:
        """Whether it is not over: it waits, works, or is paused."""
        return self.active or self.status == "paused"


class RunStore:
    """The runs of one workspace. Every method raises RunError for an id that names no run."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.root = workspace.folder("runs")
        self._ended: dict[str, tuple[tuple[int, ...], RunState]] = {}

    def create(self, task: Task, owner: Owner | None = None) -> str:
        """Write a new run and return its id: queued, or at once running as the work of `owner`."""
        part = self.workspace.folder("runs") / f".{uuid.uuid4().hex}.part"
        part.mkdir()
        try:
            write_json(part / "task.json", dump(task))
            if owner:
                write_json(part / "owner.json", dump(owner))
            return self._publish(part)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _publish(self, part: Path) -> str:
        """Give a prepared folder its id: the moment of its creation, so that ids sort by age."""
        while True:
            run_id = datetime.now(UTC).strftime(_ID_FORMAT)
            try:
                os.rename(part, self.root / run_id)
            except OSError:
                if not (self.root / run_id).exists():
                    raise
                sleep(1e-5)
            else:
                return run_id

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run."""
        path = self.root / run_id
        if not _ID.fullmatch(run_id) or not (path / "task.json").is_file():
            raise RunError(f"There is no run {run_id[:60]!r}.", "It may have been deleted; see the list of runs.")
        return path

    def task(self, run_id: str) -> Task:
        """Return what the run was asked to do."""
        try:
            return load(Task, read_json(self.folder(run_id) / "task.json"))
        except (ValueError, ValidationError) as error:
            raise RunError(f"The run {run_id} cannot be read, its task.json is damaged.", "Delete it.") from error

    def events(self, run_id: str, cursor: int = 0) -> tuple[Events, int]:
        """Return the events after `cursor` (a byte offset, 0 at first) and the cursor for the next call."""
        return event_log.read(self.folder(run_id) / EVENTS_FILE, cursor)

    def state(self, run_id: str) -> RunState:
        """Derive the state of a run from its folder."""
        folder = self.folder(run_id)
        stamp = _stamp(folder)
        known = self._ended.get(run_id)
        if known and known[0] == stamp:
            return known[1]
        state = self._derive(run_id, folder)
        if not state.active:
            self._ended[run_id] = (stamp, state)
        return state

    def _derive(self, run_id: str, folder: Path) -> RunState:
        task = self.task(run_id)
        owner = _read_owner(folder)
        lives = process.alive(owner)
        ended = event_log.last_end(
            folder / EVENTS_FILE, _starts(folder)[-1]
        )  # after the look at the process: it may end in between
        found = _optional(folder / EXIT)
        left: LeaveReason | None = found.get("left")
        status: Status
        reason, hint = "", ""
        if ended:
            status, reason, hint = ended.status, ended.reason, ended.hint
        elif owner is None:
            status = "queued"
        elif left == "paused":
            status, reason = "paused", PAUSED
        elif lives and not left:
            status = "running"
        else:
            status = "interrupted"
            reason, hint = (CLOSED, "") if left else explain_exit(found.get("code"))
        resumable = _resumable(folder, task, status)
        if status == "interrupted":
            hint = f"{hint} {GO_ON_HINT}".strip() if resumable else hint or AGAIN_HINT
        return RunState(
            id=run_id,
            kind=task.kind,
            name=task.name or task.backbone,
            status=status,
            reason=reason,
            hint=hint,
            created=datetime.strptime(run_id, _ID_FORMAT).replace(tzinfo=UTC).timestamp(),
            task=task,
            ended=ended.at if ended else None,
            stopping=status in ACTIVE and (folder / STOP_REQUEST).exists(),
            paused=status == "paused" or (status == "running" and (folder / PAUSE_REQUEST).exists()),
            resumable=resumable,
            numbers=_optional(folder / SUMMARY),
        )

    def list(self) -> tuple[RunState, ...]:
        """Return every readable run, newest first; none where somebody deleted the whole folder."""
        states = []
        try:
            names = sorted(os.listdir(self.root), reverse=True)
        except FileNotFoundError:
            names = []
        for run_id in names:
            if _ID.fullmatch(run_id):
                try:
                    states.append(self.state(run_id))
                except RunError:
                    continue  # deleted meanwhile, or damaged
        return tuple(states)

    def active(self) -> tuple[RunState, ...]:
        """Return the runs that wait or work, newest first."""
        return tuple(state for state in self.list() if state.active)

    def stop(self, run_id: str, force: bool = False) -> None:
        """Ask a run to end, keeping what is best so far; one that waits ends at once.

        One that waits to go on is again what it was before. One that is paused is queued, to keep and measure what is
        best. `force` ends its process without asking, and leaves the
        run interrupted.
        """
        folder = self.folder(run_id)
        with self.lock():
            state = self.state(run_id)
            starts = _starts(folder)
            if state.status == "queued" and len(starts) > 1:
                self.own(run_id, NOBODY)
                write_json(folder / ATTEMPTS, starts[1:-1])
            elif state.status == "queued":
                reason = "It was taken out of the queue before it started."
                event_log.append(folder / EVENTS_FILE, RunEnded("stopped", reason))
            elif state.status == "paused" and not force:
                self._again(folder)
                FileControl(folder).stop()
        if state.status == "running":
            FileControl(folder).stop()
            owner = _read_owner(folder)
            if force and owner:
                process.kill(owner)

    def control(self, run_id: str) -> FileControl:
        """Return what asks a run to wait, or to change its phase."""
        return FileControl(self.folder(run_id))

    def pause(self, run_id: str) -> None:
        """Ask a training that works to write its state down and wait. Raises RunError for any other run."""
        state = self.state(run_id)
        if state.status != "running" or state.kind != "train":
            raise RunError("Only a training that is at work can be paused.", "See the list of runs.")
        self.control(run_id).pause()

    def resume(self, run_id: str, owner: Owner | None = None) -> None:
        """Let a paused run go on, or queue one that ended early again, to go on from what it saved.

        With `owner` it does not wait: it is running at once as that process's work. Raises RunError where there is
        nothing to go on with.
        """
        folder = self.folder(run_id)
        with self.lock():
            state = self.state(run_id)
            if state.status == "running" and state.paused and not owner:
                self.control(run_id).resume()
                return
            if not state.resumable:
                raise RunError(*_why_not(state))
            self._again(folder, owner)

    def _again(self, folder: Path, owner: Owner | None = None) -> None:
        """Begin another attempt; broken off on the way, the run is what it was still, and can be gone on with."""
        write_json(folder / ATTEMPTS, [*_starts(folder)[1:], _size(folder / EVENTS_FILE)])
        for name in (STOP_REQUEST, PAUSE_REQUEST):
            (folder / name).unlink(missing_ok=True)
        if owner:
            self.own(folder.name, owner)
        else:
            (folder / "owner.json").unlink(missing_ok=True)

    def leave(self, run_id: str, why: LeaveReason) -> None:
        """Note that a run's worker leaves it, to be gone on with later. Raises WorkspaceError."""
        write_json(self.folder(run_id) / EXIT, {"left": why})

    def delete(self, run_id: str) -> None:
        """Remove a run and everything it made. Raises RunError while it waits or works."""
        folder = self.folder(run_id)
        with self.lock():
            if self.state(run_id).active:
                raise RunError("A run that is still going cannot be deleted.", "Stop it first.")
            trash = folder.with_name(f".{run_id}.{os.getpid()}.trash")
            os.rename(folder, trash)
            self._ended.pop(run_id, None)
        shutil.rmtree(trash, ignore_errors=True)

    def summarise(self, run_id: str, numbers: Mapping[str, float]) -> None:
        """Write down a run's key figures for the list."""
        write_json(self.folder(run_id) / SUMMARY, dict(numbers))

    def own(self, run_id: str, owner: Owner) -> None:
        """Write down which process does the work; how an earlier one ended counts no more."""
        folder = self.folder(run_id)
        write_json(folder / "owner.json", dump(owner))
        if owner != NOBODY:
            (folder / EXIT).unlink(missing_ok=True)

    @contextmanager
    def claim(self, run_id: str) -> Iterator[bool]:
        """Hold a run for as long as this process works at it; yields False where another process does already."""
        with open(self.folder(run_id) / ".claim", "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold what decides about waiting runs: one process at a time starts, drops or deletes them."""
        with open(self.workspace.folder("runs") / ".lock", "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes when a state file does: size and time of each, -1 for a missing one."""
    found = []
    for name in ("task.json", EVENTS_FILE, "owner.json", EXIT, ATTEMPTS, SUMMARY):
        try:
            info = os.stat(folder / name)
            found += [info.st_size, info.st_mtime_ns]
        except FileNotFoundError:
            found += [-1, -1]
    return tuple(found)


def _starts(folder: Path) -> list[int]:
    """Return where in its log each attempt of a run begins: 0, then what resume() noted."""
    found = _optional(folder / ATTEMPTS)
    return [0, *(start for start in found if isinstance(start, int))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _resumable(folder: Path, task: Task, status: Status) -> bool:
    """Whether a training can go on: from its last checkpoint, or from the start where it was killed before one.

    One that failed may also have been trained to its end, and only not been measured.
    """
    if task.kind != "train":
        return False
    if status == "failed" and (folder / TRAINED).exists():
        return True
    return status in ("interrupted", "paused") or (status in ("failed", "stopped") and _saved(folder))


def _saved(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    try:  # a checkpoint that was only begun has a name that starts with a dot
        return any(not name.startswith(".") for name in os.listdir(folder / CHECKPOINTS))
    except OSError:
        return False


def _why_not(state: RunState) -> tuple[str, str]:
    """Return sentence and hint about a run that there is nothing to go on with."""
    if state.kind != "train":
        return "Only a training can go on where it was.", "Start it again; what it had measured is used again."
    if state.status == "queued":
        return "This run waits for its turn already.", ""
    if state.status == "running":
        return "This run is still going.", "Follow it on the page of runs, or stop it first."
    if state.status == "failed":
        return "This run failed with nothing to go on from.", state.hint
    return "This run is over, so there is nothing left to do.", "Start it again for another one."


def _optional(path: Path) -> Any:
    """Read a small JSON object that may not be there."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _read_owner(folder: Path) -> Owner | None:
    try:
        return load(Owner, read_json(folder / "owner.json"))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError):
        return NOBODY
