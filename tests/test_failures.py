"""Failures around a training, each in a real worker process: the run ends with a clear reason, and others continue."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tl_core.data.dataset import Dataset
from tl_core.evaluation.result_files import bundle_folder
from tl_core.plan import Phase, TransferPlan
from tl_core.runs import supervisor
from tl_core.runs.events import EpochDone, RunPaused, RunResumed
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task

TINY = Path(__file__).with_name("tiny_process.py")
ROOT = str(TINY.parents[1])
MOVING = {"layer.1": 1e-3, "head": 1e-2}
# with random weights there is no classical model to compare with: scikit-learn takes a second of every process
FAST = {"batch_size": 4, "init": "random"}


@pytest.fixture
def store(workspace, tiny_backbones, monkeypatch):
    monkeypatch.setattr(supervisor, "WORKER", (str(TINY),))
    monkeypatch.setenv("PYTHONPATH", ROOT)
    store = RunStore(workspace)
    yield store
    for state in store.active():
        store.stop(state.id, force=True)
    supervisor.stop_all(store, timeout=5)


def task(dataset: Dataset, epochs: int = 2, rates: dict[str, float] = MOVING) -> Task:
    plan = TransferPlan("tiny_text", "by hand", (Phase("all", epochs, rates),), **FAST)
    return Task("train", "tiny_text", dataset.fingerprint, plan=plan)


def until(condition, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def ended(store, run_id, *statuses):
    until(lambda: not store.state(run_id).active)
    state = store.state(run_id)
    assert state.status in statuses, (state.status, state.reason)
    return state


def epochs(store, run_id):
    return [event for event in store.events(run_id)[0] if isinstance(event, EpochDone)]


def learns(store, run_id):
    """Wait until the run has finished two more epochs."""
    before = len(epochs(store, run_id))
    until(lambda: len(epochs(store, run_id)) >= before + 2)


def test_a_training_paused_shut_down_and_killed_resumes_to_the_same_model(store, tiny_texts):
    """Compare with an uninterrupted training. One test does all, because every process takes seconds to start."""
    long = task(tiny_texts, epochs=60)
    held, whole = supervisor.start(store, long), supervisor.start(store, long)
    learns(store, held)
    store.pause(held)
    until(lambda: store.state(held).status == "paused")
    ended(store, whole, "done")  # a pause lets the next run through

    supervisor.resume(store, held)
    learns(store, held)
    supervisor.stop_all(store)
    state = store.state(held)
    assert (state.status, state.resumable, state.paused) == ("interrupted", True, False)
    assert state.reason == "Graft was closed while this ran."

    supervisor.resume(store, held)
    learns(store, held)
    os.kill(supervisor._post(store).worker.pid, signal.SIGKILL)
    state = ended(store, held, "interrupted")
    until(lambda: "memory" in store.state(held).reason)
    assert state.resumable
    assert store.state(held).hint.endswith("You can resume it from its last checkpoint.")

    supervisor.resume(store, held)
    ended(store, held, "done")
    events = store.events(held)[0]
    left = [event.step for event in events if isinstance(event, RunPaused)]
    back = [event.step for event in events if isinstance(event, RunResumed)]
    assert left == back[:2]  # to the very step
    assert len(back) == 3
    expected_weights, weights = (
        (bundle_folder(store.folder(run)) / "weights.safetensors").read_bytes() for run in (whole, held)
    )
    assert expected_weights == weights
    assert store.state(held).numbers["memory"] > 50e6


def test_a_deleted_workspace_ends_only_its_worker(store, tiny_texts):
    run = supervisor.start(store, task(tiny_texts, epochs=1000))
    until(lambda: epochs(store, run))
    worker = supervisor._post(store).worker
    kept = tiny_texts.folder.rename(store.workspace.root.parent / "kept")
    shutil.rmtree(store.workspace.root.rename(store.workspace.root.parent / "gone"))  # at once: the worker writes on
    assert worker.wait(60) == 1
    assert store.list() == ()
    shutil.copytree(kept, tiny_texts.folder)  # the data come in again, and the app goes on
    ended(store, supervisor.start(store, task(tiny_texts)), "done")


def test_a_full_disk_is_the_reason_and_the_run_resumes_when_there_is_room(store, tiny_texts, monkeypatch):
    # of any one file: too little for the weights, enough for the log and for checkpoints of a head
    monkeypatch.setenv("GRAFT_TEST_ROOM", "30000")
    full = supervisor.start(store, task(tiny_texts, rates={"head": 1e-2}))
    state = ended(store, full, "failed")
    assert state.reason == "The disk is full."
    assert "Free some space" in state.hint
    assert state.resumable
    monkeypatch.delenv("GRAFT_TEST_ROOM")
    supervisor.resume(store, full)
    ended(store, full, "done")


def test_a_log_that_cannot_grow_is_reported_as_a_full_disk(store, tiny_texts, monkeypatch):
    monkeypatch.setenv("GRAFT_TEST_ROOM", "10")
    run = supervisor.start(store, task(tiny_texts))
    ended(store, run, "interrupted")
    until(lambda: store.state(run).reason == "The disk is full.")


def test_an_item_that_became_unreadable_is_named(store, tiny_images):
    plan = TransferPlan("tiny_image", "by hand", (Phase("all", 1000, {"top": 1e-3, "head": 1e-2}),), **FAST)
    run = supervisor.start(store, Task("train", "tiny_image", tiny_images.fingerprint, plan=plan))
    until(lambda: epochs(store, run))
    row = int(tiny_images.rows("test")[0])
    broken = tiny_images.folder / tiny_images.items["path"].iloc[row]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(store.workspace.root / "features", ignore_errors=True)
    shutil.rmtree(store.workspace.root / "prepared", ignore_errors=True)
    store.stop(run)
    state = ended(store, run, "failed")
    assert broken.name in state.reason
    assert state.hint
    assert state.resumable
    broken.write_bytes(whole)
    supervisor.resume(store, run)
    ended(store, run, "stopped")
    assert (bundle_folder(store.folder(run)) / "weights.safetensors").exists()
