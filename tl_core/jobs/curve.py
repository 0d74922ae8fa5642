"""The curve job: measure the data-efficiency curve, saved after every point so that it can be watched."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tl_core.data.dataset import Dataset
from tl_core.data.holdout_log import record_holdout_use
from tl_core.evaluation.result_files import read_curve, write_curve
from tl_core.evaluation.results import CurveArm
from tl_core.jobs.job import Events, Job, run_started
from tl_core.runs.events import Progress, RunEnded

if TYPE_CHECKING:
    import numpy as np

SCRATCH_SECONDS = 30.0  # of each training from scratch, unless the task says otherwise
SCRATCH_SEEDS = 2


def cheap_arms(job: Job, dataset: Dataset, features_ND: "np.ndarray", l2: float) -> Events:
    """Measure the transfer arm on stored features `[N, D]`, and the classical arm."""
    from tl_core.evaluation.baselines import classical_model
    from tl_core.evaluation.curve import classical_arm, transfer_arm

    yield from _grow(job, dataset, transfer_arm(dataset, features_ND, l2))
    yield from _grow(job, dataset, classical_arm(dataset, classical_model(dataset)))


def run_curve(job: Job) -> Events:
    """Train the same network from scratch at a few label counts; the task's budget limits each training."""
    from tl_core.evaluation.curve import scratch_arm, scratch_counts, sizes
    from tl_core.strategies.from_scratch import scratch_plan
    from tl_core.training.loop import TrainJob

    task, dataset, spec = job.task, job.dataset(), job.spec
    yield run_started(job, dataset)
    yield from _missing_cheap_arms(job, dataset)
    counts = scratch_counts(sizes(dataset))
    training = TrainJob(
        dataset=dataset,
        spec=spec,
        plan=scratch_plan(dataset, spec, dataset.rows("train")),
        seed=task.seed,
        folder=job.folder,
        store=job.store(),
        budget=task.budget or SCRATCH_SECONDS,
        checkpoints=False,
    )
    yield from _grow(job, dataset, scratch_arm(training, counts, SCRATCH_SEEDS, job.control))
    if job.control.stopped:
        yield RunEnded("stopped", "Stopped on request; the points that were measured are kept.")
    else:
        yield RunEnded("done", "The curve is measured.")


def _missing_cheap_arms(job: Job, dataset: Dataset) -> Events:
    """Measure the cheap arms if a probe was made but was stopped before them."""
    from tl_core.advice.probe_report import read_probe
    from tl_core.evaluation.curve import sizes

    curve, report = read_curve(job.workspace, job.task), read_probe(job.workspace, dataset, job.spec.name)
    count = len(sizes(dataset))
    if report and not (curve and curve.whole("transfer", count) and curve.whole("classical", count)):
        features = job.store().features(dataset, job.spec, report.tap, report.pool)
        yield from cheap_arms(job, dataset, features, report.l2)


def _grow(job: Job, dataset: Dataset, arms: Iterable[CurveArm | Progress]) -> Events:
    """Save an arm after each new point, until it is complete or the run is stopped."""
    from tl_core.evaluation.curve import empty_curve, sizes

    counts = sizes(dataset)
    for arm in arms:
        if isinstance(arm, Progress):
            yield arm
            continue
        curve = read_curve(job.workspace, job.task) or empty_curve(dataset, job.spec.name)
        write_curve(job.workspace, job.task, curve.with_arm(arm))
        record_holdout_use(dataset, "", f"curve of {job.spec.name}")
        yield Progress(f"curve, {arm.title.lower()}", len(arm.points), len(counts))
        if job.control.stopped:
            return
