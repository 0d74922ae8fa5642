"""The parts of one run, and how a job is made into them.

The functions that lead through a phase (loop.py, phase.py and their helpers) receive them together. Whatever does one
job (an objective, a step, a monitor) takes the parts that it uses.
"""

import os
from dataclasses import dataclass

import torch

from tl_core.backbones.compat import default_device
from tl_core.plan import Phase, TransferPlan
from tl_core.runnable import require_runnable
from tl_core.runs.control import RunControl
from tl_core.training import adapters
from tl_core.training.best_weights import BestWeights
from tl_core.training.checkpoints import Checkpoints
from tl_core.training.evaluate import Evaluator
from tl_core.training.input_provider import InputProvider
from tl_core.training.item_index import ItemIndex, RunRows, require_different_labels
from tl_core.training.job import TrainJob
from tl_core.training.model import TransferModel, build_model, groups_of
from tl_core.training.objectives import Objective, make_objective
from tl_core.training.optimisers import Freezer
from tl_core.training.penalty_set import PenaltySet
from tl_core.training.precision import PrecisionChoices
from tl_core.training.run_state import Clock, EditedPlan, HeadState, MicroBatches, RandomState, StepCounter
from tl_core.training.starting_weights import StartingWeights
from tl_core.training.step import StepParts


@dataclass(frozen=True)
class RunParts:
    """What a run works with. Each part gives its own state to a checkpoint, and takes it back."""

    job: TrainJob
    control: RunControl
    edited: EditedPlan
    rows: RunRows
    model: TransferModel
    head: HeadState
    freezer: Freezer
    provider: InputProvider
    penalties: PenaltySet
    starting: StartingWeights
    best: BestWeights
    random: RandomState
    micro_batches: MicroBatches
    precision: PrecisionChoices
    counter: StepCounter
    clock: Clock
    checkpoints: Checkpoints

    @property
    def of_step(self) -> StepParts:
        """What an optimiser step uses of them."""
        return StepParts(self.model, self.penalties, self.micro_batches, self.random, self.counter)

    @property
    def evaluator(self) -> Evaluator:
        """What measures the model, with what it uses of them."""
        return Evaluator(self.freezer, self.rows, self.micro_batches, self.control, self.clock)


def make_parts(job: TrainJob, control: RunControl) -> RunParts:
    """Build the model and everything around it; raises a GraftError where the job cannot be run at all."""
    require_runnable(job.plan, job.spec, job.dataset, job.have)
    require_different_labels(job.dataset, job.train_rows)  # before any item is prepared
    clock = Clock(job.budget, job.publish)
    device = _device()
    items = ItemIndex(job.dataset, job.spec, job.store, job.source, job.target)
    rows = RunRows(job.dataset, items, job.train_rows, device)
    model = build_model(job.spec, job.plan, len(job.dataset.classes), job.seed)
    adapters.insert(model, job.spec, job.plan, job.seed)
    model.to(device)
    model.reset_precision(job.spec.parts)
    freezer = Freezer(model, groups_of(model, job.spec), adapters.may_learn(job.plan))
    provider = InputProvider(job.dataset, job.spec, job.plan, job.store, items, job.seed)
    random = RandomState(job.seed)
    steps = [phase.epochs * _steps_per_epoch(job.plan, phase, rows, model, random) for phase in job.plan.phases]
    return RunParts(
        job=job,
        control=control,
        edited=EditedPlan(job.plan),
        rows=rows,
        model=model,
        head=HeadState(),
        freezer=freezer,
        provider=provider,
        penalties=PenaltySet(job.plan, items, model),
        starting=StartingWeights(freezer, {group for phase in job.plan.phases for group in phase.lr}),
        best=BestWeights(model, job.folder, rows.label_task),
        random=random,
        micro_batches=MicroBatches(job.plan.batch_size),
        precision=PrecisionChoices(),
        counter=StepCounter(steps),
        clock=clock,
        checkpoints=Checkpoints(job.folder),
    )


def objective_of(parts: RunParts, index: int) -> Objective:
    """Return the objective of phase `index` of the plan as edited."""
    plan = parts.edited.plan
    return make_objective(plan.phases[index], plan, parts.rows, parts.model, parts.random)


def seconds_left(parts: RunParts, index: int, done: int, seconds: float) -> float:
    """Return the time left for the run, after `done` steps of phase `index` took `seconds`."""
    model = parts.model
    stages = [model.stages - model.first_trained(phase.lr) for phase in parts.edited.plan.phases]
    return min(parts.counter.seconds_left(index, done, seconds, stages), parts.clock.budget_left())


def _steps_per_epoch(plan: TransferPlan, phase: Phase, rows: RunRows, model: TransferModel, random: RandomState) -> int:
    """Return the optimiser steps in an epoch of a phase; a solved head takes one."""
    return 1 if phase.optimizer == "lbfgs" else make_objective(phase, plan, rows, model, random).steps()


def _device() -> torch.device:
    """Return where to train; a graphics card is set to give the same bits every time."""
    device = default_device()
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    return device
