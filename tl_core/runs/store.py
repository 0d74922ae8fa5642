"""Runs on disk. A run's state is in its folder; every process derives the same state from the same files.

runs/<id>/task.json      what was asked, written with the folder
          events.jsonl   what happened, appended by the worker alone (by the store for a run that never started)
          owner.json     the worker's process
          exit.json      how the worker ended without a RunEnded: what it left for, or the code that a supervisor saw
          attempts.json  where in events.jsonl each later attempt begins, for a run that was resumed
          stop.request   a request to end it
          pause.request  a request to pause it
          edits.jsonl    requested changes to the running phase
          summary.json   a few numbers for the list of runs
          worker.log     what the worker printed
          checkpoints/   what an interrupted or stopped training resumes from
          trained.json   how the training ended, until its result is measured
          report.json, bundle/, ensemble/, best.safetensors: the work itself

A worker that dies leaves no RunEnded, and nobody writes one for it: the state is then "interrupted". A training that is
asked to pause saves its state, and its worker ends: the run is then "paused", and does not block other runs. Resuming a
run records where its log ends, so that an earlier RunEnded no longer counts, and removes its owner. The run is then
queued again, and its next worker finds the checkpoints.
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
from typing import Literal, TypeVar

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

T = TypeVar("T")
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
    """The state of one run, as a list shows it.

    `created` and `ended` are in seconds since 1970. `stopping`: a request to stop is pending. `paused`: from the
    request to pause until it is resumed. `resumable`: the run ended early or is paused, and can be resumed.
    `numbers` holds its key figures, such as "accuracy".
    """

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
        """Whether the run is queued or running."""
        return self.status in ACTIVE

    @property
    def open(self) -> bool:
        """Whether the run is queued, running or paused."""
        return self.active or self.status == "paused"


class RunStore:
    """The runs of one workspace. Every method raises RunError for an id that names no run."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.root = workspace.folder("runs")
        self._ended: dict[str, tuple[tuple[int, ...], RunState]] = {}

    def create(self, task: Task, owner: Owner | None = None) -> str:
        """Create a run and return its id. It is queued, or with `owner` running at once as the work of that process."""
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
        """Move a prepared folder to its id: the time of creation, so that ids sort by age."""
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
        except ValueError as error:
            raise RunError(f"The run {run_id} cannot be read, its task.json is damaged.", "Delete it.") from error

    def events(self, run_id: str, cursor: int = 0) -> tuple[Events, int]:
        """Return the events after `cursor` (a byte offset, 0 at first) and the cursor for the next call."""
        return event_log.read(self.folder(run_id) / EVENTS_FILE, cursor)

    def state(self, run_id: str) -> RunState:
        """Derive the state of a run from its folder."""
        folder = self.folder(run_id)
        stamp = _stamp(folder)
        cached = self._ended.get(run_id)
        if cached and cached[0] == stamp:
            return cached[1]
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
        )  # read after the process: it may end in between
        exit_record = _optional(folder / EXIT, dict)
        left: LeaveReason | None = exit_record.get("left")
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
            reason, hint = (CLOSED, "") if left else explain_exit(exit_record.get("code"))
        resumable = _resumable(folder, task, status)
        if status == "interrupted":
            hint = f"{hint.removesuffix(AGAIN_HINT).strip()} {GO_ON_HINT}".strip() if resumable else hint or AGAIN_HINT
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
            numbers=_optional(folder / SUMMARY, dict),
        )

    def list(self) -> tuple[RunState, ...]:
        """Return every readable run, newest first; none if the whole folder was deleted."""
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
        """Return the queued and running runs, newest first."""
        return tuple(state for state in self.list() if state.active)

    def stop(self, run_id: str, force: bool = False) -> None:
        """Ask a run to end, keeping its best weights so far.

        A queued run ends at once; if it was queued to be resumed, it returns to its earlier state. A paused run is
        queued, so that its best weights are measured. `force` kills the process and leaves the run interrupted.
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
        """Return the control of a run, for requests to pause it or to change its phase."""
        return FileControl(self.folder(run_id))

    def pause(self, run_id: str) -> None:
        """Ask a running training to save its state and pause. Raises RunError for any other run."""
        state = self.state(run_id)
        if state.status != "running" or state.kind != "train":
            raise RunError("Only a training that is at work can be paused.", "See the list of runs.")
        self.control(run_id).pause()

    def resume(self, run_id: str, owner: Owner | None = None) -> None:
        """Resume a paused run, or queue a run that ended early so that it continues from what it saved.

        With `owner` it runs at once as the work of that process. Raises RunError if there is nothing to resume.
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
        """Begin another attempt. If this is interrupted half-way, the run keeps its state and can still be resumed."""
        write_json(folder / ATTEMPTS, [*_starts(folder)[1:], _size(folder / EVENTS_FILE)])
        for name in (STOP_REQUEST, PAUSE_REQUEST):
            (folder / name).unlink(missing_ok=True)
        if owner:
            self.own(folder.name, owner)
        else:
            (folder / "owner.json").unlink(missing_ok=True)

    def leave(self, run_id: str, why: LeaveReason) -> None:
        """Record that a run's worker leaves it, to be resumed later. Raises WorkspaceError."""
        write_json(self.folder(run_id) / EXIT, {"left": why})

    def delete(self, run_id: str) -> None:
        """Delete a run and all its files. Raises RunError while it is queued or running."""
        folder = self.folder(run_id)
        with self.lock():
            if self.state(run_id).active:
                raise RunError("A run that is still going cannot be deleted.", "Stop it first.")
            trash = folder.with_name(f".{run_id}.{os.getpid()}.trash")
            os.rename(folder, trash)
            self._ended.pop(run_id, None)
        shutil.rmtree(trash, ignore_errors=True)

    def summarise(self, run_id: str, numbers: Mapping[str, float]) -> None:
        """Save a run's key figures for the list of runs."""
        write_json(self.folder(run_id) / SUMMARY, dict(numbers))

    def own(self, run_id: str, owner: Owner) -> None:
        """Save which process does the work, and forget how an earlier process ended."""
        folder = self.folder(run_id)
        write_json(folder / "owner.json", dump(owner))
        if owner != NOBODY:
            (folder / EXIT).unlink(missing_ok=True)

    @contextmanager
    def claim(self, run_id: str) -> Iterator[bool]:
        """Hold a run while this process works on it; yield False if another process already does."""
        with open(self.folder(run_id) / ".claim", "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the queue's lock: only one process at a time starts, dequeues or deletes runs."""
        with open(self.workspace.folder("runs") / ".lock", "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return the size and time of each state file, -1 if it is missing; changes if any of the files does."""
    stamp = []
    for name in ("task.json", EVENTS_FILE, "owner.json", EXIT, ATTEMPTS, SUMMARY):
        try:
            info = os.stat(folder / name)
            stamp += [info.st_size, info.st_mtime_ns]
        except FileNotFoundError:
            stamp += [-1, -1]
    return tuple(stamp)


def _starts(folder: Path) -> list[int]:
    """Return where in its log each attempt of a run begins: 0, then what resume() noted."""
    starts = _optional(folder / ATTEMPTS, list)
    return [0, *(start for start in starts if isinstance(start, int))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _resumable(folder: Path, task: Task, status: Status) -> bool:
    """Return whether a training can be resumed: from a checkpoint, or from the start if it was killed before one.

    A failed run may also have finished training and failed only while it was measured.
    """
    if task.kind != "train":
        return False
    if status == "failed" and (folder / TRAINED).exists():
        return True
    return status in ("interrupted", "paused") or (status in ("failed", "stopped") and _saved(folder))


def _saved(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    try:  # the name of an unfinished checkpoint starts with a dot
        return any(not name.startswith(".") for name in os.listdir(folder / CHECKPOINTS))
    except OSError:
        return False


def _why_not(state: RunState) -> tuple[str, str]:
    """Return sentence and hint about a run that cannot be resumed."""
    if state.kind != "train":
        return "Only a training run can be resumed.", "Start it again: what it had measured is kept and used."
    if state.status == "queued":
        return "This run waits for its turn already.", ""
    if state.status == "running":
        return "This run is still going.", "Follow it on the page of runs, or stop it first."
    if state.status == "failed":
        return "This run failed with nothing to go on from.", state.hint
    return "This run is over, so there is nothing left to do.", "Start it again for another one."


def _optional(path: Path, kind: type[T]) -> T:
    """Read a small JSON file; return an empty `kind` if it is missing or damaged."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return kind()
    return content if isinstance(content, kind) else kind()


def _read_owner(folder: Path) -> Owner | None:
    try:
        return load(Owner, read_json(folder / "owner.json"))
    except FileNotFoundError:
        return None
    except ValueError:
        return NOBODY
