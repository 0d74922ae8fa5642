"""Work outside the queue of runs: a process of its own for each job, whose folder in the workspace holds its state.

The folder is the truth: a reloaded page, another tab or a restarted server finds the job there. It does not wait for
trainings.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tl_core.runs import process
from tl_core.threads import THREAD_SETTINGS
from tl_core.workspace import Workspace, read_value, write_value

REQUEST, STATE, OWNER, LOG = "ask.json", "state.json", "owner.json", "log.txt"
PATIENCE = 5.0  # seconds that a process has to end before it is killed
MAX_AGE = 7 * 24 * 3600.0
"""Seconds after which the folder of a job that nobody uses is removed."""
_STARTUP = 10.0  # seconds that a new process has to write its owner file
_SOURCE = Path(__file__).resolve().parents[1]


def start_process(module: str, folder: Path) -> None:
    """Run `python -m MODULE FOLDER`, in a process group of its own, so that Ctrl-C reaches only the server.

    Raises OSError where no process can be started.
    """
    paths = [str(_SOURCE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TMPDIR": str(folder),  # temporary files of libraries go with the folder
        **THREAD_SETTINGS,
    }
    with open(folder / LOG, "ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=_SOURCE,
            env=environment,
        )
    write_owner(folder, child.pid)
    threading.Thread(target=child.wait, name=f"job-{child.pid}", daemon=True).start()


def carry_out(work: Callable[[Path], None], complete: threading.Event | None = None) -> None:
    """Do the work of a job in this process, in the folder that the command line names; SIGTERM ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end_work(complete))
    process.lower_priority()
    folder = Path(sys.argv[1]).resolve()
    write_owner(folder, os.getpid())
    work(folder)


def end_work(complete: threading.Event | None = None) -> None:
    """End by SystemExit, so that every `finally` runs and nothing incomplete stays; not once `complete` is set.

    An Exception would not do: the picture decoder takes any Exception for a damaged picture. A second signal changes
    nothing.
    """
    if complete is None or not complete.is_set():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit


def write_owner(folder: Path, pid: int) -> None:
    """Write which process works on a job."""
    write_value(folder / OWNER, process.identify(pid) or process.Owner(pid, "gone", ""))


def is_alive(folder: Path) -> bool:
    """Return whether the process of a job is alive, or has just been started."""
    if owner := read_value(process.Owner, folder / OWNER):
        return process.alive(owner)
    try:
        return time.time() - (folder / STATE).stat().st_mtime < _STARTUP
    except OSError:
        return False


def end_process(folder: Path) -> None:
    """End the process of a job, which cleans up after itself; kill it if that takes too long."""
    owner = read_value(process.Owner, folder / OWNER)
    if owner is None or not process.alive(owner) or owner.pid == os.getpid():
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while process.alive(owner) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill(owner)
    while process.alive(owner) and time.monotonic() < deadline + PATIENCE:
        time.sleep(0.02)


def delete_upload(source: Path | str, workspace: Workspace) -> None:
    """Delete an upload that is no longer needed. A path outside the uploads folder is left alone."""
    uploads = workspace.folder("uploads").resolve()
    with contextlib.suppress(OSError, ValueError):
        parts = Path(source).resolve().relative_to(uploads).parts
        if parts:
            shutil.rmtree(uploads / parts[0], ignore_errors=True)
