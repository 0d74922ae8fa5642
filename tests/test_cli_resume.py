"""Trainings on the command line that are interrupted and resumed."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tl_core.cli import main
from tl_core.cli.run_pointer import POINTER
from tl_core.runs import process
from tl_core.runs.control import FileControl
from tl_core.runs.events import EpochDone, RunResumed, StepDone
from tl_core.runs.store import RunStore
from tl_core.workspace import Workspace, read_json, write_json

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "tiny_process.py"
PLAN = """backbone: {backbone}
strategy: by hand
batch_size: 4
phases:
  - name: head
    epochs: 2
    lr: {{head: 0.01}}
  - name: all
    epochs: {epochs}
    lr: {{{group}: 0.001, head: 0.01}}
"""


@pytest.fixture
def table(tmp_path) -> Path:
    """60 short texts of two kinds."""
    chance = random.Random(0)
    words = (["pan", "oven", "salt", "bread"], ["rain", "cloud", "storm", "wind"])
    lines = ["text,label"]
    for number in range(60):
        label = number % 2
        text = " ".join(chance.choice(words[label]) for _ in range(6))
        lines.append(f"{text} {number},{('kitchen', 'weather')[label]}")
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def plan(tmp_path, tiny_backbones) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(backbone="tiny_text", group="layer.1", epochs=4))
    return path


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def start(home: Path, *arguments: object) -> "subprocess.Popen[str]":
    environment = {**os.environ, "GRAFT_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TINY), "cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def finish(started: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = started.communicate(timeout=300)
    return started.returncode, out, err


def interrupt(workspace: Workspace, out: Path, keep: bool = True) -> str:
    """Make the run of `out` look as if its process had been killed before it recorded an end."""
    run = read_json(out / POINTER)["run"] if (out / POINTER).exists() else RunStore(workspace).list()[0].id
    store = RunStore(workspace)
    folder = store.folder(run)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(line for line in lines if b'"RunEnded"' not in line[:20]))
    store.own(run, process.Owner(1, "gone", ""))
    write_json(out / POINTER, {"workspace": str(workspace.root), "run": run}) if keep else None
    return run


def test_a_finished_training_leaves_no_pointer_and_cannot_be_resumed(capsys, workspace, table, plan, tmp_path):
    out = tmp_path / "model"
    assert call(capsys, "train", table, "--out", out, "--plan", plan)[0] == 0
    assert not (out / POINTER).exists()
    code, printed, err = call(capsys, "resume", out)
    assert (code, printed) == (2, "")
    assert "finished model" in err


def test_an_interrupted_training_is_kept_until_resumed_or_replaced(capsys, workspace, table, plan, tmp_path):
    out = tmp_path / "model"
    assert call(capsys, "train", table, "--out", out, "--plan", plan)[0] == 0
    weights = (out / "weights.safetensors").read_bytes()
    for path in out.iterdir():
        path.unlink()
    run = interrupt(workspace, out)
    code, _, err = call(capsys, "train", table, "--out", out, "--plan", plan)
    assert code == 2
    assert "was interrupted" in err
    assert f"resume {out}" in err
    assert "--fresh" in err
    assert len(RunStore(workspace).list()) == 1

    code, printed, err = call(capsys, "resume", out, "--json")
    assert code == 0, err
    assert json.loads(printed)["run"] == run
    assert (out / "weights.safetensors").read_bytes() == weights
    assert not (out / POINTER).exists()

    interrupt(workspace, out)  # beside an older model now
    code, _, err = call(capsys, "train", table, "--out", out, "--plan", plan, "--fresh")
    assert code == 0, err
    assert len(RunStore(workspace).list()) == 2  # the other one is still in the list of runs
    assert RunStore(workspace).state(run).status == "interrupted"
    assert not (out / POINTER).exists()


def test_resume_copies_a_finished_model_that_was_not_copied(capsys, workspace, table, plan, tmp_path, monkeypatch):
    out = tmp_path / "model"

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tl_core.cli.train.copy_bundle", killed)
        assert call(capsys, "train", table, "--out", out, "--plan", plan)[0] == 130
    assert [path.name for path in out.iterdir()] == [POINTER]
    assert "not copied" in call(capsys, "train", table, "--out", out, "--plan", plan)[2]
    code, _, err = call(capsys, "resume", out)
    assert code == 0, err
    assert (out / "weights.safetensors").exists()
    assert len(RunStore(workspace).list()) == 1


def test_a_stopped_training_is_usable_and_resumes_to_the_same_model(
    capsys, workspace, table, plan, tmp_path, monkeypatch
):
    whole, out = tmp_path / "whole", tmp_path / "model"
    assert call(capsys, "train", table, "--out", whole, "--plan", plan)[0] == 0
    store = RunStore(workspace)
    (first,) = store.list()

    def after_three_epochs(control: FileControl) -> bool:
        """Somebody presses Ctrl-C; counted in epochs, so that it does not depend on the machine's speed."""
        events = [event for run in store.list() if run.id != first.id for event in store.events(run.id)[0]]
        return sum(isinstance(event, EpochDone) for event in events) >= 3

    with monkeypatch.context() as patch:
        patch.setattr(FileControl, "stopped", property(after_three_epochs))
        code, printed, err = call(capsys, "train", table, "--out", out, "--plan", plan, "--json")
    assert (code, json.loads(printed)["status"]) == (130, "stopped"), err
    assert f"resume {out}" in err
    assert (out / "weights.safetensors").is_file()
    assert (out / POINTER).is_file()
    code, _, err = call(capsys, "train", table, "--out", out, "--plan", plan)
    assert code == 2
    assert "was stopped" in err
    code, _, err = call(capsys, "resume", out)
    assert code == 0, err
    assert (out / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert not (out / POINTER).exists()
    (state,) = (run for run in store.list() if run.id != first.id)
    assert any(isinstance(event, RunResumed) and event.step for event in store.events(state.id)[0])


def test_a_training_that_cannot_be_resumed_is_one_sentence(capsys, workspace, table, plan, tmp_path):
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    other.mkdir()
    (other / POINTER).write_text('{"run": "of another program"}')
    gone = tmp_path / "gone"
    gone.mkdir()
    write_json(gone / POINTER, {"workspace": str(workspace.root), "run": "20260101-000000-000000"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_json(elsewhere / POINTER, {"workspace": str(tmp_path / "no workspace"), "run": "20260101-000000-000000"})
    for out, words in (
        (tmp_path / "new", "no folder"),
        (empty, "was interrupted"),
        (other, "was interrupted"),
        (gone, "was deleted"),
        (elsewhere, "was deleted"),
    ):
        code, printed, err = call(capsys, "resume", out)
        assert (code, printed, err.count("\n")) == (2, "", 1)
        assert words in err
    assert not (tmp_path / "no workspace").exists()
    assert "holds no trained model" in call(capsys, "train", table, "--out", other, "--plan", plan)[2]
    code, _, err = call(capsys, "train", table, "--out", gone, "--plan", plan)  # a run that is gone is in nobody's way
    assert code == 0, err


def test_a_running_training_is_left_alone(capsys, workspace, table, plan, tmp_path):
    out = tmp_path / "model"
    assert call(capsys, "train", table, "--out", out, "--plan", plan)[0] == 0
    run = interrupt(workspace, out)
    RunStore(workspace).own(run, process.identify(os.getpid()))
    for arguments in (("resume", out), ("train", table, "--out", out, "--plan", plan, "--fresh")):
        code, _, err = call(capsys, *arguments)
        assert code == 2
        assert "still going" in err


def test_a_failure_with_a_checkpoint_says_how_to_resume(capsys, workspace, table, plan, tmp_path, monkeypatch):
    out = tmp_path / "model"

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tl_core.export.bundle.write_bundle", fail)
        code, _, err = call(capsys, "train", table, "--out", out, "--plan", plan)
    assert code == 1
    assert "The disk is full." in err
    assert f"resume {out}" in err
    state = RunStore(workspace).list()[0]
    assert (state.status, state.resumable) == ("failed", True)
    steps = [e for e in RunStore(workspace).events(state.id)[0] if isinstance(e, EpochDone)]
    code, _, err = call(capsys, "resume", out)
    assert code == 0, err
    assert (out / "weights.safetensors").exists()
    # it was measured again, and not trained again
    assert [e for e in RunStore(workspace).events(state.id)[0] if isinstance(e, EpochDone)] == steps
    assert RunStore(workspace).state(state.id).numbers["seconds"] > 0


def test_a_failure_with_nothing_saved_leaves_no_folder_behind(capsys, workspace, table, plan, tmp_path, monkeypatch):
    def fail(*arguments: object) -> None:
        raise ValueError("boom")

    monkeypatch.setattr("tl_core.training.loop.train", fail)
    out = tmp_path / "model"
    assert call(capsys, "train", table, "--out", out, "--plan", plan)[0] == 1
    assert not out.exists()


def test_a_training_killed_at_any_moment_resumes_to_the_same_model(table, tmp_path):
    """Real processes, killed with SIGKILL at moments that vary with the machine's speed."""
    plan = tmp_path / "plan.yaml"
    text = PLAN.format(backbone="tiny_text", group="layer.1", epochs=60)
    plan.write_text(f"{text}init: random\n")  # nothing classical to compare with: scikit-learn takes a second
    home, whole, out = tmp_path / "home", tmp_path / "whole", tmp_path / "out"
    asked = (table, "--plan", plan, "--seed", 0)
    other = start(tmp_path / "other", "train", *asked, "--out", whole)
    store = RunStore(Workspace(home))
    chance = random.Random(time.time_ns())
    first = start(home, "train", *asked, "--out", out)
    kills = 0
    while True:
        wait_for_steps(store, first, chance.randrange(1, 12))
        if first.poll() is not None or kills == 2:
            break
        time.sleep(chance.random() * 0.1)
        first.kill()
        first.communicate()
        kills += 1
        if store.list()[0].status == "done":
            break
        assert not (out / "weights.safetensors").exists()
        assert store.list()[0].status == "interrupted"
        first = start(home, "resume", out)
    code, _, err = finish(first)
    if store.list()[0].status == "done" and not (out / "weights.safetensors").exists():
        code, _, err = finish(start(home, "resume", out))
    assert code == 0, err
    assert kills
    code, _, err = finish(other)
    assert code == 0, err
    assert (out / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert not (out / POINTER).exists()


def wait_for_steps(store: RunStore, child: "subprocess.Popen[str]", count: int) -> None:
    """Wait until the current attempt of a run has recorded some steps, or is over."""
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        states = store.list()
        if states and states[0].status == "running":
            events, _ = store.events(states[0].id)
            again = max((i for i, e in enumerate(events) if isinstance(e, RunResumed)), default=0)
            if sum(isinstance(e, StepDone | EpochDone) for e in events[again:]) >= count:
                return
        time.sleep(0.01)
