"""The training loop: executes the phases of a plan and tells what happens as events.

A phase that moves the head alone reads pooled features, so that the backbone runs once for the whole run, or not
at all where the feature store has them. Any other phase runs its frozen first stages once, keeps their activations,
and steps through the rest. What is frozen has no gradient, no optimiser state, no decay, and its normalisation
statistics stay as they are.

The best weights win: by validation accuracy, then loss (by loss where items may have several labels), and what a phase
starts from is a candidate too. They are in the run's folder when the run ends, however it ends. A run that is stopped
leaves its last checkpoint beside them.
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
    PhaseStarted,
    RunEnded,
    RunEvent,
    RunResumed,
    StepDone,
)
from tl_core.runs.failure import explain, unexpected
from tl_core.training.augment import caveats
from tl_core.training.best_weights import FILE, load_best
from tl_core.training.checkpoints import Snapshot
from tl_core.training.convex import Solvable, Solver
from tl_core.training.edits import obey, refuse, wait
from tl_core.training.inputs import PooledInputs
from tl_core.training.interpolate_weights import interpolate_weights
from tl_core.training.layer_monitor import LayerMonitor
from tl_core.training.objectives import objective
from tl_core.training.optimisers import out_of_memory, set_rates
from tl_core.training.phase_state import PhaseState
from tl_core.training.run import Diverged, Run, Stopped, TrainJob
from tl_core.training.state import capture, restore
from tl_core.types import Finding

__all__ = ["TrainJob", "load_best", "train"]

Events = Generator[RunEvent, None, None]


def train(job: TrainJob, control: RunControl) -> Iterator[RunEvent]:
    """Execute the plan of a job, and yield what happens; the grammar is in tl_core/runs/events.py.

    Exactly one RunEnded comes, last, whatever goes wrong; a job that cannot start at all yields nothing else. The
    best weights are then at job.folder / "best.safetensors", unless nothing was learned. A run that ended "failed" or
    "stopped", or was killed, and has checkpoints is gone on with by a job with `resume`: bit for bit as if nothing had
    happened.
    """
    try:
        run = Run(job, control)
        with closing(run.feed):
            yield from _execute(run)
    except Exception as error:
        if unexpected(error):
            logging.getLogger(__name__).exception("The run failed.")
        yield explain(error)


def _execute(run: Run) -> Events:
    job = run.job
    saved = run.checkpoints.latest() if job.resume else None
    if saved is None:
        run.checkpoints.clear()
    first = restore(run, saved) if saved else 0
    yield RunResumed(run.step, first, saved.facts["epoch"], restarted=True) if saved else run.started()
    for finding in () if saved else caveats(run.plan, job.dataset):
        yield Noted(finding)
    end, stopped = RunEnded("done", "Every phase of the plan was trained."), False
    try:
        for index in range(first, len(run.plan.phases)):
            solve = run.plan.phases[index].optimizer == "lbfgs"
            begun = saved if saved and index == first and saved.facts["descent"] else None
            yield from _solve(run, index) if solve else _descend(run, index, begun)
            if run.spent() and not run.fresh:  # a backbone that has learned is of no use without a head
                yield _note("budget", f"The time budget of {job.budget:g} seconds is used up, so training ends here.")
                end = RunEnded("done", "The time budget was used up; the best weights so far were kept.")
                break
    except Stopped:
        end, stopped = _stopped(run), True
    except Diverged as error:
        end = _diverged(run, error)
    if not run.fresh:
        yield from _save(run, now=True)
    elif end.status == "done":
        end = RunEnded("stopped", "Every phase was skipped before the head had learned anything.")
    try:
        yield replace(end, at=time())
    finally:
        run.checkpoints.clear(but_last=stopped)  # once whoever listens knows the end


def _solve(run: Run, index: int) -> Events:
    """Solve the linear head over frozen features; an epoch is a stretch of L-BFGS iterations."""
    phase = run.plan.phases[index]
    _checkpoint(run, index)
    inputs = yield from run.inputs(objective(run, index))
    assert isinstance(inputs, PooledInputs)
    rows = run.rows(phase)
    chosen = torch.from_numpy(rows)
    weights = run.label_task.weights(run.plan.loss.class_weights, run.labels[chosen], len(run.job.dataset.classes))
    data = Solvable(inputs.features[chosen], run.labels[chosen], weights)
    solver = Solver(run.model.head, data, phase.weight_decay, run.fresh)
    watch = LayerMonitor(run, index)
    yield PhaseStarted(index, phase.name, phase.epochs, dict(phase.lr), phase.epochs)
    for epoch in range(phase.epochs):
        run.check()
        yield from refuse(run, index)
        if run.control.paused:  # the phase is solved anew where the run is interrupted meanwhile
            yield from wait(run, index, epoch)
        started = run.now()
        size, found = solver.iterate()
        run.step += 1
        if not math.isfinite(size):
            raise Diverged(run.step)
        train_metrics = yield from run.measure(phase, inputs, rows)
        validation = yield from run.validate(phase, inputs)
        seconds = run.now() - started
        if run.due():
            left = run.seconds_left(index, epoch + 1, seconds * (epoch + 1))
            speed = len(rows) / max(seconds, 1e-9)
            yield StepDone(index, run.step, run.steps, train_metrics["loss"], dict(phase.lr), speed, left)
        last = found or epoch + 1 == phase.epochs or run.spent()
        # the solution is unique, so only a head that had learned before has a claim against it
        better = last and (run.best.take if run.fresh else run.best.offer)(validation, train_metrics)
        yield EpochDone(index, epoch, train_metrics, validation, seconds, better)
        if last:
            break
    run.fresh = False
    yield from watch.report(epoch, None, last=True)
    yield from _finish(run, index, epoch + 1)


def _descend(run: Run, index: int, saved: Snapshot | None) -> Events:
    """Train by gradient descent, epoch by epoch, until the phase or the patience ends."""
    if saved is None:
        _checkpoint(run, index)
    descent = PhaseState(run, index)
    yield from descent.begin(saved)
    phase, watch = descent.phase, descent.watch
    yield PhaseStarted(index, phase.name, phase.epochs, dict(phase.lr), run.planned[index])
    while descent.done or not descent.over:
        try:
            train_metrics = yield from _epoch(descent)
            learned = descent.done > 0
            if learned:
                yield from _judge(descent, train_metrics)
        except Stopped:
            if run.step and not descent.changing:
                _checkpoint(run, index, descent)
            raise
        if learned:
            yield from watch.report(descent.epoch - 1, descent.lessons.optimiser, last=descent.over)
        if not run.fresh:
            yield from _save(run)
        _checkpoint(run, index, descent)
    if descent.phase.interpolate_weights and not run.spent():
        yield from interpolate_weights(run, descent.phase, descent.deepest())
    yield from _finish(run, index, descent.pace.steps, descent.lowest)


def _judge(descent: PhaseState, train_metrics: dict[str, float]) -> Events:
    """End an epoch: measure it, keep it where it is the best, and see whether the phase goes on."""
    run, phase, epoch = descent.run, descent.phase, descent.epoch
    validation = (yield from run.validate(phase, descent.lessons.inputs)) if descent.aim.judged else {}
    # the epoch's last step broke the weights: validation sees it, and where there is none its gradient tells
    if not math.isfinite(validation["loss"] if validation else float(run.gradient)):
        raise Diverged(run.step)
    better = run.best.offer(validation, train_metrics)
    run.fresh = run.fresh and HEAD not in phase.lr
    descent.waited = 0 if better else descent.waited + 1
    yield EpochDone(descent.index, epoch, train_metrics, validation, run.now() - descent.began, better)
    descent.close()
    if run.spent() or descent.epoch == phase.epochs:
        descent.over = True
    elif validation and phase.patience is not None and descent.waited >= phase.patience and not descent.over:
        waited = descent.waited
        yield _note("patience", f"{phase.name}: no better on validation for {waited} epochs, so the phase ends.")
        descent.over = True


def _epoch(descent: PhaseState) -> Generator[RunEvent, None, dict[str, float]]:
    """Learn from what is left of the epoch; return mean loss and accuracy of the batches as they were learned from."""
    run, pace = descent.run, descent.pace
    descent.draw()
    while descent.todo and not descent.over and not (descent.done and run.spent()):
        if (yield from obey(descent)):
            descent.over = True
            break
        batch, phase = descent.todo[-1], descent.phase
        position = (descent.epoch + (descent.done + len(batch) / 2) / descent.total) / phase.epochs
        rates = set_rates(descent.lessons.optimiser, phase, position)
        try:
            loss, hits = descent.lessons.step(batch, position)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            run.halve()
            yield _note("memory", f"The memory was not enough, so a step now takes {run.at_once} items at a time.")
            continue
        descent.learned(batch, hits)
        pace.record(loss, len(batch), run.terms.taken())
        if run.due():
            descent.loss = pace.settle(descent.loss)
            yield pace.event(rates)
    descent.loss = pace.settle(descent.loss)
    return descent.metrics()


def _finish(run: Run, index: int, steps: int, lowest: int | None = None) -> Events:
    """End a phase, in which the backbone learned from stage `lowest` on: the best weights become the model's."""
    run.best.restore()
    run.plain()
    run.planned[index] = steps
    if lowest is not None and lowest < run.model.stages:
        run.feed.changed(lowest)
    if not run.fresh:
        yield from _save(run)


