"""What the decisions about items did, measured where a check has made everything that it needs."""

from collections.abc import Generator

import numpy as np

from tl_core.data.quality.checks import CheckInput
from tl_core.evaluation.cleaning_effect import write_cleaning_effect
from tl_core.jobs.job import Job, follow_steps
from tl_core.runs.events import RunEvent


def measure_cleaning_effect(
    job: Job, material: CheckInput, notes: list[str]
) -> Generator[RunEvent, None, CheckInput | None]:
    """Measure and keep the effect of the decisions, and pass the material on; None where the run was stopped.

    Needs the probe's report on the data set under its decisions. Nothing is measured where they change no item of
    train or validation, or where there are too few items to judge by.
    """
    from tl_core.advice.evidence import MIN_ITEMS
    from tl_core.advice.probe_report import read_probe
    from tl_core.evaluation.measure_cleaning import CleaningMeasurement

    dataset = material.dataset
    report = read_probe(job.workspace, dataset, job.task.backbone) if dataset.decisions_digest else None
    if report is None:
        return material
    features = job.store().features(dataset, job.spec, report.tap, report.pool)
    measuring = CleaningMeasurement(dataset, job.task.backbone, features, report.l2)
    if measuring.changes and measuring.judged.sum() >= MIN_ITEMS and len(np.unique(measuring.classes)) > 1:
        if not (yield from follow_steps(job, "measuring what your decisions did", measuring.steps())):
            return None
        assert measuring.effect is not None
        write_cleaning_effect(job.workspace, dataset, measuring.effect)
    return material
