"""How good a model is for each subgroup of the test items, and where it is worse than for the rest."""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.evaluation.results import Slice, Slices
from tl_core.statistics.intervals import Z, difference, wilson
from tl_core.statistics.roc import defined, mean_area
from tl_core.types import Estimate, Finding, metric

ENOUGH = 10
"""Test items of a slice, and beside it, below which its difference from the rest is not told."""


def score(truth: np.ndarray, found: np.ndarray, z: float = Z) -> Estimate | None:
    """Return the accuracy of classes `[N]`, or the mean AUC of probabilities `[N, K]` against targets; None without."""
    if truth.ndim == 2:
        return mean_area(truth, found, z)
    return wilson(int((truth == found).sum()), len(truth), z)


def measure_slices(dataset: Dataset, rows: np.ndarray, truth: np.ndarray, found: np.ndarray) -> Slices | None:
    """Return the scores of the subgroups of `rows`; None where the data set has no two of them.

    `truth` and `found` are labels and predicted classes `[N]`, or targets and probabilities `[N, K]`, of the rows.

    A slice's gap is its score less that of all items outside it, by Newcombe's hybrid interval
    (statistics.intervals.difference). The limits are those of 95 % for all slices together (Bonferroni). AUC is
    compared over the labels that have one on both sides.
    """
    names = dataset.items["subgroup"].to_numpy(dtype=object)[rows]
    known = sorted({str(name) for name in names if name != ""})
    if len(known) < 2:
        return None
    masks = {name: names == name for name in known}
    asked = sum(ENOUGH <= mask.sum() <= len(rows) - ENOUGH for mask in masks.values())
    z = NormalDist().inv_cdf(1 - 0.025 / max(1, asked))
    slices = []
    for name, mask in masks.items():
        inside = score(truth[mask], found[mask])
        slices.append(Slice(name, int(mask.sum()), inside, _gap(truth, found, mask, z)))
    sure = {one.name: one.score.value for one in slices if one.gap is not None and one.score is not None}
    worst = min(sure, key=lambda name: sure[name]) if len(set(sure.values())) > 1 else ""
    column = dataset.subgroup_column or "subgroup"
    return Slices(column, metric(dataset.multilabel), tuple(slices), worst, int((names == "").sum()))


def _gap(truth: np.ndarray, found: np.ndarray, mask: np.ndarray, z: float) -> Estimate | None:
    """Return the score inside the mask less that outside; None where it cannot be told."""
    if min(mask.sum(), (~mask).sum()) < ENOUGH:
        return None
    if truth.ndim == 2:
        shared = np.intersect1d(defined(truth[mask]), defined(truth[~mask]))
        truth, found = truth[:, shared], found[:, shared]
    a, b = score(truth[mask], found[mask], z), score(truth[~mask], found[~mask], z)
    return None if a is None or b is None else difference(a, b)


def slice_findings(found: Slices | None) -> Iterator[Finding]:
    """Yield the slices for which the model is clearly worse, and those that are too small to say."""
    if found is None:
        return
    what = "is right" if found.metric == "accuracy" else "ranks right"
    for one in found.slices:
        if one.gap is not None and one.gap.high < 0 and one.score is not None:
            low, high = -100 * one.gap.high, -100 * one.gap.low
            yield Finding(
                "warn",
                "slice_worse",
                f"Where {found.column!r} is {one.name!r}, the model {what} {one.score.value:.0%} of the time, "
                f"{-100 * one.gap.value:.0f} points less than elsewhere ({low:.0f} to {high:.0f}).",
                "Do not rely on it there before this is understood: look at its mistakes, and add items of this kind.",
                (one.name,),
            )
    if small := [one.name for one in found.slices if one.gap is None]:
        shown = ", ".join(repr(name) for name in small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        yield Finding(
            "info",
            "slice_small",
            f"Where {found.column!r} is {shown}, there are too few test items to say whether the model is as good "
            "there as elsewhere.",
            "Label more items of this kind for the test.",
            tuple(small),
        )
