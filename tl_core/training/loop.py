"""The training loop: executes the phases of a plan and tells what happens as events.

A phase that moves the head alone reads pooled features, so that the backbone runs once for the whole run, or not
at all where the feature store has them. Any other phase runs its frozen first stages once, keeps their activations,
and steps through the rest. What is frozen has no gradient, no optimiser state, no decay, and its normalisation
statistics stay as they are.

The best weights win: by validation accuracy, then loss, and what a phase starts from is a candidate too. They are
in the run's folder when the run ends, however it ends.
"""

import logging
import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from time import monotonic, time

import torch

from tl_core.layers import HEAD
from tl_core.plan import Phase
from tl_core.runs.control import RunControl
from tl_core.runs.events import CheckpointSaved, EpochDone, Noted, PhaseStarted, RunEnded, RunEvent, StepDone
from tl_core.runs.failure import explain, unexpected
from tl_core.training.checkpoints import FILE, load_best
from tl_core.training.convex import Solvable, Solver
from tl_core.training.inputs import PooledInputs
from tl_core.training.lessons import Lessons
from tl_core.training.objectives import objective
from tl_core.training.objectives.labels import class_weights
from tl_core.training.optimisers import make_optimiser, out_of_memory, set_rates
from tl_core.training.pace import Pace
from tl_core.training.run import Diverged, Run, Stopped, TrainJob
from tl_core.training.watch import Watch
from tl_core.types import Finding

__all__ = ["TrainJob", "load_best", "train"]

Events = Generator[RunEvent, None, None]


def train(job: TrainJob, control: RunControl) -> Iterator[RunEvent]:
    """Execute the plan of a job, and yield what happens; the grammar is in tl_core/runs/events.py.

    Exactly one RunEnded comes, last, whatever goes wrong; a job that cannot start at all yields nothing else. The
    best weights are then at job.folder / "best.safetensors", unless nothing was learned.
    """
    try:
        yield from _execute(job, control)
    except Exception as error:
        if unexpected(error):
            logging.getLogger(__name__).exception("The run failed.")
        yield explain(error)


def _execute(job: TrainJob, control: RunControl) -> Events:
    run = Run(job, control)
    yield run.started()
    end = RunEnded("done", "Every phase of the plan was trained.")
    try:
        for index, phase in enumerate(run.plan.phases):
            solve = phase.optimizer == "lbfgs"
            yield from _solve(run, index, phase) if solve else _descend(run, index, phase)
            if run.spent():
                yield _note("budget", f"The time budget of {job.budget:g} seconds is used up, so training ends here.")
                end = RunEnded("done", "The time budget was used up; the best weights so far were kept.")
                break
    except Stopped:
        end = _stopped(run)
    except Diverged as error:
        end = _diverged(run, error)
    if not run.fresh:
        yield from _save(run, now=True)
    yield replace(end, at=time())


def _solve(run: Run, index: int, phase: Phase) -> Events:
    """Solve the linear head over frozen features; an epoch is a stretch of L-BFGS iterations."""
    inputs = yield from run.inputs(objective(run, index))
    assert isinstance(inputs, PooledInputs)
    rows = run.rows(phase)
    chosen = torch.from_numpy(rows)
    weights = class_weights(run.plan.loss.class_weights, run.labels[chosen], len(run.job.dataset.classes))
    data = Solvable(inputs.features[chosen], run.labels[chosen], weights)
    solver = Solver(run.model.head, data, phase.weight_decay, run.fresh)
    watch = Watch(run, index)
    yield PhaseStarted(index, phase.name, phase.epochs, dict(phase.lr), phase.epochs)
    for epoch in range(phase.epochs):
        run.check()
        started = monotonic()
        size, found = solver.iterate()
        run.step += 1
        if not math.isfinite(size):
            raise Diverged(run.step)
        train_metrics = yield from run.measure(phase, inputs, rows)
        validation = yield from run.validate(phase, inputs)
        seconds = monotonic() - started
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
    yield from watch.report(epoch, None, last=True)
    yield from _finish(run, index, epoch + 1)


