import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tl_core.runs import supervisor
from tl_core.runs.events import RunPaused
from tl_core.runs.process import identify
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.workspace import Workspace, read_json

FAKE = Path(__file__).with_name("fake_worker.py")
ROOT = str(FAKE.parents[2])


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "WORKER", (str(FAKE),))
    store = RunStore(Workspace(tmp_path))
    yield store
    for state in store.active():
        store.stop(state.id, force=True)
    supervisor.stop_all(store, timeout=5)


def task(name, kind="train"):
    return Task(kind, "lite0", name=name)


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def wait_for(store, run_id, *statuses):
    until(lambda: store.state(run_id).status in statuses)
    return store.state(run_id)


def pid_of(store, run_id):
    return read_json(store.folder(run_id) / "owner.json")["pid"]


def test_a_run_executes_in_another_process(store):
    run_id = supervisor.start(store, task("quick"))
    assert wait_for(store, run_id, "done", "failed", "interrupted").status == "done"
    events, _ = store.events(run_id)
    assert [type(event).__name__ for event in events] == ["Progress", "RunEnded"]
    assert events[0].stage == "PASSIVE 1"
    assert pid_of(store, run_id) != os.getpid()


def test_a_killed_worker_leaves_the_parent_alive_and_the_run_interrupted(store):
    first, second = supervisor.start(store, task("die")), supervisor.start(store, task("quick"))
    state = wait_for(store, first, "interrupted")
    until(lambda: "memory" in store.state(first).reason)
    assert state.status == "interrupted"
    assert store.events(first)[0]  # what it got done is still there
    assert wait_for(store, second, "done").status == "done"


def test_a_worker_killed_from_outside_is_interrupted(store):
    run_id = supervisor.start(store, task("wait"))
    until(lambda: store.events(run_id)[0])
    os.kill(pid_of(store, run_id), signal.SIGKILL)
    assert wait_for(store, run_id, "interrupted").ended is None


def test_the_exit_code_of_a_worker_is_reported(store):
    run_id = supervisor.start(store, task("break off"))
    until(lambda: "exit code 3" in store.state(run_id).reason)
    assert store.state(run_id).status == "interrupted"


def test_an_exception_is_a_failure_with_a_sentence(store):
    run_id = supervisor.start(store, task("raise"))
    state = wait_for(store, run_id, "failed")
    assert "boom" not in state.reason + state.hint
    assert "ValueError: boom" in (store.folder(run_id) / "worker.log").read_text()
    assert "Traceback" in (store.folder(run_id) / "worker.log").read_text()


def test_a_worker_that_cannot_be_started_fails_its_run_and_the_next_one_starts(store, monkeypatch):
    spawn, left = supervisor._spawn, [OSError(12, "Cannot allocate memory")] * 2

    def failing_once(*arguments):
        if left:
            raise left.pop()
        return spawn(*arguments)

    monkeypatch.setattr(supervisor, "_spawn", failing_once)
    *unlucky, last = [store.create(task(name)) for name in ("first", "second", "third")]
    supervisor.clean_up(store)
    assert wait_for(store, last, "done").status == "done"
    assert [store.state(run_id).status for run_id in unlucky] == ["failed", "failed"]


def test_stop_is_obeyed_and_the_next_one_starts(store):
    first, second = supervisor.start(store, task("wait")), supervisor.start(store, task("quick"))
    until(lambda: store.events(first)[0])
    assert store.state(second).status == "queued"
    store.stop(first)
    assert wait_for(store, first, "stopped").reason == "Asked to."
    wait_for(store, second, "done")


def test_quick_kinds_go_first_and_the_rest_in_order(store):
    blocker = supervisor.start(store, task("wait"))
    until(lambda: store.state(blocker).status == "running")
    a, b = supervisor.start(store, task("a")), supervisor.start(store, task("b"))
    probe = supervisor.start(store, task("p", kind="probe"))
    store.stop(blocker)
    for run_id in (a, b, probe):
        wait_for(store, run_id, "done")
    began = {run_id: store.events(run_id)[0][0].at for run_id in (a, b, probe)}
    assert sorted(began, key=began.__getitem__) == [probe, a, b]


