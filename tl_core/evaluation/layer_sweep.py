"""The layer-wise sweep: find out which layer group is worth training, by training each alone for a few steps.

Each group starts from the pretrained backbone and the same solved head. Group and head then learn at fixed rates, on
the same items, for the same number of steps; the frozen layers below run once and are cached. Lee et al. 2023, Surgical
Fine-Tuning Improves Adaptation to Distribution Shifts, arXiv:2210.11466, compare blocks in this way.

Each group is scored on the validation items after the last step. The best step would give every group an advantage
over the frozen baseline, which has only one.
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
from tl_core.strategies.recipes import HEAD_RATE, backbone_rate, solved_head_phase
from tl_core.training.loop import TrainJob, train

STEPS = 40


def sweep_layers(job: TrainJob, control: RunControl, steps: int = STEPS) -> Iterator[Progress | LayerSweep]:
    """Yield progress and the growing sweep: the frozen baseline, then one more layer group each time.

    Of the plan, it uses the depth, the pooling, the batch size and the L2 strength of the solved head, but not the
    phases. The head is linear, because an MLP head cannot be solved. At most `steps` * batch size training items take
    part, a stratified draw by the seed. Ends early if `control` stops it. Raises DataError without validation items,
    RunError if a training fails.
    """
    if not len(job.dataset.rows("validation")):
        raise DataError("The split leaves no validation item to compare layers by.", "Give it a validation part.")
    job, task_info = _shrunk(job, steps)
    size = job.plan.batch_size
    epochs = math.ceil(steps / max(1, task_info.n_train // size))
    per_epoch = math.ceil(steps / epochs)
    probe = solved_head_phase(task_info.l2, final=False)
    groups = _kept_groups(job)
    rate = backbone_rate(task_info)
    baseline = yield from _score(job, (probe,), "", control)
    if baseline is None:
        return
    sweep = LayerSweep(
        job.spec.name, job.dataset.fingerprint, epochs * per_epoch, task_info.n_train, rate, HEAD_RATE, job.seed,
        len(groups), baseline, multilabel=job.dataset.multilabel,
    )  # fmt: skip
    yield sweep
    for index, group in enumerate(groups):
        yield Progress("trying each layer group", index, len(groups))
        tune = Phase(
            "one group",
            epochs,
            {group: backbone_rate(task_info, group), HEAD: HEAD_RATE},
            "constant",
            draws=per_epoch * size,
        )
        score = yield from _score(job, (probe, tune), group, control)
        if score is None:
            return
        sweep = replace(sweep, groups=(*sweep.groups, score))
        yield sweep
    yield Progress("trying each layer group", len(groups), len(groups))


def _shrunk(job: TrainJob, steps: int) -> tuple[TrainJob, TaskInfo]:
    """Return the job with no more items than its steps can use, and its task info."""
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
    """Train; return the validation score of the last epoch, or None if the training was stopped."""
    last: EpochDone | None = None
    with tempfile.TemporaryDirectory() as folder:
        for event in train(replace(job, plan=replace(job.plan, phases=phases), folder=Path(folder)), control):
            if isinstance(event, Progress):
                yield event
            elif isinstance(event, EpochDone):
                last = event
            elif isinstance(event, RunEnded) and event.status == "failed":
                raise RunError(event.reason, event.hint)
            elif isinstance(event, RunEnded) and event.status == "stopped":
                return None
    assert last is not None
    n = len(job.dataset.rows("validation"))
    right = last.validation["accuracy"] * n  # a whole number, unless items have several labels
    return LayerScore(group, wilson(right if job.dataset.multilabel else round(right), n), last.validation["loss"])
