"""The data-efficiency curve: accuracy over nested label counts, for transfer, from scratch and a classical model.

For multilabel data the score is the mean AUC. "Transfer", "from scratch" and "classical" are the three arms of a curve.

Every arm is a generator. It yields itself again with each new point, so a curve can be saved and shown while it grows.
Points are scored on the test items. So a curve only reports: nothing (plan, strategy, epoch) may be chosen by it.
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
from tl_core.statistics.intervals import t_quantile, wilson
from tl_core.strategies.from_scratch import scratch_plan
from tl_core.training.loop import TrainJob, load_best, train
from tl_core.types import Estimate, metric


def empty_curve(dataset: Dataset, backbone: str) -> Curve:
    """Return a curve without arms. Raises DataError if there are no test items."""
    n_test = len(dataset.rows("test"))
    if n_test == 0:
        raise DataError("There is no test item to measure a curve on.", "Give the split a test part.")
    return Curve(dataset.fingerprint, backbone, n_test, (), metric(dataset.multilabel))


def sizes(dataset: Dataset) -> tuple[int, ...]:
    """Return the label counts of the curve: doubled from one a class up to all training items."""
    return label_counts(dataset.labels[dataset.rows("train")])


def subset(dataset: Dataset, labels: int, seed: int) -> np.ndarray:
    """Return `labels` training rows for a seed: stratified, and contained in every larger subset of that seed."""
    rows = dataset.rows("train")
    return rows[nested_order(dataset.labels[rows], seed)[:labels]]


def transfer_arm(dataset: Dataset, features_ND: np.ndarray, l2: float, seeds: int = 5) -> Iterator[CurveArm]:
    """Yield the growing transfer arm: a logistic regression on frozen features `[N, D]` for every count and seed.

    `l2` is the strength per item (scikit-learn's 1 / (C N)), as in a plan's head phase. Features are standardised on
    each subset. The probe chose depth and strength with every training and validation label, so this arm looks a
    little too good at small counts. So does the from-scratch arm, which uses all validation items.
    """
    classes = len(dataset.classes)

    def fit(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        x_train, x_rows = standardise(features_ND[train], features_ND[rows])
        return logistic(x_train, dataset.truth[train], x_rows, classes, 1 / (max(l2, 1e-8) * len(train)))

    budget = f"a new head on the frozen backbone, depth and L2 chosen with all labels, mean of {seeds} random subsets"
    yield from _cheap_arm(dataset, CurveArm("transfer", "Transfer", budget, ()), fit, seeds)


def classical_arm(dataset: Dataset, model: ClassicalModel, seeds: int = 3) -> Iterator[CurveArm]:
    """Yield the growing classical arm: the classical model for every count and seed."""
    arm = CurveArm("classical", "Classical model", f"{model.title}, mean of {seeds} random subsets", ())
    yield from _cheap_arm(dataset, arm, model.predict, seeds)


def _cheap_arm(
    dataset: Dataset, arm: CurveArm, fit: Callable[[np.ndarray, np.ndarray], np.ndarray], seeds: int
) -> Iterator[CurveArm]:
    test, counts = dataset.rows("test"), sizes(dataset)
    for labels in counts:
        # the largest subset is the same for every seed, and the fit is deterministic
        draws = 1 if labels == counts[-1] else seeds
        scores = [score_rows(dataset, test, fit(subset(dataset, labels, seed), test)) for seed in range(draws)]
        arm = with_point(arm, labels, scores * (seeds // draws))
        yield arm


def scratch_counts(counts: Sequence[int], most: int = 5) -> tuple[int, ...]:
    """Return at most `most` label counts, evenly spaced, the last included: every training takes time."""
    if len(counts) <= most:
        return tuple(counts)
    return tuple(counts[round(position)] for position in np.linspace(0, len(counts) - 1, most))


def scratch_arm(job: TrainJob, counts: Sequence[int], seeds: int, control: RunControl) -> Iterator[CurveArm | Progress]:
    """Yield progress and the growing from-scratch arm: one training for every count and seed.

    Each count gets its own `scratch_plan`; the job's plan is not used. `job.budget` limits the seconds of one training.
    The best epoch is chosen on all validation items, so this arm looks a little too good. Stops early, keeping its
    points, if `control` says so. Raises RunError if a training fails.
    """
    dataset, test = job.dataset, job.dataset.rows("test")
    plans = {labels: scratch_plan(dataset, job.spec, subset(dataset, labels, seed=0)) for labels in counts}
    arm = CurveArm("scratch", "From scratch", _budget(plans.values(), seeds, job.budget), ())
    total = len(counts) * seeds
    for index, labels in enumerate(counts):
        scores: list[Estimate] = []
        for seed in range(seeds):
            rows = tuple(subset(dataset, labels, seed).tolist())
            folder = job.folder / f"scratch-{labels}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            part = replace(job, plan=plans[labels], seed=job.seed + seed, train_rows=rows, folder=folder)
            for share in _trained(part, control):
                done = round(100 * (index * seeds + seed + share))
                yield Progress(f"from scratch with {labels} labels", done, 100 * total)
            if control.stopped:
                return
            model = load_best(folder, job.spec, part.plan, len(dataset.classes))
            items = PreparedRows(job.store.prepared(dataset, job.spec), test)
            scores.append(score_rows(dataset, test, predict(model, job.spec, items, dataset.multilabel)))
            shutil.rmtree(folder, ignore_errors=True)
        arm = with_point(arm, labels, scores)
        yield arm
    yield Progress("from scratch", 100 * total, 100 * total)


def _budget(plans: Collection[TransferPlan], seeds: int, seconds: float | None) -> str:
    epochs = sorted({plan.epochs for plan in plans})
    span = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"{epochs[0]}"
    cap = f" or {seconds:.0f} s" if seconds else ""
    return f"at most {span} epochs{cap} a training, {seeds} random subset{'s' * (seeds > 1)}"


def _trained(job: TrainJob, control: RunControl) -> Iterator[float]:
    """Train; yield the share of epochs done. Raises RunError if the training fails."""
    epochs = 0
    for event in train(job, control):
        if isinstance(event, EpochDone):
            epochs += 1
            yield min(epochs / job.plan.epochs, 1.0)
        if isinstance(event, RunEnded) and event.status == "failed":
            raise RunError(event.reason, event.hint)


def score_rows(dataset: Dataset, rows: np.ndarray, probabilities_NC: np.ndarray) -> Estimate:
    """Return the accuracy on some rows; for multilabel data the mean AUC, 0.5 (0 to 1) if no label has one."""
    predicted = probabilities_NC if dataset.multilabel else probabilities_NC.argmax(axis=1)
    return score(dataset.truth[rows], predicted) or Estimate(0.5, 0.0, 1.0, len(rows), "no label can be measured")


def with_point(arm: CurveArm, labels: int, scores: Sequence[Estimate]) -> CurveArm:
    """Return the arm with one more point: the mean of the scores of several training subsets.

    Its interval combines two sources of spread (square root of the sum of squares). The choice of training items:
    Student's t over the seeds. The choice of test items: Wilson's interval around the mean accuracy, or the mean of
    the AUCs' own half-widths.
    """
    values, n = [estimate.value for estimate in scores], scores[0].n
    mean = float(np.mean(values))
    below, above = (float(np.mean(d)) for d in zip(*((s.value - s.low, s.high - s.value) for s in scores), strict=True))
    if scores[0].method == "Wilson":
        items = wilson(mean * n, n)
        below, above = mean - items.low, items.high - mean
    seeds = t_quantile(len(values)) * float(np.std(values, ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    low, high = hypot(seeds, below), hypot(seeds, above)
    method = f"mean of {len(values)} draws; spread of draws and of test items"
    joined = Estimate(mean, max(0.0, mean - low), min(1.0, mean + high), n, method)
    points = sorted((*arm.points, CurvePoint(labels, tuple(values), joined)), key=lambda point: point.labels)
    return replace(arm, points=tuple(points))
