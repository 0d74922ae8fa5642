import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tl_core.errors import RunError
from tl_core.runs import event_log
from tl_core.runs.control import FileControl, MemoryControl
from tl_core.runs.events import Progress, RunEnded
from tl_core.runs.process import Owner, alive, identify
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.workspace import Workspace, write_json

TASK = Task("probe", "minilm", fingerprint="abc", name="My probe")


@pytest.fixture
def store(tmp_path):
    return RunStore(Workspace(tmp_path))


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    yield process
    process.kill()
    process.communicate()


def end(store, run_id, status="done"):
    event_log.append(store.folder(run_id) / "events.jsonl", RunEnded(status, "Because."))


def test_a_new_run_is_queued_and_stores_its_task(store):
    run_id = store.create(TASK)
    assert store.task(run_id) == TASK
    assert RunStore(store.workspace).state(run_id).status == "queued"
    assert store.state(run_id).name == "My probe"
    assert abs(store.state(run_id).created - time.time()) < 60
    assert store.events(run_id) == ([], 0)


def test_ids_sort_by_age_and_never_collide(store):
    ids = [store.create(TASK) for _ in range(50)]
    assert ids == sorted(set(ids))
    assert [state.id for state in store.list()] == ids[::-1]


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../x", "/etc", "20260101-000000-000000", "x" * 5000, "a\0b", ".lock"]
)
def test_an_id_that_names_no_run_is_refused(store, run_id):
    for method in (store.folder, store.task, store.state, store.events, store.stop, store.delete):
        with pytest.raises(RunError, match="There is no run"):
            method(run_id)


def test_the_last_event_decides_the_state(store):
    for status in ("done", "stopped", "failed"):
        run_id = store.create(TASK, owner=identify(os.getpid()))
        assert store.state(run_id).status == "running"
        end(store, run_id, status)
        state = store.state(run_id)
        assert (state.status, state.reason, state.active) == (status, "Because.", False)
        assert state.ended is not None


def test_a_dead_owner_means_interrupted_even_if_its_process_id_is_reused(store, sleeper):
    owner = identify(sleeper.pid)
    run_id = store.create(TASK, owner=owner)
    assert store.state(run_id).status == "running"
    reused = store.create(TASK, owner=replace(owner, start="1"))
    rebooted = store.create(TASK, owner=replace(owner, boot="another"))
    assert {store.state(reused).status, store.state(rebooted).status} == {"interrupted"}
    sleeper.kill()  # not waited for: a zombie does no work
    for _ in range(100):
        if not alive(owner):
            break
        time.sleep(0.02)
    state = store.state(run_id)
    assert state.status == "interrupted"
    assert "ended before the run did" in state.reason
    assert state.hint


def test_a_damaged_owner_file_means_interrupted(store):
    run_id = store.create(TASK)
    (store.folder(run_id) / "owner.json").write_text("{")
    assert store.state(run_id).status == "interrupted"


@pytest.mark.parametrize("name", ["exit.json", "attempts.json", "summary.json"])
@pytest.mark.parametrize("content", ["", "null", "7", "[[]]", '{"left": {}}'])
def test_a_damaged_small_file_says_nothing_and_hides_no_run(store, name, content):
    run_id = store.create(TASK, owner=Owner(10**9, "1", "elsewhere"))
    (store.folder(run_id) / name).write_text(content)
    assert [(state.id, state.status) for state in store.list()] == [(run_id, "interrupted")]


@pytest.mark.parametrize("content", ['{"kind": "dance"}', "[" * 100_000])
def test_a_damaged_task_is_left_out_of_the_list_but_named_in_the_error(store, content):
    run_id, good = store.create(TASK), store.create(TASK)
    (store.folder(run_id) / "task.json").write_text(content)
    assert [state.id for state in store.list()] == [good]
    with pytest.raises(RunError, match="damaged"):
        store.state(run_id)


def test_stopping_a_waiting_run_takes_it_out_of_the_queue(store):
    run_id = store.create(TASK)
    store.stop(run_id)
    store.stop(run_id)
    assert store.state(run_id).status == "stopped"
    assert len(store.events(run_id)[0]) == 1


