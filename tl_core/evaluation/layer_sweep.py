"""The layer-wise sweep: which layer group is worth training, found by training each alone for a few steps.

Each group starts from the same solved head and the pretrained backbone, learns at the same rate beside the head, on
the same items and for the same number of steps; what lies below it runs once and is cached. Lee et al. 2023, Surgical
Fine-Tuning Improves Adaptation to Distribution Shifts, arXiv:2210.11466, compare blocks like this.

Scored on the validation items after the last step, not after the best: the best of several would flatter every group
over the frozen probe.
"""

import math
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tl_core.errors import DataError, RunError
from tl_core.evaluation.nested_subsets import nested_order
from tl_core.evaluation.results import LayerScore, LayerSweep
from tl_core.layers import HEAD
from tl_core.plan import Phase
from tl_core.runs.control import RunControl
from tl_core.runs.events import EpochDone, Progress, RunEnded
from tl_core.statistics.intervals import wilson
from tl_core.strategies import TaskInfo
from tl_core.strategies.recipes import HEAD_RATE, backbone_rate, solve_head
from tl_core.training.loop import TrainJob, train

STEPS = 40


def sweep_layers(job: TrainJob, control: RunControl, steps: int = STEPS) -> Iterator[Progress | LayerSweep]:
    """Yield progress and the growing sweep: the frozen probe, then one more layer group each time.

    The plan's depth, pooling and batch size and the L2 strength of its solved head are used, under a linear head (the
    baseline is solved, which a small network cannot be); its phases are not. At most
    `steps` * batch size training items take part, a stratified draw by the seed. Ends early where `control` stops
    it. Raises DataError without validation items, RunError where a training fails.
    """
    if not len(job.dataset.rows("validation")):
        raise DataError("The split leaves no validation item to compare layers by.", "Give it a validation part.")
    job, task_info = _smaller(job, steps)
    size = job.plan.batch_size
    epochs = math.ceil(steps / max(1, task_info.n_train // size))
    per_epoch = math.ceil(steps / epochs)
    probe = solve_head(task_info.l2, final=False)
    whole = _kept_groups(job)
    rate = backbone_rate(task_info)
    baseline = yield from _score(job, (probe,), "", control)
    if baseline is None:
        return
    sweep = LayerSweep(
        job.spec.name, job.dataset.fingerprint, epochs * per_epoch, task_info.n_train, rate, HEAD_RATE, job.seed,
        len(whole), baseline, multilabel=job.dataset.multilabel,
    )  # fmt: skip
    yield sweep
    for place, group in enumerate(whole):
        yield Progress("trying each layer group", place, len(whole))
        tune = Phase("one group", epochs, {group: rate, HEAD: HEAD_RATE}, "constant", draws=per_epoch * size)
        score = yield from _score(job, (probe, tune), group, control)
        if score is None:
            return
        sweep = replace(sweep, groups=(*sweep.groups, score))
        yield sweep
    yield Progress("trying each layer group", len(whole), len(whole))


def _smaller(job: TrainJob, steps: int) -> tuple[TrainJob, TaskInfo]:
    """Return the job on no more items than its steps can see, and what strategies know of it."""
    data = job.dataset
    rows = data.rows("train") if job.train_rows is None else np.asarray(job.train_rows)
    rows = rows[nested_order(data.labels[rows], job.seed)[: steps * job.plan.batch_size]]
    l2 = next((phase.weight_decay for phase in job.plan.phases if phase.optimizer == "lbfgs"), 0.01)
    smallest = int(np.unique(data.labels[rows], return_counts=True)[1].min())
    groups = tuple(group.name for group in job.spec.groups)
    task_info = TaskInfo(job.spec.name, job.spec.modality, groups, len(rows), len(data.classes), smallest, l2=l2)
    plan = replace(job.plan, penalties=(), adapter=None, init="pretrained", head=replace(job.plan.head, kind="linear"))
    job = replace(job, source=None, target=None, teacher=None, resume=False, edits=(), checkpoints=False)
    return replace(job, plan=plan, train_rows=tuple(rows.tolist()), budget=None), task_info


def _kept_groups(job: TrainJob) -> list[str]:
    """Return the layer groups up to the plan's tap."""
    names = [group.name for group in job.spec.groups]
    return names if job.plan.head.tap is None else names[: names.index(job.plan.head.tap) + 1]


def _score(
    job: TrainJob, phases: tuple[Phase, ...], group: str, control: RunControl
) -> Generator[Progress, None, LayerScore | None]:
    """Train and return what the last epoch reached on the validation items, None where it was stopped."""
    found: EpochDone | None = None
    with tempfile.TemporaryDirectory() as folder:
        for event in train(replace(job, plan=replace(job.plan, phases=phases), folder=Path(folder)), control):
            if isinstance(event, Progress):
                yield event
            elif isinstance(event, EpochDone):
                found = event
            elif isinstance(event, RunEnded) and event.status == "failed":
                raise RunError(event.reason, event.hint)
            elif isinstance(event, RunEnded) and event.status == "stopped":
                return None
    assert found is not None
    n = len(job.dataset.rows("validation"))
    right = found.validation["accuracy"] * n  # whole items, unless an item takes several answers
    return LayerScore(group, wilson(right if job.dataset.multilabel else round(right), n), found.validation["loss"])