def test_a_baseline_waits_for_its_run_even_while_that_run_is_paused(store):
    run = supervisor.start(store, task("wait"))
    baseline = supervisor.start(store, replace(task("baseline"), compare_to=run))
    until(lambda: store.state(run).status == "running")
    store.pause(run)
    wait_for(store, run, "paused")
    other = supervisor.start(store, task("other"))
    wait_for(store, other, "done")
    assert store.state(baseline).status == "queued"
    supervisor.resume(store, run)
    until(lambda: store.state(run).status == "running")
    store.stop(run)
    wait_for(store, baseline, "done")
    assert store.events(baseline)[0][0].at > store.state(run).ended


def test_eight_threads_at_once_start_one_worker(store):
    barrier, ids = threading.Barrier(8), []

    def go():
        barrier.wait()
        ids.append(supervisor.start(store, task("wait")))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 8
    until(lambda: any(state.status == "running" for state in store.list()))
    time.sleep(0.3)
    statuses = [state.status for state in store.list()]
    assert statuses.count("running") == 1
    assert statuses.count("queued") == 7
    assert sum(thread.name == "graft-supervisor" for thread in threading.enumerate()) == 1


def test_reloading_the_module_loses_no_run(store, monkeypatch):
    run_id = supervisor.start(store, task("wait"))
    until(lambda: store.events(run_id)[0])
    for name in [name for name in sys.modules if name.startswith("tl_core.runs")]:
        monkeypatch.delitem(sys.modules, name)
    from tl_core.runs import supervisor as reloaded

    assert reloaded is not supervisor
    assert reloaded._post(store).worker is supervisor._post(store).worker
    reloaded.stop_all(store, timeout=10)
    assert store.state(run_id).reason == "Graft was closed while this ran."


def test_shutdown_ends_the_worker_keeps_the_queue_and_start_up_resumes_it(store):
    first, second = supervisor.start(store, task("wait, learned")), supervisor.start(store, task("quick"))
    until(lambda: len(store.events(first)[0]) == 2)
    supervisor.stop_all(store, timeout=10)
    state = store.state(first)
    assert (state.status, state.resumable, state.paused) == ("interrupted", True, False)
    assert state.reason == "Graft was closed while this ran."
    assert state.hint == "You can resume it from its last checkpoint."
    assert isinstance(store.events(first)[0][-1], RunPaused)  # its state is on disk
    assert identify(pid_of(store, first)) is None
    assert store.state(second).status == "queued"
    (store.root / ".half.part").mkdir()
    supervisor.clean_up(store)
    wait_for(store, second, "done")
    assert not (store.root / ".half.part").exists()
    supervisor.resume(store, first)  # it does not wait, or end, at once again
    until(lambda: len(store.events(first)[0]) == 5)
    assert wait_for(store, first, "running").paused is False


@pytest.mark.parametrize("kind", ["probe", "curve", "speed", "rates", "layers"])
def test_shutdown_stops_runs_that_cannot_be_resumed(store, kind):
    run_id = supervisor.start(store, task("wait", kind))
    until(lambda: store.events(run_id)[0])
    supervisor.stop_all(store, timeout=10)
    assert store.state(run_id).status == "stopped"


def test_shutdown_while_the_worker_starts_loses_no_run(store):
    run_id = supervisor.start(store, task("wait"))
    until(lambda: supervisor._post(store).worker)
    supervisor.stop_all(store, timeout=10)
    state = store.state(run_id)
    assert (state.status, state.reason) == ("interrupted", "Graft was closed while this ran.")
    assert state.resumable


@pytest.mark.parametrize("name", ["wait", "wait, learned", "wait, preparing"])
def test_a_paused_run_frees_its_worker_and_resumes(store, name):
    first, second = supervisor.start(store, task(name)), supervisor.start(store, task("quick"))
    until(lambda: len(store.events(first)[0]) >= 1 + ("learned" in name))
    pid = pid_of(store, first)
    store.pause(first)
    state = wait_for(store, first, "paused")
    assert (state.active, state.open, state.paused, state.resumable) == (False, True, True, True)
    wait_for(store, second, "done")
    until(lambda: identify(pid) is None)
    supervisor.resume(store, first)
    assert not wait_for(store, first, "running").paused
    assert pid_of(store, first) != pid
    store.stop(first)
    wait_for(store, first, "stopped")


