"""The check job: run all data quality checks and save their report."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tl_core.data.dataset import Dataset
from tl_core.data.language_id import language_cache
from tl_core.data.measurement_cache import Measure
from tl_core.data.options import no_progress
from tl_core.data.picture_stats import picture_stats_cache
from tl_core.data.quality.checks import CHECKS, CheckInput, run_checks
from tl_core.data.quality.feature_duplicates import alike_groups
from tl_core.data.quality.nearest_neighbours import NearestSearch, points
from tl_core.data.quality.quality_report import QualityReport, write_quality
from tl_core.data.split import unite
from tl_core.jobs.cleaning import measure_cleaning_effect
from tl_core.jobs.job import Events, Job, follow_steps, run_started
from tl_core.jobs.zero_shot import sort_by_own_names
from tl_core.runs.events import Progress, RunEnded, RunEvent

if TYPE_CHECKING:
    from tl_core.advice.probe_report import ProbeReport

BLOCK = 2048
"""Items that are measured between two looks at whether the run is to stop."""
Part = Generator[RunEvent, None, CheckInput | None]
"""Returns the check input with one more measurement; None if the run was stopped meanwhile."""
STOPPED = "Stopped before every check was made; the measurements of the items are kept for the next time."


def run_check(job: Job) -> Events:
    """Make every check; those that need a model only if the task names a backbone. No graphics card is needed.

    The probe's forward pass is made first if its features are not stored yet.
    """
    start, dataset, notes = perf_counter(), job.dataset(), list[str]()
    yield run_started(job, dataset)
    check_input = CheckInput(dataset)
    parts = [{"image": _picture_stats, "text": _languages}[part] for part in dataset.parts]
    parts += [_features, _probabilities, measure_cleaning_effect] if job.task.backbone else []
    for part in parts:
        added = yield from part(job, check_input, notes)
        if added is None:
            yield RunEnded("stopped", STOPPED)
            return
        check_input = added
    yield Progress("looking for problems", 0, 1)
    check_names = tuple(
        check.name
        for check in CHECKS.values()
        if check.fits(dataset) and all(check_input.has(need) for need in check.needs)
    )
    seconds = perf_counter() - start
    report = QualityReport(
        dataset.fingerprint,
        dataset.version,
        job.task.backbone,
        run_checks(check_input),
        check_names,
        tuple(notes),
        seconds,
    )
    write_quality(job.workspace, dataset, report)
    yield Progress("looking for problems", 1, 1)
    yield RunEnded("done", "The data are checked.")


def _picture_stats(job: Job, check_input: CheckInput, notes: list[str]) -> Part:
    return (yield from _from_cache(job, check_input, "picture_stats", "looking at pictures"))


def _languages(job: Job, check_input: CheckInput, notes: list[str]) -> Part:
    return (yield from _from_cache(job, check_input, "languages", "identifying languages"))


def _from_cache(job: Job, check_input: CheckInput, name: Literal["picture_stats", "languages"], stage: str) -> Part:
    """Read or measure values that are cached next to the manifest, in blocks of items."""
    dataset, open_cache = check_input.dataset, picture_stats_cache if name == "picture_stats" else language_cache
    blocks: list[np.ndarray] = []

    def steps(measure: Measure) -> Iterator[tuple[int, int]]:
        total = len(dataset.items)
        for start in range(0, total, BLOCK):
            yield start, total
            blocks.append(measure(np.arange(start, min(start + BLOCK, total)), no_progress))
        yield total, total

    with open_cache(dataset) as measure:
        if not (yield from follow_steps(job, stage, steps(measure))):
            return None
    values = np.concatenate(blocks)
    return (
        replace(check_input, picture_stats=values)
        if name == "picture_stats"
        else replace(check_input, languages=values)
    )


def _features(job: Job, check_input: CheckInput, notes: list[str]) -> Part:
    """Compute the features of every item, and find each item's nearest neighbours."""
    dataset, spec, store = check_input.dataset, job.spec, job.store()
    if not (yield from follow_steps(job, "features", store.probe(dataset, spec))):
        return None
    report = yield from _probe_report(job, dataset)
    features = store.features(dataset, spec, report.tap, report.pool)
    unit_features = points(features, check_input.inside)
    del features
    search = NearestSearch(unit_features, pd.factorize(dataset.items["digest"])[0], check_input.inside)
    if not (yield from follow_steps(job, "comparing items", search.steps())):
        return None
    if not search.exact:
        notes.append("There are many items, so each was compared with the most similar ones only, not with all others.")
    return replace(check_input, features=unit_features, nearest=search.nearest)


def _probe_report(job: Job, dataset: Dataset) -> Generator[RunEvent, None, "ProbeReport"]:
    """Return the probe report: the stored one, or one made now."""
    from tl_core.advice.evidence import probe_report
    from tl_core.advice.probe_report import read_probe, write_probe

    report = read_probe(job.workspace, dataset, job.task.backbone)
    if report is None:
        yield from sort_by_own_names(job, dataset)
        yield Progress("comparing depths", 0, 1)
        report = probe_report(dataset, job.spec, job.store())
        write_probe(job.workspace, report)
        yield Progress("comparing depths", 1, 1)
    return report


def _probabilities(job: Job, check_input: CheckInput, notes: list[str]) -> Part:
    """Predict every item with heads that were not trained on it (out-of-fold)."""
    from tl_core.advice.calibrated import MAX_ITEMS, CalibratedOutOfFold
    from tl_core.advice.evidence import MIN_ITEMS
    from tl_core.advice.folds import make_folds, units

    dataset = check_input.dataset
    report = yield from _probe_report(job, dataset)
    rows = dataset.rows("train", "validation")
    fold = np.full(len(dataset.items), -3)
    assert check_input.nearest is not None
    copy_groups = alike_groups(check_input.nearest, check_input.inside)[rows]  # near-duplicates stay in one fold
    groups = unite(units(dataset, rows), copy_groups)
    fold[rows] = make_folds(np.unique(dataset.labels[rows], return_inverse=True)[1], groups)
    if (fold >= 0).sum() < MIN_ITEMS or len(np.unique(dataset.labels[fold >= 0])) < 2:
        notes.append("There are too few items of each class to look for wrong labels.")
        return check_input
    fold[check_input.tested] = -2
    if len(rows) > MAX_ITEMS:
        notes.append(f"Wrong labels were looked for by models that had learned from {MAX_ITEMS:,} items each.")
    features = job.store().features(dataset, job.spec, report.tap, report.pool)
    out_of_fold = CalibratedOutOfFold(features, dataset.targets, dataset.multilabel)
    if not (yield from follow_steps(job, "looking for wrong labels", out_of_fold.steps(fold, report.l2))):
        return None
    return replace(check_input, probabilities=out_of_fold.probabilities)
