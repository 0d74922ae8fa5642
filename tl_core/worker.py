"""`python -m tl_core.worker RUN_DIR`: execute one run in a process of its own, and record it in its folder."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType

from tl_core.errors import GraftError
from tl_core.runs import process
from tl_core.runs.control import FileControl, RunControl
from tl_core.runs.events import EpochDone, RunEnded, RunEvent, RunPaused, StepDone
from tl_core.runs.failure import disk_full
from tl_core.runs.record import record
from tl_core.runs.store import TRAINED, RunStore
from tl_core.runs.task import Task
from tl_core.workspace import Workspace

Execute = Callable[[Task, Workspace, Path, RunControl], Iterator[RunEvent]]


def work(folder: Path, execute: Execute) -> int:
    """Execute the run in `folder`; return the exit code: 0 for done, stopped or left, 1 for failed, 28 (ENOSPC) if the
    disk was too full even to record the end.

    A paused training is left as soon as its state is on disk, so that its memory is free and the next run can start.
    """
    store = RunStore(Workspace(folder.parent.parent))
    with store.claim(folder.name) as claimed:
        if not claimed:
            return 1
        try:
            identity = process.identify(os.getpid())
            if identity:
                store.own(folder.name, identity)
            control = FileControl(folder)
            task = store.task(folder.name)
            _listen(control, task)
            with contextlib.closing(record(execute(task, store.workspace, folder, control), folder)) as events:
                last = _follow(events, task, folder, control)
        except GraftError as error:
            with contextlib.suppress(OSError):  # its log may be on the same full disk
                print(error, file=sys.stderr, flush=True)
            return errno.ENOSPC if disk_full(error) else 1
    return int(isinstance(last, RunEnded) and last.status == "failed")


def _follow(events: Iterable[RunEvent], task: Task, folder: Path, control: FileControl) -> RunEvent | None:
    """Work until the run ends or is left; return the last event."""
    last, has_learned = None, False
    for last in events:
        has_learned = has_learned or isinstance(last, StepDone | EpochDone)
        if isinstance(last, RunEnded):
            break
        if task.kind == "train" and control.paused:
            saved = isinstance(last, RunPaused) or not has_learned  # between other steps there is something to lose
            trained = (folder / TRAINED).exists()
            if (trained or (saved and not control.stopped)) and _leave(folder, control):
                break
    return last


def _leave(folder: Path, control: FileControl) -> bool:
    """Record that the run is left; return False if it was resumed meanwhile."""
    store = RunStore(Workspace(folder.parent.parent))
    with store.lock():
        pause_asked = FileControl(folder).paused
        if pause_asked or control.closing:
            store.leave(folder.name, "paused" if pause_asked else "closed")
        return pause_asked or control.closing


def _listen(control: FileControl, task: Task) -> None:
    """Ignore Ctrl-C, which the server handles. On SIGTERM (the app or the computer shuts down) end the work.

    A training then saves its state and is left, to be resumed later. Other runs cannot be resumed, so they stop.
    """

    def end(number: int, frame: FrameType | None) -> None:
        control.close() if task.kind == "train" else control.stop()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)


def _execute(task: Task, workspace: Workspace, folder: Path, control: RunControl) -> Iterator[RunEvent]:
    """Import heavy libraries only here, inside the record, so that a failing import becomes a failed run."""
    from tl_core.jobs import execute

    yield from execute(task, workspace, folder, control)


if __name__ == "__main__":
    process.lower_priority()
    sys.exit(work(Path(sys.argv[1]).resolve(), _execute))