def test_stopping_a_working_run_leaves_a_request(store, sleeper):
    run_id = store.create(TASK, owner=identify(sleeper.pid))
    control = FileControl(store.folder(run_id))
    assert not control.stopped
    store.stop(run_id)
    assert control.stopped
    assert store.state(run_id).stopping
    assert store.state(run_id).status == "running"


def test_force_ends_the_process(store, sleeper):
    run_id = store.create(TASK, owner=identify(sleeper.pid))
    store.stop(run_id, force=True)
    assert sleeper.wait(10) == -9
    assert store.state(run_id).status == "interrupted"


def test_an_active_run_is_not_deleted(store):
    run_id = store.create(TASK)
    with pytest.raises(RunError, match="Stop it first"):
        store.delete(run_id)
    store.stop(run_id)
    store.delete(run_id)
    assert store.list() == ()
    assert [path.name for path in store.root.iterdir()] == [".lock"]


def test_key_figures_show_in_the_list(store):
    run_id = store.create(TASK)
    end(store, run_id)
    assert store.state(run_id).numbers == {}
    store.summarise(run_id, {"accuracy": 0.9})
    assert store.list()[0].numbers == {"accuracy": 0.9}


def test_two_hundred_runs_are_listed_quickly(store):
    for _ in range(200):
        run_id = store.create(TASK, owner=Owner(1, "gone", ""))
        event_log.append(store.folder(run_id) / "events.jsonl", Progress("reading", 1, 1))
        end(store, run_id)
    start = time.perf_counter()
    assert len(store.list()) == 200
    first = time.perf_counter() - start
    assert len(store.list()) == 200
    again = time.perf_counter() - start - first
    assert first < 1.0
    assert again < 0.3


def test_a_flag_in_memory():
    control = MemoryControl()
    assert not control.stopped
    control.stop()
    assert control.stopped


TRAIN = Task("train", "minilm", fingerprint="abc")


def checkpoint(store, run_id):
    (store.folder(run_id) / "checkpoints" / "12").mkdir(parents=True)


def test_an_interrupted_training_is_queued_again_and_ends(store):
    run_id = store.create(TRAIN, owner=Owner(1, "gone", ""))
    event_log.append(store.folder(run_id) / "events.jsonl", Progress("reading", 1, 1))
    state = store.state(run_id)
    assert (state.status, state.resumable) == ("interrupted", True)
    assert state.hint.endswith("You can resume it from its last checkpoint.")
    store.resume(run_id)
    assert RunStore(store.workspace).state(run_id).status == store.state(run_id).status == "queued"
    store.own(run_id, identify(os.getpid()))
    assert store.state(run_id).status == "running"
    end(store, run_id)
    assert store.state(run_id).status == "done"
    assert len(store.events(run_id)[0]) == 2


def test_the_end_of_an_earlier_attempt_does_not_end_a_resumed_run(store):
    run_id = store.create(TRAIN, owner=Owner(1, "gone", ""))
    checkpoint(store, run_id)
    for status in ("failed", "stopped", "failed"):  # it ends early, and is gone on with, again and again
        end(store, run_id, status)
        assert (store.state(run_id).status, store.state(run_id).resumable) == (status, True)
        store.resume(run_id)
        assert store.state(run_id).status == "queued"
        store.own(run_id, identify(os.getpid()))
        assert store.state(run_id).status == "running"
    store.own(run_id, Owner(1, "gone", ""))
    assert store.state(run_id).status == "interrupted"


def test_a_run_that_cannot_be_resumed_says_why(store):
    def ended(status, task=TRAIN, saved=True):
        run_id = store.create(task, owner=Owner(1, "gone", ""))
        if saved:
            checkpoint(store, run_id)
        event_log.append(store.folder(run_id) / "events.jsonl", RunEnded(status, "Because."))
        return run_id

    own_run = store.create(TRAIN, owner=identify(os.getpid()))
    for run_id, words in (
        (ended("done"), "over"),
        (ended("stopped", saved=False), "over"),
        (ended("failed", saved=False), "nothing to go on from"),
        (ended("failed", task=TASK), "Only a training"),
        (store.create(TASK, owner=Owner(1, "gone", "")), "Only a training"),
        (store.create(TRAIN), "waits"),
        (own_run, "still going"),
    ):
        assert not store.state(run_id).resumable
        with pytest.raises(RunError, match=words):
            store.resume(run_id)
    with pytest.raises(RunError, match="still going"):
        store.resume(own_run, identify(os.getpid()))


