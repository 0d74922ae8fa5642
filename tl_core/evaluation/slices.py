"""Slices: the score of each subgroup of the test items, and its gap to the rest."""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.evaluation.results import Slice, Slices
from tl_core.statistics.intervals import Z, difference, wilson
from tl_core.statistics.roc import labels_with_auc, mean_auc
from tl_core.types import Estimate, Finding, metric

MIN_ITEMS = 10
"""A gap needs this many test items in the slice, and outside it."""


def score(truth: np.ndarray, predicted: np.ndarray, z: float = Z) -> Estimate | None:
    """Return the accuracy of classes `[N]`, or the mean AUC of probabilities `[N, K]` (None if undefined)."""
    if truth.ndim == 2:
        return mean_auc(truth, predicted, z)
    return wilson(int((truth == predicted).sum()), len(truth), z)


def measure_slices(dataset: Dataset, rows: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> Slices | None:
    """Return the scores of the subgroups of `rows`; None if there are fewer than two subgroups.

    `truth` and `predicted` are classes `[N]`, or multilabel targets and probabilities `[N, K]`, of the rows.

    A slice's gap is its score minus that of all other items, with Newcombe's hybrid interval
    (statistics.intervals.difference). The limits are Bonferroni-corrected: 95 % for all slices together. AUC is
    compared over the labels for which both sides have one.
    """
    names = dataset.items["subgroup"].to_numpy(dtype=object)[rows]
    subgroups = sorted({str(name) for name in names if name != ""})
    if len(subgroups) < 2:
        return None
    masks = {name: names == name for name in subgroups}
    n_gaps = sum(MIN_ITEMS <= mask.sum() <= len(rows) - MIN_ITEMS for mask in masks.values())
    z = NormalDist().inv_cdf(1 - 0.025 / max(1, n_gaps))
    slices = []
    for name, mask in masks.items():
        inside = score(truth[mask], predicted[mask])
        slices.append(Slice(name, int(mask.sum()), inside, _gap(truth, predicted, mask, z)))
    scores = {s.name: s.score.value for s in slices if s.gap is not None and s.score is not None}
    worst = min(scores, key=lambda name: scores[name]) if len(set(scores.values())) > 1 else ""
    column = dataset.subgroup_column or "subgroup"
    return Slices(column, metric(dataset.multilabel), tuple(slices), worst, int((names == "").sum()))


def _gap(truth: np.ndarray, predicted: np.ndarray, mask: np.ndarray, z: float) -> Estimate | None:
    """Return the score inside the mask minus the score outside; None if it cannot be measured."""
    if min(mask.sum(), (~mask).sum()) < MIN_ITEMS:
        return None
    if truth.ndim == 2:
        shared = np.intersect1d(labels_with_auc(truth[mask]), labels_with_auc(truth[~mask]))
        truth, predicted = truth[:, shared], predicted[:, shared]
    a, b = score(truth[mask], predicted[mask], z), score(truth[~mask], predicted[~mask], z)
    return None if a is None or b is None else difference(a, b)


def slice_findings(slices: Slices | None) -> Iterator[Finding]:
    """Yield a finding for each slice where the model is clearly worse, and one for the slices that are too small."""
    if slices is None:
        return
    what = "is right" if slices.metric == "accuracy" else "ranks right"
    for subgroup in slices.slices:
        if subgroup.gap is not None and subgroup.gap.high < 0 and subgroup.score is not None:
            low, high = -100 * subgroup.gap.high, -100 * subgroup.gap.low
            yield Finding(
                "warn",
                "slice_worse",
                f"Where {slices.column!r} is {subgroup.name!r}, the model {what} {subgroup.score.value:.0%} of the "
                f"time, {-100 * subgroup.gap.value:.0f} points less than elsewhere ({low:.0f} to {high:.0f}).",
                "Do not rely on it there before you know why: look at its mistakes, and add items of this kind.",
                (subgroup.name,),
            )
    if small := [subgroup.name for subgroup in slices.slices if subgroup.gap is None]:
        shown = ", ".join(repr(name) for name in small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        yield Finding(
            "info",
            "slice_small",
            f"Where {slices.column!r} is {shown}, there are too few test items to say whether the model is as good "
            "there as elsewhere.",
            "Label more test items of this kind.",
            tuple(small),
        )
