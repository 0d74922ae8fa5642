"""`python -m tl_core.worker RUN_DIR`: execute one run in a process of its own, and record it in its folder."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from tl_core.errors import GraftError
from tl_core.runs import process
from tl_core.runs.control import FileControl, RunControl
from tl_core.runs.events import RunEnded, RunEvent
from tl_core.runs.failure import full
from tl_core.runs.record import record
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.workspace import Workspace

Execute = Callable[[Task, Workspace, Path, RunControl], Iterator[RunEvent]]


def work(folder: Path, execute: Execute) -> int:
    """Execute the run in `folder`, once; return the process's exit code: 0 for done and stopped, 1 for failed.

    28 (ENOSPC) says that the disk was too full even for the run's last word.
    """
    store = RunStore(Workspace(folder.parent.parent))
    with store.claim(folder.name) as mine:
        if not mine:
            return 1
        try:
            me = process.identify(os.getpid())
            if me:
                store.own(folder.name, me)
            control = FileControl(folder)
            _listen(control)
            task = store.task(folder.name)
            *_, last = record(execute(task, store.workspace, folder, control), folder)
        except GraftError as error:
            with contextlib.suppress(OSError):  # its log may be on the same full disk
                print(error, file=sys.stderr, flush=True)
            return errno.ENOSPC if full(error) else 1
    return int(isinstance(last, RunEnded) and last.status == "failed")


def _listen(control: FileControl) -> None:
    """SIGTERM means stop and keep the best; Ctrl-C is the server's to handle."""

    def stop(number: int, frame: FrameType | None) -> None:
        control.stop()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)


def _execute(task: Task, workspace: Workspace, folder: Path, control: RunControl) -> Iterator[RunEvent]:
    """Import what is heavy only here, inside the record: a library that cannot be imported is a run that failed."""
    from tl_core.jobs import execute

    yield from execute(task, workspace, folder, control)


if __name__ == "__main__":
    process.step_aside()
    sys.exit(work(Path(sys.argv[1]).resolve(), _execute))
