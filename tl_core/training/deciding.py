"""Decides, once a phase, in which numbers it computes; what was measured is kept, so that a run repeats itself.

A phase that is long enough for the measurement to pay is measured the first time that this backbone learns so, from
this stage on, in this workspace; every later run finds that choice. Shorter phases compute in float32, always.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import ValidationError

from tl_core.runs.events import Noted, RunEvent
from tl_core.training.inputs import StagedInputs
from tl_core.training.precision import Precision, choose, lay_out, pays
from tl_core.types import Finding, dump, load
from tl_core.workspace import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from tl_core.training.inputs import Inputs
    from tl_core.training.objectives import Objective
    from tl_core.training.run import Run

ITEMS = (4, 8)
"""Least and most items of the batch that is measured; pictures are the most."""
TOKENS = 1024
"""Of that batch, where its items are texts: long ones say as much with fewer of them."""


def decide(run: "Run", aim: "Objective", inputs: "Inputs") -> Generator[RunEvent, None, None]:
    """Let the model compute this phase as was decided for it, or decide it now."""
    key = f"precision {aim.index} {run.start_of(aim.phase)}"
    known = run.choices.get(key)
    chosen = load(Precision, known) if known else _decided(run, aim, inputs)
    run.choices[key] = dump(chosen)
    run.model.precision = chosen
    if chosen.rounds or chosen.dtype != "float32":
        lay_out(run.model, chosen)
    if not known and chosen.speedup > 1:
        yield Noted(Finding("info", "precision", f"{aim.phase.name}: this phase computes in {chosen.why}."))


def _decided(run: "Run", aim: "Objective", inputs: "Inputs") -> Precision:
    asked = run.plan.precision
    if not isinstance(inputs, StagedInputs) or asked == "float32":
        return Precision()
    if asked == "bfloat16":
        return Precision("bfloat16", run.job.spec.modality == "image", why="bfloat16, as the plan says")
    rows = aim.rows()
    count = _count(run, inputs, rows)
    steps = aim.phase.epochs * aim.steps() * run.plan.batch_size // count
    if not pays(run.model, run.device, steps):
        return Precision(why="float32: the phase is too short for a measurement to pay")
    path = _path(run, aim)
    try:
        return load(Precision, read_json(path))
    except (OSError, ValueError, ValidationError):
        chosen = _measure(run, aim, inputs, rows, steps)
        write_json(path, dump(chosen))
        return chosen


def _count(run: "Run", inputs: "Inputs", rows: np.ndarray) -> int:
    """Return how many items are measured at once."""
    least, most = ITEMS
    usual = most if inputs.lengths is None else TOKENS // max(1, int(np.median(inputs.lengths[rows])))
    return min(max(least, min(most, usual)), len(rows), run.at_once)


def _measure(run: "Run", aim: "Objective", inputs: "Inputs", rows: np.ndarray, steps: int) -> Precision:
    """Measure on a batch of usual length."""
    count = _count(run, inputs, rows)
    order = rows if inputs.lengths is None else rows[np.argsort(inputs.lengths[rows], kind="stable")]
    middle = (len(order) - count) // 2
    batch = run.space.view(order[middle : middle + count], 0)

    def forward(way: Precision) -> torch.Tensor:
        before, run.model.precision = run.model.precision, way
        try:
            return aim.learn(inputs, batch).loss
        finally:
            run.model.precision = before

    return choose(forward, run.model, run.device, steps)


def _path(run: "Run", aim: "Objective") -> "Path":
    """Return where the choice lies: by backbone, adapter, objective, first stage that learns, device and threads."""
    adapter = run.plan.adapter.kind if run.plan.adapter else "plain"
    start = run.start_of(aim.phase)
    about = (run.job.spec.name, adapter, aim.phase.objective, start, run.device.type, torch.get_num_threads())
    name = "-".join(map(str, about)) + ".json"
    return run.job.store.workspace.folder("speed", "precision") / name
