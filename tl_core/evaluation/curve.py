"""The data-efficiency curve: accuracy over nested label counts, for transfer, from scratch and a classical model.

Where items may have several labels it is the mean AUC instead.

Every arm is a generator: it yields itself with one point more each time, so that a curve can be saved and shown while
it grows. Points are scored on the test items. That is reporting, not choosing: no score of a curve may choose anything
(a plan, a strategy, an epoch), or the test set would no longer be one.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from math import hypot, sqrt

import numpy as np

from tl_core.advice.linear import standardise
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError, RunError
from tl_core.evaluation.baselines import ClassicalModel, logistic
from tl_core.evaluation.nested_subsets import label_counts, nested_order
from tl_core.evaluation.predict import PreparedRows, predict
from tl_core.evaluation.results import Curve, CurveArm, CurvePoint
from tl_core.evaluation.slices import score
from tl_core.plan import TransferPlan
from tl_core.runs.control import RunControl
from tl_core.runs.events import EpochDone, Progress, RunEnded
from tl_core.statistics.intervals import student, wilson
from tl_core.strategies.from_scratch import scratch_plan
from tl_core.training.loop import TrainJob, load_best, train
from tl_core.types import Estimate, metric


def empty_curve(dataset: Dataset, backbone: str) -> Curve:
    """Return a curve without arms. Raises DataError where there are no test items to score on."""
    n_test = len(dataset.rows("test"))
    if n_test == 0:
        raise DataError("There is no test item to measure a curve on.", "Give the split a test part.")
    return Curve(dataset.fingerprint, backbone, n_test, (), metric(dataset.multilabel))


def sizes(dataset: Dataset) -> tuple[int, ...]:
    """Return the label counts of the curve: doubling from one a class up to the training items."""
    return label_counts(dataset.labels[dataset.rows("train")])


def subset(dataset: Dataset, labels: int, seed: int) -> np.ndarray:
    """Return the first `labels` training rows in the seed's nested order: stratified, contained in every larger one."""
    rows = dataset.rows("train")
    return rows[nested_order(dataset.labels[rows], seed)[:labels]]