def test_a_worker_does_not_leave_unsaved_steps(store):
    """Leaving between two steps of an epoch would lose the steps since the last checkpoint."""
    run_id = supervisor.start(store, task("wait, learned, preparing"))
    until(lambda: len(store.events(run_id)[0]) == 2)
    store.pause(run_id)
    until(lambda: len(store.events(run_id)[0]) > 10)
    state = store.state(run_id)
    assert (state.status, state.paused) == ("running", True)
    (store.folder(run_id) / "trained.json").write_text("{}")  # what is left is to measure it
    wait_for(store, run_id, "paused")


def test_stopping_a_paused_run_keeps_its_best_weights(store):
    run_id = supervisor.start(store, task("wait, learned"))
    until(lambda: len(store.events(run_id)[0]) == 2)
    store.pause(run_id)
    wait_for(store, run_id, "paused")
    supervisor.stop(store, run_id)
    assert wait_for(store, run_id, "stopped").reason == "Asked to."


def test_a_pause_outlives_the_server(store):
    run_id = supervisor.start(store, task("wait"))
    until(lambda: store.events(run_id)[0])
    store.pause(run_id)
    supervisor.stop_all(store, timeout=10)
    assert store.state(run_id).status == "paused"
    supervisor.clean_up(store)
    assert store.state(run_id).resumable


def test_shutdown_does_not_wait_for_an_unresponsive_worker(store):
    run_id = supervisor.start(store, task("wait, deaf"))
    until(lambda: store.events(run_id)[0])
    start = time.monotonic()
    supervisor.stop_all(store, timeout=0.5)
    assert time.monotonic() - start < 5
    assert store.state(run_id).status == "interrupted"
    until(lambda: store.state(run_id).reason == "Graft was closed while this ran.")


def test_the_worker_outlives_its_server_and_blocks_the_queue_of_the_next(store, tmp_path):
    """Here the server is another process; it is killed with SIGKILL, and this process takes over."""
    server = f"""
import sys, time; sys.path.insert(0, {ROOT!r})
from tl_core.runs import supervisor; from tl_core.runs.store import RunStore
from tl_core.runs.task import Task; from tl_core.workspace import Workspace; from pathlib import Path
supervisor.WORKER = ({str(FAKE)!r},)
supervisor.start(RunStore(Workspace(Path({str(tmp_path)!r}))), Task("train", "lite0", name="wait"))
time.sleep(60)"""
    with subprocess.Popen([sys.executable, "-c", server]) as process:
        until(lambda: store.list() and store.events(store.list()[0].id)[0])
        process.kill()
    orphan = store.list()[0].id
    second = supervisor.start(store, task("quick"))
    time.sleep(0.3)
    assert store.state(orphan).status == "running"
    assert store.state(second).status == "queued"
    store.stop(orphan)
    wait_for(store, orphan, "stopped")
    wait_for(store, second, "done")


def test_a_run_has_one_worker_even_if_two_are_started(store):
    run_id = supervisor.start(store, task("wait"))
    until(lambda: store.events(run_id)[0])
    before = len(store.events(run_id)[0])
    again = subprocess.run(
        [sys.executable, str(FAKE), str(store.folder(run_id))], env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert again.returncode == 1
    assert len(store.events(run_id)[0]) == before


@pytest.mark.parametrize(("kind", "status"), [("train", "interrupted"), ("curve", "stopped")])
def test_sigterm_interrupts_resumable_runs_and_stops_others_and_ctrl_c_does_neither(store, kind, status):
    run_id = supervisor.start(store, task("wait", kind))
    until(lambda: store.events(run_id)[0])
    pid = pid_of(store, run_id)
    os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    assert identify(pid) is not None
    os.kill(pid, signal.SIGTERM)
    assert wait_for(store, run_id, status).resumable == (kind == "train")
