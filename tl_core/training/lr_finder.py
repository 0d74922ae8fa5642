"""The learning-rate range test: the rate grows step by step until the loss leaves.

Smith 2017, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186, section 3.3, with a geometric
growth and a smoothed loss as fastai has them. Everything happens on a model of its own in a folder of its own: the
job's folder and its weights stay as they are. What the feature store lacks is added to it, as by any run.
"""

import math
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from tl_core.errors import RunError
from tl_core.layers import is_adapter
from tl_core.runs.control import RunControl
from tl_core.runs.events import Progress, RunEnded, RunEvent
from tl_core.training.loop import load_best, train
from tl_core.training.lr_curve import RateCurve, exploded, geometric, phase_of, smooth, suggest
from tl_core.training.model import TransferModel
from tl_core.training.objectives import Objective, objective
from tl_core.training.optimisers import make_optimiser
from tl_core.training.recalibrate_norm import recalibrate_norm
from tl_core.training.run import Run, Stopped, TrainJob
from tl_core.training.stepper import Stepper

LOW, HIGH = 1e-6, 1.0
STEPS = 60
Made = TypeVar("Made")


def find_rate(
    job: TrainJob, control: RunControl, phase: int | None = None, steps: int = STEPS
) -> Iterator[Progress | RateCurve]:
    """Yield progress, then the curve of one phase, unless it is stopped; the phases before it are trained first.

    The rates of the phase's groups keep their proportions; `phase` None takes the first one that learns by steps.
    Raises PlanError where there is none, RunError where the phases before it cannot be trained.
    """
    index = phase_of(job.plan) if phase is None else phase
    with tempfile.TemporaryDirectory() as folder:
        copy = replace(job, folder=Path(folder), budget=None, resume=False, edits=(), checkpoints=False)
        try:
            run = yield from _ready(copy, control, index)
            if run is not None:
                with closing(run.feed):
                    yield (yield from _test(run, index, steps))
        except Stopped:
            return


def _ready(job: TrainJob, control: RunControl, index: int) -> Generator[Progress, None, Run | None]:
    """Return a run that stands at the beginning of a phase, None where it was stopped on the way."""
    before = job.plan.phases[:index]
    if not before:
        return Run(job, control)
    part = replace(job, plan=replace(job.plan, phases=before))
    for event in train(part, control):
        if isinstance(event, Progress):
            yield event
        if isinstance(event, RunEnded) and event.status == "failed":
            raise RunError(event.reason, event.hint)
        if isinstance(event, RunEnded) and event.status == "stopped":
            return None
    run = Run(job, control)
    learned = load_best(job.folder, job.spec, part.plan, len(job.dataset.classes))
    _take(run.model, learned)
    run.fresh = False
    if (start := min(map(run.start_of, before))) < run.model.stages:
        run.feed.changed(start)
    return run


@torch.no_grad()
def _take(model: TransferModel, learned: TransferModel) -> None:
    """Take the values of a plain model; adapters, which have not learned yet, stay as they are."""
    known = learned.state_dict()
    for name, tensor in model.state_dict().items():
        if not is_adapter(name):
            tensor.copy_(known[name.replace(".base_layer", "")])


def _test(run: Run, index: int, steps: int) -> Generator[Progress, None, RateCurve]:
    """Step through the phase's batches at growing rates."""
    phase, aim = run.plan.phases[index], objective(run, index)
    yield from _told(aim.prepare())
    inputs = yield from _told(run.inputs(aim))
    if phase.recalibrate_norm:
        yield from _told(recalibrate_norm(run, index, inputs))
    optimiser = make_optimiser(run.model, run.freezer.owned, phase, [*aim.modules(), *run.terms.modules()])
    lessons, top = Stepper(run, aim, inputs, optimiser), max(phase.lr.values())
    rates: list[float] = []
    losses: list[float] = []
    batches = _endless(aim, lessons.inputs.lengths)
    for step, rate in enumerate(geometric(LOW, HIGH, steps)):
        run.check()
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * (rate / top if group["name"] else 1.0)
        loss, _ = lessons.step(next(batches), step / steps)
        rates.append(rate)
        losses.append(float(loss))
        if exploded(smooth(losses)):
            break
        if run.due():
            yield Progress("trying rates", step + 1, steps)
    yield Progress("trying rates", steps, steps)
    kept = next((place for place, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    rates, losses = rates[:kept], losses[:kept]  # what is no number cannot be kept or drawn
    smoothed = smooth(losses)
    return RateCurve(
        run.plan.backbone, run.job.dataset.fingerprint, index, phase.name, tuple(rates), tuple(losses),
        tuple(smoothed), suggest(rates, smoothed), top, run.job.seed,
    )  # fmt: skip


def _told(making: Generator[RunEvent, None, Made]) -> Generator[Progress, None, Made]:
    """Pass on how far something is, and return what it made."""
    try:
        while True:
            event = next(making)
            if isinstance(event, Progress):
                yield event
    except StopIteration as end:
        made: Made = end.value
        return made


def _endless(aim: Objective, lengths: np.ndarray | None) -> Iterator[np.ndarray]:
    epoch = 0
    while True:
        yield from aim.epoch(epoch, lengths)
        epoch += 1