def _checkpoint(run: Run, index: int, descent: PhaseState | None = None) -> None:
    """Write the state of the run down, unless it is that of a run which has not begun."""
    if run.job.checkpoints and (index or descent):
        run.checkpoints.write(capture(run, index, descent))


def _stopped(run: Run) -> RunEnded:
    """Keep the best weights, or what there is where no epoch has ended yet."""
    if run.fresh and run.step:
        run.best.take({}, {})
        run.fresh = False
        return RunEnded("stopped", "Stopped on request before the head was done; the weights were kept as they were.")
    run.best.restore()
    kept = "nothing had been learned yet" if run.fresh else "the best weights so far were kept"
    return RunEnded("stopped", f"Stopped on request; {kept}.")


def _diverged(run: Run, error: Diverged) -> RunEnded:
    run.best.restore()
    what, hint = "the loss", "Learning rates that are too high do this. Divide them by ten, or add a warm-up"
    if error.penalty:
        title = PENALTIES[error.penalty].title
        what, hint = f"the guard “{title}”", f"Divide the strength of “{title}” by ten, or take it out of the plan"
    kept = "" if run.fresh else " The best weights from before were kept."
    reason = f"Training went wrong at step {error.step}: {what} is no longer a number.{kept}"
    return RunEnded("failed", reason, f"{hint}, and start again.")


def _save(run: Run, now: bool = False) -> Events:
    if run.best.write(now):
        yield CheckpointSaved(FILE, run.best.accuracy)


def _note(code: str, message: str) -> Noted:
    return Noted(Finding("info", code, message))
