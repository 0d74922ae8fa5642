"""The background thread that starts a worker process for each queued run, one at a time, and waits for it.

The queue is on disk: it consists of the runs without an owner. So it outlives the server, and a worker that outlives a
server still counts as the running one. Quick kinds of run (probe, speed test) go before long ones; otherwise first
come, first served.

Threads, locks and Popen handles must live as long as the process. They are kept in a module without a file, because
Streamlit's hot reload removes every watched module from sys.modules, and with it all module-level variables.
"""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import ModuleType

from tl_core.errors import RunError
from tl_core.runs import event_log, process
from tl_core.runs.failure import LOG, explain
from tl_core.runs.record import EVENTS_FILE
from tl_core.runs.store import EXIT, RunState, RunStore
from tl_core.runs.task import Task
from tl_core.threads import THREAD_SETTINGS
from tl_core.workspace import write_json

WORKER = ("-m", "tl_core.worker")
QUICK = ("speed", "probe")
POLL = 1.0  # seconds between checks of another process's worker
_ANCHOR = "_graft_supervisor"
_SOURCE = Path(__file__).resolve().parents[2]
_log = logging.getLogger(__name__)


@dataclass
class _Post:
    """The state of one workspace's supervisor."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    wake: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    worker: subprocess.Popen[bytes] | None = None
    run_id: str = ""
    closed: bool = False


def _post(store: RunStore) -> _Post:
    """Return the supervisor state of this workspace in this process."""
    anchor = sys.modules.get(_ANCHOR)
    if anchor is None:
        new_anchor = ModuleType(_ANCHOR)
        new_anchor.posts = {}  # type: ignore[attr-defined]
        anchor = sys.modules.setdefault(_ANCHOR, new_anchor)  # atomic: the first one wins
    post: _Post = anchor.posts.setdefault(str(store.root.resolve()), _Post())
    return post


def start(store: RunStore, task: Task) -> str:
    """Queue a task and return its run's id; it starts as soon as nothing else is at work."""
    run_id = store.create(task)
    _attend(store)
    return run_id


def resume(store: RunStore, run_id: str) -> None:
    """Let a paused run go on, or queue one that ended early again. Raises RunError where it cannot go on."""
    store.resume(run_id)
    _attend(store)


def stop(store: RunStore, run_id: str) -> None:
    """Ask a run to end and keep its best weights; a paused run gets a worker once more for that."""
    store.stop(run_id)
    _attend(store)


def clean_up(store: RunStore) -> None:
    """At start-up: delete unfinished folders and leftovers of deletions, and continue with the queue."""
    for leftover in (*store.root.glob(".*.part"), *store.root.glob(".*.trash")):
        shutil.rmtree(leftover, ignore_errors=True)
    _attend(store)


def stop_all(store: RunStore, timeout: float = 20.0) -> None:
    """At shutdown: start nothing more, and ask the worker to end; kill it after `timeout` seconds.

    A training saves its state and can be resumed later; any other run stops. Queued runs stay queued on disk until a
    server starts again.
    """
    post = _post(store)
    with post.lock:
        post.closed = True
        worker, thread = post.worker, post.thread
    post.wake.set()
    deadline = monotonic() + timeout
    if worker is not None and worker.poll() is None:
        worker.terminate()
        if not _wait(worker, deadline - monotonic()):
            worker.kill()
    if thread is not None:
        thread.join(max(1.0, deadline - monotonic()))


def _wait(worker: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        worker.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return False
    return True


def _attend(store: RunStore) -> None:
    """Make sure that the thread is alive and checks the queue."""
    post = _post(store)
    with post.lock:
        post.closed = False
        if post.thread is None or not post.thread.is_alive():
            post.thread = threading.Thread(target=_supervise, args=(store, post), name="graft-supervisor", daemon=True)
            post.thread.start()
    post.wake.set()


def _supervise(store: RunStore, post: _Post) -> None:
    """Start a worker, wait for it, save its exit code; repeat until closed."""
    while not post.closed:
        post.wake.clear()
        waiting = False
        try:
            waiting = _launch_next(store, post)
            if post.worker is not None:
                _wait_for(post.worker, store, post)
        except Exception:
            _log.exception("the supervisor goes on after an error")
            waiting = True
        if post.worker is None:
            post.wake.wait(POLL if waiting else None)
        with post.lock:
            post.worker, post.run_id = None, ""


def _launch_next(store: RunStore, post: _Post) -> bool:
    """Start the next worker if none is running in the whole workspace; return whether a run has to wait."""
    states = store.list()
    unfinished = {state.id for state in states if state.open}
    # a baseline has nothing to compare with before its run is over, and that one may be paused
    waiting = [state for state in states if state.status == "queued"]
    queue = sorted((state for state in waiting if state.task.compare_to not in unfinished), key=_turn)
    if not queue:
        return bool(waiting)
    with post.lock, store.lock():
        if post.closed or any(state.status == "running" for state in store.active()):
            return True
        if store.state(queue[0].id).status != "queued":
            return True
        _give(store, post, queue[0].id)
    return post.worker is None


def _give(store: RunStore, post: _Post, run_id: str) -> None:
    """Start the worker of a run; if that is impossible the run fails, so that it does not block the queue."""
    try:
        worker = _spawn(store, run_id)
    except OSError as error:
        event_log.append(store.folder(run_id) / EVENTS_FILE, explain(error))
        return
    post.worker, post.run_id = worker, run_id
    store.own(run_id, process.identify(worker.pid) or process.Owner(worker.pid, "gone", ""))


def _wait_for(worker: "subprocess.Popen[bytes]", store: RunStore, post: _Post) -> None:
    """Wait for a worker, and save its exit code if it ended without a RunEnded."""
    code = worker.wait()
    with contextlib.suppress(RunError):  # deleted already
        if store.state(post.run_id).status != "interrupted" or (store.folder(post.run_id) / EXIT).exists():
            return
        if post.closed and code in (-signal.SIGTERM, -signal.SIGKILL):
            store.leave(post.run_id, "closed")
        else:
            write_json(store.folder(post.run_id) / EXIT, {"code": code})


def _turn(state: RunState) -> tuple[bool, str]:
    return state.kind not in QUICK, state.id


def _spawn(store: RunStore, run_id: str) -> "subprocess.Popen[bytes]":
    """Start a worker process for a run, in its own session, so that Ctrl-C reaches only the server."""
    folder = store.folder(run_id)
    paths = [str(_SOURCE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        **THREAD_SETTINGS,  # the server on the same cores stays quick
    }
    with open(folder / LOG, "ab") as output:
        return subprocess.Popen(
            [sys.executable, *WORKER, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=_SOURCE,
            env=environment,
        )
