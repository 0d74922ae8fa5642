"""The training loop: executes the phases of a plan and yields what happens as events.

One training step, file by file:

    loop.py               train -> _descend -> _train_epoch: edits, learning rates, one step, events
    step.py               Stepper.step: micro-batches, forward, penalties, backward, clipping, update
    objectives/labels.py  LabelObjective.forward: the loss of a batch (or another objective: one file each)
    inputs.py             what a batch reads: pooled features, cached activations, or prepared items
    model.py              TransferModel: the stages that learn, pooling, head

Around the steps: phase.py prepares and edits a phase, resume.py saves and restores a run, parts.py lists what it
consists of. A plan with penalties adds penalty_set.py.

A phase that trains only the head reads pooled features, so that the backbone runs once for the whole run, or not at
all where the feature store has them. Any other phase runs its frozen first stages once, caches their activations, and
steps through the rest. Whatever is frozen has no gradient, no optimiser state and no weight decay, and its
normalisation statistics do not change.

The best weights win: by validation accuracy, then loss (by loss alone where items may have several labels). The
weights that a phase starts with compete too. The best weights are in the run's folder when the run ends, however it
ends. A run that is stopped leaves its last checkpoint beside them.
"""

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from time import time

import torch

from tl_core.layers import HEAD
from tl_core.penalties import PENALTIES
from tl_core.runs.control import RunControl
from tl_core.runs.events import (
    CheckpointSaved,
    EpochDone,
    Noted,
    PhaseSkipped,
    PhaseStarted,
    RunEnded,
    RunEvent,
    RunResumed,
    RunStarted,
    StepDone,
)
from tl_core.runs.failure import explain, unexpected
from tl_core.training.augment import caveats
from tl_core.training.best_weights import FILE, load_best
from tl_core.training.checkpoints import Snapshot
from tl_core.training.convex import Solvable, Solver
from tl_core.training.edits import follow_requests, pause, refuse_edits
from tl_core.training.inputs import PooledInputs
from tl_core.training.interpolate_weights import interpolate_weights
from tl_core.training.job import TrainJob
from tl_core.training.layer_monitor import LayerMonitor
from tl_core.training.optimisers import out_of_memory
from tl_core.training.parts import RunParts, make_parts, objective_of, seconds_left
from tl_core.training.phase import PhaseState, phase_inputs
from tl_core.training.resume import of_first_format, restore, write_checkpoint
from tl_core.training.run_state import Diverged, Events, Stopped, raise_if_stopped
from tl_core.training.step import set_rates
from tl_core.types import Finding

__all__ = ["TrainJob", "load_best", "train"]


def train(job: TrainJob, control: RunControl) -> Iterator[RunEvent]:
    """Execute the plan of a job and yield what happens; tl_core/runs/events.py has the grammar of the events.

    Exactly one RunEnded comes, last, whatever goes wrong; a job that cannot start yields nothing else. The best weights
    are then at job.folder / "best.safetensors", unless nothing was learned. A job with `resume` continues a run that
    ended "failed" or "stopped", or was killed, if it left checkpoints: bit for bit as if nothing had happened.
    """
    try:
        parts = make_parts(job, control)
        with closing(parts.provider):
            yield from _execute(parts)
    except Exception as error:
        if unexpected(error):
            logging.getLogger(__name__).exception("The run failed.")
        yield explain(error)


def _execute(parts: RunParts) -> Events:
    """Resume or start, train every phase, and keep the best weights."""
    first, saved = yield from _start(parts)
    stopped = False
    try:
        for index in range(first, len(parts.edited.plan.phases)):
            resumed, saved = saved, None  # checkpoints are only of phases that are trained
            if resumed is None and (yield from _skipped(parts, index)):
                continue
            if parts.edited.plan.phases[index].optimizer == "lbfgs":
                yield from _solve(parts, index)
            else:
                yield from _descend(parts, index, resumed)
            # with an untrained head the run goes on: its backbone alone is of no use
            if parts.clock.out_of_time() and not parts.head.untrained:
                budget = f"The time budget of {parts.job.budget:g} seconds is used up, so training ends here."
                yield _note("budget", budget)
                end = RunEnded("done", "The time budget was used up; the best weights so far were kept.")
                break
        else:
            end = _done(parts)
    except Stopped:
        end, stopped = _stopped(parts), True
    except Diverged as error:
        end = _diverged(parts, error)
    if not parts.head.untrained:
        yield from _save_best(parts, now=True)
    elif end.status == "done":
        end = RunEnded("stopped", "Every phase was skipped before the head had learned anything.")
    try:
        yield replace(end, at=time())
    finally:
        parts.checkpoints.clear(but_last=stopped)  # only now that the end is on record


def _start(parts: RunParts) -> Generator[RunEvent, None, tuple[int, Snapshot | None]]:
    """Restore the newest checkpoint, if the job resumes one; return the phase to start with, and the checkpoint."""
    saved = parts.checkpoints.latest() if parts.job.resume else None
    if saved is None:
        parts.checkpoints.clear()
        yield _run_started(parts)
        for finding in caveats(parts.job.plan, parts.job.dataset):
            yield Noted(finding)
        return 0, None
    saved = of_first_format(saved)
    restore(parts, saved)
    phase = int(saved.facts["phase"])
    yield RunResumed(parts.counter.step, phase, saved.facts["epoch"], restarted=True)
    return phase, saved


