"""`python -m tests.training.killing HOME`: run trainings in processes of their own, and kill them for real.

One process imports what is heavy and forks the others before anything was computed. Each plan is run whole once; then
it is killed with SIGKILL at random calls of some functions, and each time gone on with in another process. Prints one
JSON line a kill; the runs' folders are left for the test to compare.
"""

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.tiny import make_images, make_texts
from tests.training.helpers import make_job
from tests.training.test_resume import VARIANTS, phases_of_all_kinds, strategy_plan
from tl_core.data.dataset import Dataset
from tl_core.data.sources import open_dataset
from tl_core.runs.control import MemoryControl
from tl_core.runs.record import record
from tl_core.training import checkpoints, step
from tl_core.training.loop import TrainJob, train
from tl_core.workspace import Workspace

PLANS = {
    ("images", "discriminative"): ("step", "stepped", "write", "written", "replace"),
    ("texts", "gradual"): ("update", "updated", "step", "digest", "replaced"),
    ("texts", "l2_sp"): ("updated", "fsync"),
}
"""Data and plan, and where it is killed: a name of PLACES."""
PLACES: dict[str, tuple[Any, str, bool]] = {
    "step": (step.Stepper, "step", True),
    "stepped": (step.Stepper, "step", False),
    "update": (step, "clipped_update", True),
    "updated": (step, "clipped_update", False),
    "write": (checkpoints, "_fill", True),
    "written": (checkpoints, "_fill", False),
    "digest": (checkpoints, "_digest", True),
    "replace": (os, "replace", True),
    "replaced": (os, "replace", False),
    "fsync": (os, "fsync", True),
}
"""Functions, and whether to kill before or after their work: a training step, the optimiser's update in it, the write
of a checkpoint, its digest between tensors and facts, the rename of what was written, and the waits for the disk."""


def main(home: Path) -> None:
    """Run every plan whole, and killed at each of its places."""
    os.environ["GRAFT_HOME"] = str(home)
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).step()  # imports much, which every child would else do
    datasets = {"images": make_images(Workspace(home)), "texts": make_texts(Workspace(home))}
    for data, plan in PLANS:
        fingerprint, whole = datasets[data].fingerprint, f"{data}-{plan}"

        def work(folder: str, called: Callable[[str], None], fingerprint: str = fingerprint, plan: str = plan) -> None:
            job = _job(open_dataset(Workspace(home), fingerprint), plan, folder)
            for place in PLACES:
                _wrap(place, called)
            *_, last = record(train(job, MemoryControl()), job.folder)
            assert getattr(last, "status", "") == "done", last

        code, counts = _forked(lambda work=work, whole=whole: _count(lambda called: work(whole, called)))
        print(json.dumps({"folder": whole, "whole": whole, "codes": [code]}), flush=True)
        for place in PLANS[data, plan]:
            folder = f"{whole}-{place}"
            # the features are there by now, so a little less is done than in the whole run
            at = random.Random(folder).randint(max(1, counts[place] // 5), counts[place] * 4 // 5)
            codes = [
                _forked(lambda call=call, folder=folder, work=work: (work(folder, call), {})[1])[0]
                for call in (_killer(place, at), lambda place: None)
            ]
            print(json.dumps({"folder": folder, "whole": whole, "codes": codes}), flush=True)


def _count(work: Callable[[Callable[[str], None]], None]) -> dict[str, int]:
    """Return how often each place was passed."""
    counts: Counter[str] = Counter()
    work(lambda place: counts.update([place]))
    return dict(counts)


def _killer(place: str, at: int) -> Callable[[str], None]:
    """Return what ends the process when `place` is passed the `at`-th time."""
    passed: list[str] = []

    def called(now: str) -> None:
        passed.extend([now] if now == place else [])
        if len(passed) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return called


def _forked(work: Callable[[], dict[str, int]]) -> tuple[int, dict[str, int]]:
    """Do some work in a process of its own; returns its exit code, negative for a signal, and what it returned."""
    readable, writable = os.pipe()
    if child := os.fork():
        os.close(writable)
        with open(readable, "rb") as file:
            output = file.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(output or "{}")
    code = 1
    try:
        os.write(writable, json.dumps(work()).encode())
        code = 0
    finally:
        os._exit(code)


def _job(dataset: Dataset, plan: str, folder: str) -> TrainJob:
    job = make_job(dataset, phases_of_all_kinds(dataset), folder=folder, publish=1000.0, resume=True)
    if plan in VARIANTS:
        return replace(job, plan=replace(job.plan, **VARIANTS[plan]))
    return replace(job, plan=strategy_plan(plan, dataset))


def _wrap(place: str, called: Callable[[str], None]) -> None:
    """Call `called` whenever the function of a place begins, or has done its work."""
    module, name, early = PLACES[place]
    original = getattr(module, name)

    def wrapped(*args: Any) -> Any:
        if early:
            called(place)
        result = original(*args)
        if not early:
            called(place)
        return result

    setattr(module, name, wrapped)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
