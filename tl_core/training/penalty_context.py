"""Gathers what the penalties of a run are prepared with: rows, features, heads, and the scores of a teacher."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from torch import nn

from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.penalties import ItemSubset, PenaltyContext
from tl_core.plan import Head, TransferPlan
from tl_core.training.best_weights import load_best
from tl_core.training.convex import Solvable, Solver
from tl_core.training.inputs import StagedInputs
from tl_core.training.item_index import RunRows
from tl_core.training.job import TrainJob
from tl_core.training.model import HeadLayers, TransferModel
from tl_core.training.parts import RunParts
from tl_core.training.penalty_set import penalised_rows

L2 = 0.01
"""Weight decay of the heads that are solved for penalties: scikit-learn's C = 1 with 100 items."""
EPOCHS = 30
"""Most epochs of L-BFGS for such a head."""


def penalty_context(parts: RunParts, inputs: StagedInputs) -> PenaltyContext:
    """Return what the penalties are prepared with when a phase that reads `inputs` begins."""
    job, model, plan, needs = parts.job, parts.model, parts.edited.plan, parts.penalties.needs
    # a later phase may train stages whose output the present phase has cached
    starts = [model.first_trained(plan.phases[index].lr) for index in _penalised_phases(plan, model)]
    lowest = min(starts, default=inputs.start)
    uncached = inputs if inputs.start <= lowest else parts.provider.prepared(lowest)
    return PenaltyContext(
        model=model,
        starting_weights=parts.starting.run,
        train=_train_subset(plan, model, parts.rows),
        features=partial(uncached.features, model),
        make_head=partial(make_head, model),
        batch_size=plan.batch_size,
        seed=job.seed,
        head_trained=not parts.head.untrained,
        source=parts.rows.items.source,
        target=parts.rows.items.target,
        original_head=original_head(job.spec, model) if "original_head" in needs else None,
        teacher=teacher_scores(job, model.device) if "teacher" in needs else None,
    )


def make_head(
    model: TransferModel, n_classes: int, solve_on: tuple[torch.Tensor, torch.Tensor] | None = None
) -> nn.Module:
    """Return a linear head over the model's pooled features, solved on (features, labels) if given."""
    with torch.random.fork_rng(devices=[]):  # the step's own random numbers stay as they are
        head = HeadLayers(len(model.head.mean), n_classes, Head()).to(model.device)
    if solve_on is not None:
        head.standardise(solve_on[0])
        solver = Solver(head, Solvable(*solve_on), L2, fresh=True)
        for _ in range(EPOCHS):
            if solver.iterate()[1]:
                break
    return head


def original_head(spec: BackboneSpec, model: TransferModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the original classifier over the mean part of the pooled features; it does not learn."""
    assert spec.original_head is not None
    head = spec.original_head().to(model.device).eval().requires_grad_(False)
    return lambda pooled_BD: head(pooled_BD[:, : pooled_BD.shape[1] // 2] if model.deviation else pooled_BD)


def teacher_scores(job: TrainJob, device: torch.device) -> Callable[[np.ndarray], torch.Tensor]:
    """Return the function from rows `[B]` of the run's own items to the teacher's scores `[B, K]`.

    The teacher's weights are read at the first call.
    """
    teacher = job.teacher
    assert teacher is not None
    items, prepare = job.store.prepared(job.dataset, teacher.spec), preprocessor(teacher.spec)

    @cache
    def teacher_model() -> nn.Module:
        """Return the teacher, loaded once."""
        return load_best(teacher.folder, teacher.spec, teacher.plan, len(job.dataset.classes)).to(device)

    @torch.no_grad()
    def scores(rows: np.ndarray) -> torch.Tensor:
        """Return the scores `[B, K]` of rows `[B]`, in batches of the plan's size."""
        size = job.plan.batch_size
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        return torch.cat([teacher_model()(prepare.collate([items[int(r)] for r in p], device)) for p in parts])

    return scores


def _penalised_phases(plan: TransferPlan, model: TransferModel) -> list[int]:
    """Return the phases whose steps have penalty terms."""
    return [
        index
        for index, phase in enumerate(plan.phases)
        if phase.objective == "labels" and model.first_trained(phase.lr) < model.stages
    ]


def _train_subset(plan: TransferPlan, model: TransferModel, rows: RunRows) -> ItemSubset:
    """Return the penalised rows, without the labels that judge the first phase with penalty terms."""
    penalised = penalised_rows(plan, rows)
    labels = rows.labels_of(penalised)
    for index in _penalised_phases(plan, model)[:1]:
        labels[torch.from_numpy(np.isin(penalised, rows.validation_rows(plan.phases[index])))] = -1
    return ItemSubset(penalised, labels, rows.classes)
