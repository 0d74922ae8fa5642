"""Normalisation that fits the new items before a phase learns from them, and a head that is solved anew for it.

A layer that normalises by its batch computes something else in training than by its running statistics, and where the
items are far from those that the backbone has seen it is something else entirely, however large the batch: a head
that was solved over frozen features does not know what it is given. So the running statistics of what is about to
learn are estimated from the training items first (AdaBN: Li et al. 2016, arXiv:1603.04779, section 3.2), and the head
is solved over the features that come of it. The model before that stays the one to beat.
"""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import nn

from tl_core.layers import HEAD
from tl_core.plan import Phase
from tl_core.runs.events import Noted, Progress, RunEvent
from tl_core.training.convex import Solvable, Solver
from tl_core.training.inputs import Inputs, StagedInputs, batches
from tl_core.training.run import Run
from tl_core.types import Finding

TOLD = "fitting to your items"

Events = Generator[RunEvent, None, None]
Norm = nn.modules.batchnorm._BatchNorm


def recalibrate_norm(run: Run, index: int, inputs: Inputs) -> Events:
    """Fit the statistics that phase `index` may move to its training items, solve the head anew, and tell what it did.

    Nothing happens where no such layer learns, or where the head is frozen or was not solved before. Nothing is drawn
    from the run's own random numbers.
    """
    phase = run.plan.phases[index]
    like = next((one for one in reversed(run.plan.phases[:index]) if one.optimizer == "lbfgs"), None)
    norms = [module for module in run.model.backbone.modules() if isinstance(module, Norm) and module.training]
    if like is None or run.fresh or HEAD not in phase.lr or not norms or not isinstance(inputs, StagedInputs):
        return
    before = yield from run.validate(phase, inputs)
    estimate(run, phase, inputs, norms)
    yield from _solve(run, phase, like, inputs)
    after = yield from run.validate(phase, inputs)
    state = run.model.state_dict()
    run.begun = {name: state[name].clone() for name in run.begun}
    if after:
        run.best.offer(after, {})
        told = f"{run.label_task.describe(before)} before that, {run.label_task.describe(after)} now"
        yield _note(
            f"{phase.name}: the layers that learn were fitted to your items first. On the validation items: {told}."
        )


@torch.no_grad()
def estimate(run: Run, phase: Phase, inputs: Inputs, norms: Sequence[Norm]) -> None:
    """Set running statistics to the mean of those of the training batches, which are drawn in mixed order.

    Izmailov et al. 2018, arXiv:1803.05407, section 3.4. Where the plan has fixed views, of the first view of each
    item: the phase has cached its views alone.
    """
    run.freezer.training_mode(())
    usual = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # torch's way to ask for the plain mean
        module.train()
    mixed = torch.Generator().manual_seed(run.job.seed)  # items often come class by class, and batches must not
    try:
        for batch in batches(_rows(run, phase), run.at_once, inputs.lengths, mixed):
            inputs.logits(run.model, batch)
            run.check()
    finally:
        for module, momentum in zip(norms, usual, strict=True):
            module.momentum = momentum
        run.freezer.training_mode(phase.lr)


def _solve(run: Run, phase: Phase, like: Phase, inputs: StagedInputs) -> Events:
    """Solve the head over the training items of `phase`, as the phase `like` solved it."""
    cut = batches(_rows(run, phase), run.at_once, inputs.lengths)
    parts: list[torch.Tensor] = []
    run.freezer.training_mode(())
    for batch in cut:
        with torch.no_grad():
            parts.append(inputs.features(run.model, batch))
        run.check()
        if run.due():
            yield Progress(TOLD, len(cut) + len(parts), 2 * len(cut))
    run.freezer.training_mode(phase.lr)
    features, rows = torch.cat(parts), np.concatenate(cut) % run.space.whole
    labels = run.labels[torch.from_numpy(rows)]
    weights = run.label_task.weights(run.plan.loss.class_weights, labels, len(run.job.dataset.classes))
    run.model.head.standardise(features)
    solver = Solver(run.model.head, Solvable(features, labels, weights), like.weight_decay, fresh=True)
    for _ in range(like.epochs):
        run.check()
        if solver.iterate()[1]:
            break


def _rows(run: Run, phase: Phase) -> np.ndarray:
    """Return the training items' rows, as they are cached."""
    return run.space.view(run.rows(phase), 0)


def _note(message: str) -> Noted:
    return Noted(Finding("info", "adapted", message))
