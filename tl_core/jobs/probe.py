"""The probe job: one forward pass, and the evidence computed from its features. Also the speed test."""

from typing import TYPE_CHECKING

from tl_core.data.dataset import Dataset
from tl_core.jobs.curve import cheap_arms
from tl_core.jobs.job import Events, Job, follow_steps, run_started
from tl_core.jobs.zero_shot import sort_by_own_names
from tl_core.runs.events import Progress, RunEnded, RunStarted

if TYPE_CHECKING:
    from tl_core.advice.probe_report import ProbeReport


def run_probe(job: Job) -> Events:
    """Make one forward pass, then compare depths, measure the cheap arms of the curve, and the leakage."""
    from tl_core.advice.evidence import probe_report
    from tl_core.advice.probe_report import write_probe

    dataset, spec, store = job.dataset(), job.spec, job.store()
    yield run_started(job, dataset)
    if not (yield from follow_steps(job, "features", store.probe(dataset, spec))):
        yield RunEnded("stopped", "Stopped before the backbone had seen every item; nothing was kept.")
        return
    yield from sort_by_own_names(job, dataset)
    yield Progress("comparing depths", 0, 1)
    report = probe_report(dataset, spec, store)
    write_probe(job.workspace, report)
    yield Progress("comparing depths", 1, 1)
    if len(dataset.rows("test")):
        features = store.features(dataset, spec, report.tap, report.pool)
        yield from cheap_arms(job, dataset, features, report.l2)
    yield from _leakage(job, dataset, report)
    yield RunEnded("done", "The backbone has seen every item, and the depths are compared.")


def _leakage(job: Job, dataset: Dataset, report: "ProbeReport") -> Events:
    """Measure the leakage that a split would have if it ignored copies, if there are any."""
    from tl_core.evaluation.leakage import write_leakage
    from tl_core.evaluation.measure_leakage import DRAWS, measure_leakage, worth_measuring

    if report.accuracy is None or job.control.stopped or not worth_measuring(dataset):
        return
    features = job.store().features(dataset, job.spec, report.tap, report.pool)
    for outcome in measure_leakage(dataset, job.spec.name, features, report.l2):
        if not isinstance(outcome, int):
            write_leakage(job.workspace, dataset, outcome)
        elif job.control.stopped:
            return
        else:
            yield Progress("measuring leakage through copies", outcome, 2 * DRAWS)


def run_speed(job: Job) -> Events:
    """Measure the backbone on this machine."""
    from tl_core.backbones.speed import measure_speed
    from tl_core.backbones.trial import measurable

    yield RunStarted("speed", None, {}, "", job.task.seed, {})
    yield Progress("measuring the speed of this machine", 0, 1)
    measure_speed(measurable(job.workspace, job.task.backbone), job.workspace)
    yield Progress("measuring the speed of this machine", 1, 1)
    yield RunEnded("done", "The speed is measured.")
