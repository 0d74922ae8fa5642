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
from tl_core.data.quality.feature_copies import alike_groups
from tl_core.data.quality.nearest_neighbours import NearestSearch, points
from tl_core.data.quality.quality_report import QualityReport, write_quality
from tl_core.data.split import unite
from tl_core.jobs.cleaning import measure_cleaning_effect
from tl_core.jobs.job import Events, Job, follow_steps, run_started
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
    began, dataset, notes = perf_counter(), job.dataset(), list[str]()
    yield run_started(job, dataset)
    material = CheckInput(dataset)
    parts = [_picture_stats] if dataset.modality == "image" else [_languages]
    parts += [_features, _probabilities, measure_cleaning_effect] if job.task.backbone else []
    for part in parts:
        added = yield from part(job, material, notes)
        if added is None:
            yield RunEnded("stopped", STOPPED)
            return
        material = added
    yield Progress("looking for problems", 0, 1)
    made = tuple(
        check.name
        for check in CHECKS.values()
        if check.fits(dataset) and all(material.has(need) for need in check.needs)
    )
    seconds = perf_counter() - began
    report = QualityReport(
        dataset.fingerprint, dataset.version, job.task.backbone, run_checks(material), made, tuple(notes), seconds
    )
    write_quality(job.workspace, dataset, report)
    yield Progress("looking for problems", 1, 1)
    yield RunEnded("done", "The data are checked.")


def _picture_stats(job: Job, material: CheckInput, notes: list[str]) -> Part:
    return (yield from _kept(job, material, "picture_stats", "looking at pictures"))


def _languages(job: Job, material: CheckInput, notes: list[str]) -> Part:
    return (yield from _kept(job, material, "languages", "telling languages"))


def _kept(job: Job, material: CheckInput, name: Literal["picture_stats", "languages"], stage: str) -> Part:
    """Measure what is stored next to the manifest, in blocks of items."""
    dataset, opened = material.dataset, picture_stats_cache if name == "picture_stats" else language_cache
    found: list[np.ndarray] = []

    def steps(measure: Measure) -> Iterator[tuple[int, int]]:
        total = len(dataset.items)
        for start in range(0, total, BLOCK):
            yield start, total
            found.append(measure(np.arange(start, min(start + BLOCK, total)), no_progress))
        yield total, total

    with opened(dataset) as measure:
        if not (yield from follow_steps(job, stage, steps(measure))):
            return None
    whole = np.concatenate(found)
    return replace(material, picture_stats=whole) if name == "picture_stats" else replace(material, languages=whole)


def _features(job: Job, material: CheckInput, notes: list[str]) -> Part:
    """Compute the features of every item, and find each item's nearest neighbours."""
    dataset, spec, store = material.dataset, job.spec, job.store()
    if not (yield from follow_steps(job, "features", store.probe(dataset, spec))):
        return None
    report = yield from _evidence(job, dataset)
    features = store.features(dataset, spec, report.tap, report.pool)
    placed = points(features, material.inside)
    del features
    search = NearestSearch(placed, pd.factorize(dataset.items["digest"])[0], material.inside)
    if not (yield from follow_steps(job, "comparing items", search.steps())):
        return None
    if not search.exact:
        notes.append("There are many items, so each was compared with the most similar ones only, not with all others.")
    return replace(material, features=placed, nearest=search.nearest)


def _evidence(job: Job, dataset: Dataset) -> Generator[RunEvent, None, "ProbeReport"]:
    """Return the probe report: the stored one, or one made now."""
    from tl_core.advice.evidence import probe_report
    from tl_core.advice.probe_report import read_probe, write_probe

    report = read_probe(job.workspace, dataset, job.task.backbone)
    if report is None:
        yield Progress("comparing depths", 0, 1)
        report = probe_report(dataset, job.spec, job.store())
        write_probe(job.workspace, report)
        yield Progress("comparing depths", 1, 1)
    return report


def _probabilities(job: Job, material: CheckInput, notes: list[str]) -> Part:
    """Predict every item with heads that were not trained on it (out-of-fold)."""
    from tl_core.advice.calibrated import MAX_ITEMS, CalibratedOutOfFold
    from tl_core.advice.evidence import MIN_ITEMS
    from tl_core.advice.folds import make_folds, units

    dataset = material.dataset
    report = yield from _evidence(job, dataset)
    rows = dataset.rows("train", "validation")
    fold = np.full(len(dataset.items), -3)
    assert material.nearest is not None
    alike = alike_groups(material.nearest, material.inside)[rows]  # near copies stay in one fold
    unit = unite(units(dataset, rows), alike)
    fold[rows] = make_folds(np.unique(dataset.labels[rows], return_inverse=True)[1], unit)
    if (fold >= 0).sum() < MIN_ITEMS or len(np.unique(dataset.labels[fold >= 0])) < 2:
        notes.append("There are too few items of each class to look for wrong labels.")
        return material
    fold[material.tested] = -2
    if len(rows) > MAX_ITEMS:
        notes.append(f"Wrong labels were looked for by models that had learned from {MAX_ITEMS:,} items each.")
    features = job.store().features(dataset, job.spec, report.tap, report.pool)
    held = CalibratedOutOfFold(features, dataset.targets, dataset.multilabel)
    if not (yield from follow_steps(job, "looking for wrong labels", held.steps(fold, report.l2))):
        return None
    return replace(material, probabilities=held.probabilities)