def _descend(run: Run, index: int, phase: Phase) -> Events:
    """Train by gradient descent, epoch by epoch, until the phase or the patience ends."""
    aim = objective(run, index)
    yield from aim.prepare()
    inputs = yield from run.inputs(aim)
    if not run.fresh and run.best.score is None and aim.judged:
        run.best.take((yield from run.validate(phase, inputs)), {})
    helpers = [*aim.modules(), *run.terms.modules()]
    optimiser = make_optimiser(run.model, run.freezer.owned, phase, helpers)
    yield PhaseStarted(index, phase.name, phase.epochs, dict(phase.lr), run.planned[index])
    pace, watch = Pace(run, index), Watch(run, index)
    waited = 0
    for epoch in range(phase.epochs):
        started = monotonic()
        train_metrics = yield from _epoch(Lessons(run, aim, inputs, optimiser), epoch, pace)
        validation = (yield from run.validate(phase, inputs)) if aim.judged else {}
        if not math.isfinite(validation.get("loss", 0.0)):  # the epoch's last step broke the weights
            raise Diverged(run.step)
        better = run.best.offer(validation, train_metrics)
        run.fresh = run.fresh and HEAD not in phase.lr
        waited = 0 if better else waited + 1
        yield EpochDone(index, epoch, train_metrics, validation, monotonic() - started, better)
        tired = bool(validation) and phase.patience is not None and waited >= phase.patience
        over = run.spent() or epoch + 1 == phase.epochs
        yield from watch.report(epoch, optimiser, last=over or tired)
        if not run.fresh:
            yield from _save(run)
        if over:
            break
        if tired:
            yield _note("patience", f"{phase.name}: no better on validation for {waited} epochs, so the phase ends.")
            break
    yield from _finish(run, index, pace.steps)


def _epoch(lessons: Lessons, epoch: int, pace: Pace) -> Generator[RunEvent, None, dict[str, float]]:
    """Learn from every item once; return mean loss and accuracy of the batches as they were learned from."""
    run, phase, aim = lessons.run, lessons.aim.phase, lessons.aim
    todo = aim.epoch(epoch, lessons.inputs.lengths)[::-1]
    total = sum(len(batch) for batch in todo)
    hits: torch.Tensor | None = torch.zeros((), dtype=torch.int64, device=run.device)
    loss, done = 0.0, 0
    while todo and not (done and run.spent()):
        run.check()
        batch = todo[-1]
        position = (epoch + (done + len(batch) / 2) / total) / phase.epochs
        rates = set_rates(lessons.optimiser, phase, position)
        try:
            batch_loss, batch_hits = lessons.step(batch, position)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            run.halve()
            yield _note("memory", f"The memory was not enough, so a step now takes {run.at_once} items at a time.")
            continue
        todo.pop()
        done += len(batch)
        hits = None if hits is None or batch_hits is None else hits + batch_hits
        pace.record(batch_loss, len(batch))
        if run.due():
            loss += pace.settle()
            yield pace.event(rates)
    loss += pace.settle()
    return {"loss": loss / done} | ({} if hits is None else {"accuracy": hits.item() / done})


def _finish(run: Run, index: int, steps: int) -> Events:
    """End a phase: the best weights become the model's."""
    run.best.restore()
    run.fresh = run.fresh and HEAD not in run.plan.phases[index].lr
    run.planned[index] = steps
    if (start := run.start_of(run.plan.phases[index])) < run.model.stages:
        run.feed.changed(start)
    if not run.fresh:
        yield from _save(run)


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
    kept = "" if run.fresh else " The best weights from before were kept."
    return RunEnded(
        "failed",
        f"Training went wrong at step {error.step}: the loss is no longer a number.{kept}",
        "Learning rates that are too high do this. Divide them by ten, or add a warm-up, and start again.",
    )


def _save(run: Run, now: bool = False) -> Events:
    if run.best.write(now):
        yield CheckpointSaved(FILE, run.best.accuracy)


def _note(code: str, message: str) -> Noted:
    return Noted(Finding("info", code, message))