def test_a_run_removed_from_the_queue_can_still_be_resumed(store):
    run_id = store.create(TRAIN, owner=Owner(1, "gone", ""))
    checkpoint(store, run_id)
    end(store, run_id, "failed")
    for _ in range(2):
        store.resume(run_id)
        store.stop(run_id)
        assert (store.state(run_id).status, store.state(run_id).reason) == ("failed", "Because.")
        assert store.state(run_id).resumable
    killed = store.create(TRAIN, owner=Owner(1, "gone", ""))
    write_json(store.folder(killed) / "exit.json", {"code": -9})
    before = store.state(killed)
    store.resume(killed)
    store.stop(killed)
    assert store.state(killed) == before
    assert "memory" in before.reason


def test_old_requests_do_not_reach_the_next_attempt(store):
    run_id = store.create(TRAIN, owner=Owner(1, "gone", ""))
    control = store.control(run_id)
    control.stop()
    control.pause()
    store.resume(run_id, owner=identify(os.getpid()))
    state = store.state(run_id)
    assert (state.status, state.stopping, state.paused) == ("running", False, False)
    assert not store.control(run_id).stopped


def test_a_run_is_paused_and_resumed(store):
    run_id = store.create(TRAIN, owner=identify(os.getpid()))
    store.pause(run_id)
    assert store.state(run_id).paused
    assert store.control(run_id).paused
    store.resume(run_id)
    assert not store.state(run_id).paused
    assert not store.control(run_id).paused
    for other in (store.create(TRAIN), store.create(TASK, owner=identify(os.getpid()))):
        with pytest.raises(RunError, match="at work"):
            store.pause(other)


def test_a_run_left_by_its_worker_keeps_its_state_until_it_is_resumed(store, sleeper):
    for why, status in (("paused", "paused"), ("closed", "interrupted")):
        run_id = store.create(TRAIN, owner=identify(sleeper.pid))
        store.pause(run_id)
        store.leave(run_id, why)
        before = store.state(run_id)  # at once, however long the process takes to end
        assert (before.status, before.active, before.resumable) == (status, False, True)
        assert RunStore(store.workspace).list()[0] == before
        store.resume(run_id)
        assert (store.state(run_id).status, store.state(run_id).paused) == ("queued", False)
        store.stop(run_id)  # taken out of the queue again
        assert store.state(run_id) == before
        store.resume(run_id, identify(os.getpid()))
        assert (store.state(run_id).status, store.state(run_id).paused) == ("running", False)


def test_stopping_a_paused_run_queues_it_and_deleting_removes_it(store):
    run_id, other = (store.create(TRAIN, owner=Owner(1, "gone", "")) for _ in range(2))
    for run in (run_id, other):
        store.leave(run, "paused")
    store.stop(run_id)
    state = store.state(run_id)
    assert (state.status, state.stopping) == ("queued", True)
    assert store.control(run_id).stopped
    store.delete(other)
    assert [run.id for run in store.list()] == [run_id]


def test_closing_asks_for_a_pause_in_this_process_only(store):
    folder = store.folder(store.create(TRAIN))
    control = FileControl(folder)
    control.close()
    assert control.paused
    assert not FileControl(folder).paused


@pytest.mark.parametrize("line", ["[]", "5", "null", '"rate"', '{"action": "melt"}', '{"action": "rate", "grou'])
def test_a_request_that_is_none_is_passed_over(store, line):
    control = FileControl(store.folder(store.create(TRAIN)))
    control.edit("top", 1e-3)
    with open(control._file, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    control.skip_phase()
    assert [(edit.number, edit.action) for edit in control.edits(0)] == [(1, "rate"), (2, "skip")]


def test_a_run_is_claimed_by_one_process(store):
    run_id = store.create(TRAIN)
    with store.claim(run_id) as first, store.claim(run_id) as second:
        assert (first, second) == (True, False)
    with store.claim(run_id) as again:
        assert again


def test_a_deleted_workspace_is_an_empty_one(store):
    run_id = store.create(TRAIN, owner=identify(os.getpid()))
    shutil.rmtree(store.workspace.root)
    assert store.list() == ()
    with pytest.raises(RunError, match="There is no run"):
        store.state(run_id)
    assert store.state(store.create(TRAIN)).status == "queued"
