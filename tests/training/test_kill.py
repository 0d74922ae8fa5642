"""Trainings that are killed for real, at random places, end with the bits of those that were not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.training.killing import PLANS
from tests.training.test_resume import epoch_results
from tl_core.runs import event_log
from tl_core.runs.events import RunResumed, RunStarted
from tl_core.runs.history import kept_events

ROOT = Path(__file__).resolve().parents[2]


def test_killed_trainings_go_on_to_the_same_bits(tmp_path):
    command = [sys.executable, "-m", "tests.training.killing", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    killed = [line for line in lines if line["folder"] != line["whole"]]
    assert len(killed) == sum(map(len, PLANS.values())) >= 10
    assert all(line["codes"] == [0] for line in lines if line not in killed), done.stderr
    resumed = 0
    for line in killed:
        assert line["codes"] == [-signal.SIGKILL, 0], (line, done.stderr)
        folder, whole = tmp_path / line["folder"], tmp_path / line["whole"]
        assert (folder / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes(), line
        events, expected = (event_log.read(one / "events.jsonl")[0] for one in (folder, whole))
        assert epoch_results(kept_events(events)) == epoch_results(expected), line
        starts = [type(event) for event in events if isinstance(event, RunStarted | RunResumed)]
        assert len(starts) == 2
        resumed += starts == [RunStarted, RunResumed]
        assert not (folder / "checkpoints").exists()
    assert resumed >= 10, "most kills came after the first checkpoint"
