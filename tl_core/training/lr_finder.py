"""The learning-rate range test: the rate grows step by step until the loss explodes.

Smith 2017, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186, section 3.3, with geometric growth
and a smoothed loss as in fastai. It works on a model of its own in a folder of its own, so that the job's folder and
its weights do not change. Features that the store lacks are added to it, as in any run.
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
from tl_core.training.job import TrainJob
from tl_core.training.loop import load_best, train
from tl_core.training.lr_curve import RateCurve, exploded, geometric, phase_of, smooth, suggest
from tl_core.training.model import TransferModel
from tl_core.training.objectives import Objective
from tl_core.training.optimisers import make_optimiser
from tl_core.training.parts import RunParts, make_parts, objective_of
from tl_core.training.phase import phase_inputs
from tl_core.training.recalibrate_norm import recalibrate_norm
from tl_core.training.run_state import Stopped, raise_if_stopped
from tl_core.training.step import Stepper

LOW, HIGH = 1e-6, 1.0
STEPS = 60
STAGE = "trying rates"
T = TypeVar("T")


def find_rate(
    job: TrainJob, control: RunControl, phase: int | None = None, steps: int = STEPS
) -> Iterator[Progress | RateCurve]:
    """Yield progress, then the curve of one phase, unless it is stopped; the phases before it are trained first.

    The rates of the phase's groups keep their proportions; `phase` None takes the first one of gradient descent.
    Raises PlanError where there is none, RunError where the phases before it cannot be trained.
    """
    index = phase_of(job.plan) if phase is None else phase
    with tempfile.TemporaryDirectory() as folder:
        copy = replace(job, folder=Path(folder), budget=None, resume=False, edits=(), checkpoints=False)
        try:
            parts = yield from _train_up_to(copy, control, index)
            if parts is not None:
                with closing(parts.provider):
                    yield (yield from _range_test(parts, index, steps))
        except Stopped:
            return


def _train_up_to(job: TrainJob, control: RunControl, index: int) -> Generator[Progress, None, RunParts | None]:
    """Return the parts of a run that stands at the start of a phase; None where it was stopped on the way."""
    before = job.plan.phases[:index]
    if not before:
        return make_parts(job, control)
    shortened = replace(job, plan=replace(job.plan, phases=before))
    for event in train(shortened, control):
        if isinstance(event, Progress):
            yield event
        if isinstance(event, RunEnded) and event.status == "failed":
            raise RunError(event.reason, event.hint)
        if isinstance(event, RunEnded) and event.status == "stopped":
            return None
    parts = make_parts(job, control)
    trained = load_best(job.folder, job.spec, shortened.plan, len(job.dataset.classes))
    _copy_weights(parts.model, trained)
    parts.head.untrained = False
    start = min(parts.model.first_trained(phase.lr) for phase in before)
    if start < parts.model.stages:
        parts.provider.changed(start)
    return parts


@torch.no_grad()
def _copy_weights(model: TransferModel, trained: TransferModel) -> None:
    """Copy the values of a plain model; adapters, which have not learned yet, stay as they are."""
    weights = trained.state_dict()
    for name, tensor in model.state_dict().items():
        if not is_adapter(name):
            tensor.copy_(weights[name.replace(".base_layer", "")])


def _range_test(parts: RunParts, index: int, steps: int) -> Generator[Progress, None, RateCurve]:
    """Step through the phase's batches at growing rates."""
    phase, objective = parts.edited.plan.phases[index], objective_of(parts, index)
    yield from _progress_only(objective.prepare())
    inputs = yield from _progress_only(phase_inputs(parts, objective))
    if phase.recalibrate_norm:
        yield from _progress_only(recalibrate_norm(parts, index, inputs))
    helpers = [*objective.modules(), *parts.penalties.modules()]
    optimiser = make_optimiser(parts.model, parts.freezer.owned, phase, helpers)
    stepper, fastest = Stepper(parts.of_step, objective, inputs, optimiser), max(phase.lr.values())
    rates: list[float] = []
    losses: list[float] = []
    batches = _endless(objective, inputs.lengths)
    for step, rate in enumerate(geometric(LOW, HIGH, steps)):
        raise_if_stopped(parts.control)
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * (rate / fastest if group["name"] else 1.0)
        result = stepper.step(next(batches), step / steps)
        rates.append(rate)
        losses.append(float(result.loss))
        if exploded(smooth(losses)):
            break
        if parts.clock.due():
            yield Progress(STAGE, step + 1, steps)
    yield Progress(STAGE, steps, steps)
    finite = next((step for step, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    rates, losses = rates[:finite], losses[:finite]  # a loss that is not finite can be neither saved nor drawn
    smoothed = smooth(losses)
    return RateCurve(
        parts.job.plan.backbone, parts.job.dataset.fingerprint, index, phase.name, tuple(rates), tuple(losses),
        tuple(smoothed), suggest(rates, smoothed), fastest, parts.job.seed,
    )  # fmt: skip


def _progress_only(events: Generator[RunEvent, None, T]) -> Generator[Progress, None, T]:
    """Pass on the Progress events of a generator, and return what it returns."""
    try:
        while True:
            event = next(events)
            if isinstance(event, Progress):
                yield event
    except StopIteration as end:
        result: T = end.value
        return result


def _endless(objective: Objective, lengths: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield the batches of one epoch after the other."""
    epoch = 0
    while True:
        yield from objective.epoch(epoch, lengths)
        epoch += 1