def _skipped(parts: RunParts, index: int) -> Generator[RunEvent, None, bool]:
    """Return whether a phase with `only_if_better` is skipped: the phase trained before it brought nothing better."""
    phase = parts.edited.plan.phases[index]
    if not phase.only_if_better:
        return False
    if parts.best.gained is None:
        message = f"{phase.name}: no validation items show whether the phase before helped, so this one is trained too."
        yield _note("only-if-better", message)
    if parts.best.gained is not False:
        return False
    parts.counter.skip(index)
    yield PhaseSkipped(index, phase.name)
    message = f"{phase.name}: skipped, because the last trained phase brought no better score on validation."
    yield _note("only-if-better", message)
    return True


def _run_started(parts: RunParts) -> RunStarted:
    job, rows = parts.job, parts.rows
    sizes = {name: parameter.numel() for name, parameter in parts.model.named_parameters()}
    groups = {group: sum(sizes.get(n, 0) for n in names) for group, names in parts.freezer.owned.items()}
    items = {"train": len(rows.train), "validation": len(rows.validation), "test": len(job.dataset.rows("test"))}
    return RunStarted("train", job.plan, groups, parts.model.device.type, job.seed, items)


# One phase of gradient descent.


def _descend(parts: RunParts, index: int, saved: Snapshot | None) -> Events:
    """Train by gradient descent, epoch by epoch, until the phase or the patience ends.

    `saved` is the checkpoint that the run resumes in this phase, if it does.
    """
    within = saved is not None and saved.facts["phase_state"] is not None
    if not within:
        write_checkpoint(parts, index)
    state = PhaseState(parts, index)
    yield from state.begin(saved if within else None)
    if saved is not None:
        saved.tensors.clear()  # every part has its copy
    phase = state.phase
    yield PhaseStarted(index, phase.name, phase.epochs, dict(phase.lr), parts.counter.planned[index])
    while state.items_done or not state.over:
        try:
            yield from _train_epoch(state)
            learned = state.items_done > 0
            if learned:
                yield from _judge_epoch(state)
        except Stopped:
            if parts.counter.step and not state.rebuilding:
                write_checkpoint(parts, index, state)
            raise
        if learned:
            optimiser, gradient_norm = state.stepper.optimiser, state.gradient_norm
            yield from state.monitor.report(state.epoch - 1, optimiser, gradient_norm, last=state.over)
        if not parts.head.untrained:
            yield from _save_best(parts)
        write_checkpoint(parts, index, state)
    if state.phase.interpolate_weights and not parts.clock.out_of_time():
        yield from interpolate_weights(parts, state.phase, state.deepest_inputs())
    yield from _end_phase(parts, index, state.log.steps, state.lowest)


def _train_epoch(state: PhaseState) -> Events:
    """Learn from the batches that are left of the epoch."""
    parts = state.parts
    state.draw_batches()
    while state.batches and not state.over and not (state.items_done and parts.clock.out_of_time()):
        # requests: pause, edits; a skip ends the phase
        if (yield from follow_requests(state)):
            state.over = True
            break
        # learning rates, then the step; where memory runs out, again in smaller micro-batches
        position = state.position()
        rates = set_rates(state.stepper.optimiser, state.phase, position)
        try:
            result = state.stepper.step(state.batches[-1], position)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            parts.micro_batches.halve()
            size = parts.micro_batches.size
            yield _note("memory", f"There was not enough memory, so a step now takes {size} items at a time.")
            continue
        # counts and events; losses are only read when an event is due
        state.record(result)
        if parts.clock.due():
            state.settle_loss()
            yield _step_done(state, rates)
    state.settle_loss()


def _step_done(state: PhaseState, rates: dict[str, float]) -> StepDone:
    """Return the event of the last step; its loss is the mean since the event before."""
    parts, log = state.parts, state.log
    speed = log.speed()
    left = seconds_left(parts, state.index, log.steps, log.seconds())
    sizes = parts.penalties.sizes()
    return StepDone(state.index, parts.counter.step, parts.counter.total, log.mean, rates, speed, left, sizes)


def _judge_epoch(state: PhaseState) -> Events:
    """End an epoch: measure it, keep it where it is the best, and decide whether the phase goes on."""
    parts, phase, epoch = state.parts, state.phase, state.epoch
    train_metrics = state.metrics()
    validation = (yield from parts.evaluator.validate(phase, state.stepper.inputs)) if state.objective.judged else {}
    # if the epoch's last step broke the weights, validation shows it; without validation, the gradient does
    if not math.isfinite(validation["loss"] if validation else float(state.gradient_norm)):
        raise Diverged(parts.counter.step)
    better = parts.best.offer(validation, train_metrics)
    parts.head.untrained = parts.head.untrained and HEAD not in phase.lr
    state.epochs_without_gain = 0 if better else state.epochs_without_gain + 1
    seconds = parts.clock.now() - state.epoch_began
    yield EpochDone(state.index, epoch, train_metrics, validation, seconds, better)
    state.end_epoch()
    if parts.clock.out_of_time() or state.epoch == phase.epochs:
        state.over = True
    elif validation and phase.patience is not None and state.epochs_without_gain >= phase.patience and not state.over:
        waited = state.epochs_without_gain
        yield _note("patience", f"{phase.name}: no better on validation for {waited} epochs, so the phase ends.")
        state.over = True


