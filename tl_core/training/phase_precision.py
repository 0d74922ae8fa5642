"""Decides once a phase what it computes in. The measurement is saved, so that a run computes the same when repeated.

A phase that is long enough for the measurement to pay is measured the first time that this backbone learns from this
stage on in this workspace; later runs use that choice. Shorter phases always compute in float32.
"""

from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch

from tl_core.runs.events import Noted, RunEvent
from tl_core.training.inputs import Inputs, StagedInputs
from tl_core.training.objectives import Objective
from tl_core.training.parts import RunParts
from tl_core.training.precision import Precision, choose, lay_out, pays
from tl_core.types import Finding, dump, load
from tl_core.workspace import read_json, write_json

ITEMS = (4, 8)
"""Smallest and largest number of items in the measured batch; pictures take the largest."""
TOKENS = 1024
"""Tokens in the measured batch of texts: of long texts, fewer items are enough."""


def decide_precision(
    parts: RunParts, index: int, objective: Objective, inputs: Inputs
) -> Generator[RunEvent, None, None]:
    """Let the model compute phase `index` as was decided before, or decide it now."""
    start = parts.model.first_trained(objective.phase.lr)
    earlier = parts.precision.get(index, start)
    choice = earlier or _choose(parts, objective, inputs)
    parts.precision.keep(index, start, choice)
    parts.model.precision = choice
    if choice.rounds or choice.dtype != "float32":
        lay_out(parts.model, choice)
    if not earlier and choice.speedup > 1:
        yield Noted(Finding("info", "precision", f"{objective.phase.name}: this phase computes in {choice.why}."))


def _choose(parts: RunParts, objective: Objective, inputs: Inputs) -> Precision:
    plan = parts.job.plan
    if not isinstance(inputs, StagedInputs) or plan.precision == "float32":
        return Precision()
    if plan.precision == "bfloat16":
        return Precision("bfloat16", "image" in parts.job.spec.parts, why="bfloat16, as the plan says")
    rows = objective.rows()
    size = measured_items(inputs, rows, parts.micro_batches.size)
    steps = objective.phase.epochs * objective.steps() * plan.batch_size // size
    if not pays(parts.model, parts.model.device, steps):
        return Precision(why="float32: the phase is too short for a measurement to pay")
    path = _path(parts, objective)
    try:
        return load(Precision, read_json(path))
    except (OSError, ValueError):
        choice = _measure(parts, objective, inputs, size, steps)
        write_json(path, dump(choice))
        return choice


def measured_items(inputs: Inputs, rows: np.ndarray, at_most: int) -> int:
    """Return how many items the measured batch has."""
    fewest, most = ITEMS
    usual = most if inputs.lengths is None else TOKENS // max(1, int(np.median(inputs.lengths[rows])))
    return min(max(fewest, min(most, usual)), len(rows), at_most)


def _measure(parts: RunParts, objective: Objective, inputs: Inputs, size: int, steps: int) -> Precision:
    """Measure on a batch of `size` items of typical length."""
    rows = objective.rows()
    order = rows if inputs.lengths is None else rows[np.argsort(inputs.lengths[rows], kind="stable")]
    middle = (len(order) - size) // 2
    rows_B = parts.rows.items.view(order[middle : middle + size], 0)
    model = parts.model

    def forward(precision: Precision) -> torch.Tensor:
        """Return the loss of the batch, computed in `precision`."""
        before, model.precision = model.precision, precision
        try:
            return objective.forward(inputs, rows_B).loss
        finally:
            model.precision = before

    return choose(forward, model, model.device, steps)


def _path(parts: RunParts, objective: Objective) -> Path:
    """Return the file of the choice: by backbone, adapter, objective, first stage that learns, device and threads."""
    adapter, phase = parts.job.plan.adapter, objective.phase
    facts = (
        parts.job.spec.name,
        adapter.kind if adapter else "plain",
        phase.objective,
        parts.model.first_trained(phase.lr),
        parts.model.device.type,
        torch.get_num_threads(),
    )
    return parts.job.store.workspace.folder("speed", "precision") / ("-".join(map(str, facts)) + ".json")
