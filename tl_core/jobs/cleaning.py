"""The cleaning effect, measured as part of the check job."""

from collections.abc import Generator

import numpy as np

from tl_core.data.quality.checks import CheckInput
from tl_core.evaluation.cleaning_effect import write_cleaning_effect
from tl_core.jobs.job import Job, follow_steps
from tl_core.runs.events import RunEvent


def measure_cleaning_effect(
    job: Job, check_input: CheckInput, notes: list[str]
) -> Generator[RunEvent, None, CheckInput | None]:
    """Measure and save the effect of the decisions; return the check input unchanged, or None if the run was stopped.

    Needs the probe report for the data set with its decisions. Nothing is measured if the decisions change no train or
    validation item, or if too few items remain to score.
    """
    from tl_core.advice.evidence import MIN_ITEMS
    from tl_core.advice.probe_report import read_probe
    from tl_core.evaluation.measure_cleaning import CleaningMeasurement

    dataset = check_input.dataset
    report = read_probe(job.workspace, dataset, job.task.backbone) if dataset.decisions_digest else None
    if report is None:
        return check_input
    features = job.store().features(dataset, job.spec, report.tap, report.pool)
    measuring = CleaningMeasurement(dataset, job.task.backbone, features, report.l2)
    if measuring.changes and measuring.judged.sum() >= MIN_ITEMS and len(np.unique(measuring.classes)) > 1:
        if not (yield from follow_steps(job, "measuring the effect of your decisions", measuring.steps())):
            return None
        assert measuring.effect is not None
        write_cleaning_effect(job.workspace, dataset, measuring.effect)
    return check_input
