import errno
import shutil

import pytest

from tl_core.errors import DataError, RunError, WorkspaceError
from tl_core.runs import event_log
from tl_core.runs.event_log import read
from tl_core.runs.events import Progress, RunEnded
from tl_core.runs.failure import explain, explain_exit
from tl_core.runs.record import record

STEP = Progress("reading", 1, 2)


def run(folder, *steps):
    def events():
        for step in steps:
            if isinstance(step, BaseException):
                raise step
            yield step

    passed = list(record(events(), folder))
    assert passed == read(folder / "events.jsonl")[0]
    return passed


def test_nothing_follows_the_end(tmp_path):
    done = RunEnded("done", "Finished.")
    assert run(tmp_path, STEP, done, STEP, RunEnded("failed", "Again.")) == [STEP, done]


def test_a_missing_end_is_recorded_as_a_failure(tmp_path):
    *_, last = run(tmp_path, STEP)
    assert last.status == "failed"


def test_a_graft_error_is_recorded_with_its_own_message_and_no_traceback(tmp_path):
    *_, last = run(tmp_path, STEP, DataError("The data set is gone.", "Import it again."))
    assert (last.status, last.reason, last.hint) == ("failed", "The data set is gone.", "Import it again.")
    assert not (tmp_path / "worker.log").exists()


def test_an_unexpected_error_leaves_its_traceback_in_the_log(tmp_path):
    *_, last = run(tmp_path, STEP, ValueError("boom\n  twice"))
    assert "unexpected error" in last.reason
    assert "ValueError" not in last.reason + last.hint
    assert "worker.log" in last.hint
    assert "Traceback" in (tmp_path / "worker.log").read_text()


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: not enough memory: you tried"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (caused(WorkspaceError("best.safetensors could not be written."), OSError(errno.ENOSPC, "")), "disk is full"),
        (KeyError("name"), "unexpected error"),
        (ValueError("x" * 5000), "unexpected error"),
    ],
)
def test_reasons_are_plain_and_short(error, words):
    ended = explain(error)
    assert words in ended.reason
    assert len(ended.reason) < 100
    assert ended.hint


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "memory ran out"),
        (-15, "SIGTERM"),
        (-64, "outside"),
        (1, "exit code 1"),
        (0, "before the run did"),
        (None, ""),
    ],
)
def test_a_vanished_worker_is_explained(code, words):
    reason, hint = explain_exit(code)
    assert words in reason
    assert reason.endswith(".")
    assert hint


def test_a_deleted_folder_ends_the_run_with_a_readable_error(tmp_path):
    folder, closed = tmp_path / "run", []
    folder.mkdir()

    def events():
        try:
            yield STEP
            shutil.rmtree(folder)
            while True:
                yield STEP
        finally:
            closed.append(True)

    with pytest.raises(RunError, match="deleted while it ran"):
        list(record(events(), folder))
    assert closed
    assert not folder.exists()


@pytest.mark.parametrize("room", [True, False])
def test_a_full_disk_ends_the_run_and_is_its_reason(tmp_path, monkeypatch, room):
    """With `room`, closing the job frees enough space to record the end."""
    append, full = event_log.append, []

    def failing(path, event):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(path, event)

    def events():
        try:
            yield STEP
            full.append(True)
            while True:
                yield STEP
        finally:
            if room:
                full.clear()

    monkeypatch.setattr(event_log, "append", failing)
    if room:
        *_, last = record(events(), tmp_path)
        assert (last.status, last.reason) == ("failed", "The disk is full.")
        assert read(tmp_path / "events.jsonl")[0] == [STEP, last]
    else:
        with pytest.raises(RunError, match="disk is full"):
            list(record(events(), tmp_path))
    assert explain_exit(errno.ENOSPC)[0] == "The disk is full."