def transfer_arm(dataset: Dataset, features_ND: np.ndarray, l2: float, seeds: int = 5) -> Iterator[CurveArm]:
    """Yield the growing transfer arm: a logistic regression over frozen features `[N, D]` for every count and seed.

    `l2` is the strength per item (scikit-learn's 1 / (C N)), as a plan's head phase has it; features are standardised
    by the items of each subset. Depth and strength come from the probe, which saw every training and validation label:
    that flatters this arm at small counts, as the validation items do the one from scratch.
    """
    classes = len(dataset.classes)

    def fit(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        seen, asked = standardise(features_ND[train], features_ND[rows])
        return logistic(seen, dataset.truth[train], asked, classes, 1 / (max(l2, 1e-8) * len(train)))

    budget = (
        f"a new head on the frozen backbone, set as all labels say is best, mean of {seeds} random choices of items"
    )
    yield from _cheap_arm(dataset, CurveArm("transfer", "Transfer", budget, ()), fit, seeds)


def classical_arm(dataset: Dataset, model: ClassicalModel, seeds: int = 3) -> Iterator[CurveArm]:
    """Yield the growing classical arm: the classical model for every count and seed."""
    arm = CurveArm("classical", "Classical model", f"{model.title}, mean of {seeds} random choices of items", ())
    yield from _cheap_arm(dataset, arm, model.predict, seeds)


def _cheap_arm(
    dataset: Dataset, arm: CurveArm, fit: Callable[[np.ndarray, np.ndarray], np.ndarray], seeds: int
) -> Iterator[CurveArm]:
    test, counts = dataset.rows("test"), sizes(dataset)
    for labels in counts:
        # all items are the same items whatever the seed, and the fit is deterministic
        draws = 1 if labels == counts[-1] else seeds
        found = [scored(dataset, test, fit(subset(dataset, labels, seed), test)) for seed in range(draws)]
        arm = with_point(arm, labels, found * (seeds // draws))
        yield arm


def scratch_counts(counts: Sequence[int], most: int = 5) -> tuple[int, ...]:
    """Return at most `most` of the label counts, evenly spaced and the last among them: trainings cost time."""
    if len(counts) <= most:
        return tuple(counts)
    return tuple(counts[round(place)] for place in np.linspace(0, len(counts) - 1, most))


def scratch_arm(job: TrainJob, counts: Sequence[int], seeds: int, control: RunControl) -> Iterator[CurveArm | Progress]:
    """Yield progress and the growing from-scratch arm: a training for every count and seed.

    The plan of a count is the strategy's (`scratch_plan`), not the job's; `job.budget` caps the seconds of one
    training. The best epoch is chosen on all validation items, which flatters this arm. Ends early, with the points so
    far, where `control` stops it. Raises RunError where a training fails.
    """
    dataset, test = job.dataset, job.dataset.rows("test")
    plans = {labels: scratch_plan(dataset, job.spec, subset(dataset, labels, seed=0)) for labels in counts}
    arm = CurveArm("scratch", "From scratch", _budget(plans.values(), seeds, job.budget), ())
    total = len(counts) * seeds
    for place, labels in enumerate(counts):
        scores: list[Estimate] = []
        for seed in range(seeds):
            rows = tuple(subset(dataset, labels, seed).tolist())
            folder = job.folder / f"scratch-{labels}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            part = replace(job, plan=plans[labels], seed=job.seed + seed, train_rows=rows, folder=folder)
            for share in _trained(part, control):
                done = round(100 * (place * seeds + seed + share))
                yield Progress(f"from scratch with {labels} labels", done, 100 * total)
            if control.stopped:
                return
            model = load_best(folder, job.spec, part.plan, len(dataset.classes))
            items = PreparedRows(job.store.prepared(dataset, job.spec), test)
            scores.append(scored(dataset, test, predict(model, job.spec, items, dataset.multilabel)))
            shutil.rmtree(folder, ignore_errors=True)
        arm = with_point(arm, labels, scores)
        yield arm
    yield Progress("from scratch", 100 * total, 100 * total)


def _budget(plans: Collection[TransferPlan], seeds: int, seconds: float | None) -> str:
    epochs = sorted({plan.epochs for plan in plans})
    span = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"{epochs[0]}"
    cap = f" or {seconds:.0f} s" if seconds else ""
    return f"at most {span} epochs{cap} a training, {seeds} random choice{'s' * (seeds > 1)} of items"


def _trained(job: TrainJob, control: RunControl) -> Iterator[float]:
    """Train; yield the share of the epochs done. Raises RunError where the training failed."""
    epochs = 0
    for event in train(job, control):
        if isinstance(event, EpochDone):
            epochs += 1
            yield min(epochs / job.plan.epochs, 1.0)
        if isinstance(event, RunEnded) and event.status == "failed":
            raise RunError(event.reason, event.hint)


def scored(dataset: Dataset, rows: np.ndarray, probabilities_NC: np.ndarray) -> Estimate:
    """Return the accuracy on some rows, or their mean AUC where items may have several labels.

    Where no label has an AUC on the rows, nothing is known: one half, from 0 to 1.
    """
    found = probabilities_NC if dataset.multilabel else probabilities_NC.argmax(axis=1)
    return score(dataset.truth[rows], found) or Estimate(0.5, 0.0, 1.0, len(rows), "no label can be measured")


def with_point(arm: CurveArm, labels: int, scores: Sequence[Estimate]) -> CurveArm:
    """Return the arm with one point more, from the scores of the draws on the same test items.

    The interval of the mean joins two spreads (square root of the sum of squares): which items were drawn for
    training, by Student's t over the seeds, and which items the test set holds: Wilson's around the mean accuracy, or
    the mean of the AUCs' own distances.
    """
    values, n = [one.value for one in scores], scores[0].n
    mean = float(np.mean(values))
    below, above = (float(np.mean(d)) for d in zip(*((s.value - s.low, s.high - s.value) for s in scores), strict=True))
    if scores[0].method == "Wilson":
        items = wilson(mean * n, n)
        below, above = mean - items.low, items.high - mean
    seeds = student(len(values)) * float(np.std(values, ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    low, high = hypot(seeds, below), hypot(seeds, above)
    method = f"mean of {len(values)} draws; spread of draws and of test items"
    joined = Estimate(mean, max(0.0, mean - low), min(1.0, mean + high), n, method)
    points = sorted((*arm.points, CurvePoint(labels, tuple(values), joined)), key=lambda point: point.labels)
    return replace(arm, points=tuple(points))
