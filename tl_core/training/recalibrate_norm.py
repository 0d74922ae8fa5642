"""Recalibrates normalisation layers on the new items before a phase learns from them, and solves the head again.

Batch normalisation computes something else in training (by the batch) than in evaluation (by running statistics).
Where the items are far from those that the backbone was trained on, the difference is large, however large the batch:
a head that was solved over frozen features then gets features that it does not know. So the running statistics of the
layers that are about to learn are first estimated from the training items (AdaBN: Li et al. 2016, arXiv:1603.04779,
section 3.2), and the head is solved on the features that result. The model before this stays the one to beat.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tl_core.backbones.staged import BatchNorm
from tl_core.layers import HEAD
from tl_core.plan import Phase
from tl_core.runs.events import Noted, Progress
from tl_core.training.convex import Solvable, Solver
from tl_core.training.inputs import Inputs, StagedInputs, batches
from tl_core.training.parts import RunParts
from tl_core.training.run_state import Events, raise_if_stopped
from tl_core.types import Finding

STAGE = "recalibrating normalisation"


def recalibrate_norm(parts: RunParts, index: int, inputs: Inputs) -> Events:
    """Estimate the statistics that phase `index` may change on its training items, solve the head again, and report.

    Does nothing where no such layer learns, where the head is frozen, or where no phase before has solved it. The
    run's own random numbers stay as they are.
    """
    phases, model = parts.edited.plan.phases, parts.model
    phase = phases[index]
    solving = next((earlier for earlier in reversed(phases[:index]) if earlier.optimizer == "lbfgs"), None)
    norms = [module for module in model.backbone.modules() if isinstance(module, BatchNorm) and module.training]
    if solving is None or parts.head.untrained or HEAD not in phase.lr or not norms:
        return
    if not isinstance(inputs, StagedInputs):
        return
    before = yield from parts.evaluator.validate(phase, inputs)
    estimate_statistics(parts, phase, inputs, norms)
    yield from _solve_head(parts, phase, solving, inputs)
    after = yield from parts.evaluator.validate(phase, inputs)
    parts.starting.restart_phase()
    if after:
        parts.best.offer(after, {})
        task = parts.rows.label_task
        yield Noted(
            Finding(
                "info",
                "recalibrate-norm",
                f"{phase.name}: the normalisation layers that learn were first recalibrated on your items, and the "
                f"head was solved again. On validation: {task.describe(before)} before, {task.describe(after)} now.",
            )
        )


@torch.no_grad()
def estimate_statistics(parts: RunParts, phase: Phase, inputs: Inputs, norms: Sequence[BatchNorm]) -> None:
    """Set running statistics to the mean of those of the training batches, which are drawn in mixed order.

    Izmailov et al. 2018, arXiv:1803.05407, section 3.4. Where the plan has fixed views, the first view of each item is
    read: the phase has only cached views.
    """
    parts.freezer.training_mode(())
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # asks torch for the plain mean
        module.train()
    shuffle = torch.Generator().manual_seed(parts.job.seed)  # items often come class by class, and batches must not
    try:
        for rows_B in batches(_cached_rows(parts, phase), parts.micro_batches.size, inputs.lengths, shuffle):
            inputs.logits(parts.model, rows_B)
            raise_if_stopped(parts.control)
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
        parts.freezer.training_mode(phase.lr)


def _solve_head(parts: RunParts, phase: Phase, solving: Phase, inputs: StagedInputs) -> Events:
    """Solve the head over the training items of `phase`, as the phase `solving` solved it."""
    model = parts.model
    drawn = batches(_cached_rows(parts, phase), parts.micro_batches.size, inputs.lengths)
    features: list[torch.Tensor] = []
    parts.freezer.training_mode(())
    for rows_B in drawn:
        with torch.no_grad():
            features.append(inputs.features(model, rows_B))
        raise_if_stopped(parts.control)
        if parts.clock.due():
            yield Progress(STAGE, len(drawn) + len(features), 2 * len(drawn))
    parts.freezer.training_mode(phase.lr)
    features_ND, rows_N = torch.cat(features), np.concatenate(drawn)
    weights = parts.rows.class_weights(parts.job.plan.loss.class_weights, rows_N)
    model.head.standardise(features_ND)
    data = Solvable(features_ND, parts.rows.labels_of(rows_N), weights)
    solver = Solver(model.head, data, solving.weight_decay, fresh=True)
    for _ in range(solving.epochs):
        raise_if_stopped(parts.control)
        if solver.iterate()[1]:
            break


def _cached_rows(parts: RunParts, phase: Phase) -> np.ndarray:
    """Return the rows of the training items, as they are cached."""
    return parts.rows.items.view(parts.rows.train_rows(phase), 0)