# One phase that solves the head.


def _solve(parts: RunParts, index: int) -> Events:
    """Solve the linear head over frozen features; an epoch is a number of L-BFGS iterations."""
    phase, model = parts.edited.plan.phases[index], parts.model
    write_checkpoint(parts, index)
    inputs = yield from phase_inputs(parts, objective_of(parts, index))
    assert isinstance(inputs, PooledInputs)
    rows = parts.rows.train_rows(phase)
    weights = parts.rows.class_weights(parts.job.plan.loss.class_weights, rows)
    data = Solvable(inputs.features[torch.from_numpy(rows)], parts.rows.labels_of(rows), weights)
    solver = Solver(model.head, data, phase.weight_decay, parts.head.untrained)
    monitor = LayerMonitor(parts.freezer, parts.starting.run, index, phase.name)
    yield PhaseStarted(index, phase.name, phase.epochs, dict(phase.lr), phase.epochs)
    for epoch in range(phase.epochs):
        raise_if_stopped(parts.control)
        yield from refuse_edits(parts, index)
        if parts.control.paused:  # if the run is interrupted meanwhile, the phase starts again
            yield from pause(parts, index, epoch)
        began = parts.clock.now()
        objective, solved = solver.iterate()
        parts.counter.step += 1
        if not math.isfinite(objective):
            raise Diverged(parts.counter.step)
        train_metrics = yield from parts.evaluator.measure(phase, inputs, rows)
        validation = yield from parts.evaluator.validate(phase, inputs)
        seconds = parts.clock.now() - began
        if parts.clock.due():
            left = seconds_left(parts, index, epoch + 1, seconds * (epoch + 1))
            speed, counter = len(rows) / max(seconds, 1e-9), parts.counter
            yield StepDone(index, counter.step, counter.total, train_metrics["loss"], dict(phase.lr), speed, left)
        last = solved or epoch + 1 == phase.epochs or parts.clock.out_of_time()
        # the solution is unique, so it only competes with a head that had learned before
        better = last and (parts.best.take if parts.head.untrained else parts.best.offer)(validation, train_metrics)
        yield EpochDone(index, epoch, train_metrics, validation, seconds, better)
        if last:
            break
    parts.head.untrained = False
    yield from monitor.report(epoch, last=True)
    yield from _end_phase(parts, index, epoch + 1)


# The ends of a phase and of a run.


def _end_phase(parts: RunParts, index: int, steps: int, lowest: int | None = None) -> Events:
    """Put the best weights into the model; `lowest` is the first backbone stage that learned, if any did."""
    parts.best.restore()
    parts.model.reset_precision(parts.job.spec.parts)
    parts.counter.planned[index] = steps
    if lowest is not None and lowest < parts.model.stages:
        parts.provider.changed(lowest)
    if not parts.head.untrained:
        yield from _save_best(parts)


def _done(parts: RunParts) -> RunEnded:
    if parts.counter.skipped:
        return RunEnded("done", "The plan was carried out; phases that could not help any more were skipped.")
    if not all(parts.counter.planned):
        return RunEnded("done", "The plan was carried out; a phase was skipped by hand before its first step.")
    return RunEnded("done", "Every phase of the plan was trained.")


def _stopped(parts: RunParts) -> RunEnded:
    """Keep the best weights, or the present ones where no epoch has ended yet."""
    if parts.head.untrained and parts.counter.step:
        parts.best.take({}, {})
        parts.head.untrained = False
        return RunEnded(
            "stopped", "Stopped on request before the head was trained; the weights were kept as they were."
        )
    parts.best.restore()
    kept = "nothing had been learned yet" if parts.head.untrained else "the best weights so far were kept"
    return RunEnded("stopped", f"Stopped on request; {kept}.")


def _diverged(parts: RunParts, error: Diverged) -> RunEnded:
    parts.best.restore()
    cause, hint = "the loss", "Learning rates that are too high cause this. Divide them by ten, or add a warm-up"
    if error.penalty:
        title = PENALTIES[error.penalty].title
        cause = f"the penalty “{title}”"
        hint = f"Divide the strength of “{title}” by ten, or remove it from the plan"
    kept = "" if parts.head.untrained else " The best weights from before were kept."
    reason = f"Training went wrong at step {error.step}: {cause} is no longer a finite number.{kept}"
    return RunEnded("failed", reason, f"{hint}, and start again.")


def _save_best(parts: RunParts, now: bool = False) -> Events:
    if parts.best.write(now):
        yield CheckpointSaved(FILE, parts.best.accuracy)


def _note(code: str, message: str) -> Noted:
    return Noted(Finding("info", code, message))
