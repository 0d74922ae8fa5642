"""Measuring what decisions about items did: two heads over the same frozen features, one learned before, one after.

Legend: N items, D features, C classes.
"""

from collections.abc import Iterator

import numpy as np

from tl_core.advice.evidence import make_folds, units
from tl_core.advice.heldout import HeldOut
from tl_core.data.dataset import Dataset
from tl_core.evaluation.cleaning_effect import CleaningEffect
from tl_core.evaluation.compare import verdict
from tl_core.statistics.bootstrap import PAIRED_DRAWS, percentile_estimate
from tl_core.types import Estimate

_OUTSIDE = -3  # the fold of items that take no part


class CleaningMeasurement:
    """The measurement; `effect` is there once `steps` has run to its end.

    The items are those of train and validation as the source splits them, in one set of folds for both heads. The
    first head learns from the source's labels, the second one without the dropped items and from the corrected labels.
    Both are judged on the items of the held-out folds that no decision changed, so that a label is right or wrong for
    both alike. What is counted is averaged over the classes: mistakes in labels mostly go one way, from one class to
    another, so of the two there are other shares among the unchanged items than among all, and a plain share would
    speak for the head that has not learned the corrections. Items that a decision moved into train from elsewhere take
    no part.
    """

    def __init__(self, dataset: Dataset, backbone: str, features_ND: np.ndarray, l2: float) -> None:
        """Take the data set under its decisions, and frozen features of every row; `l2` is the head's strength."""
        self._after, self._before = dataset, dataset.under("")
        self._backbone, self._features, self._l2 = backbone, features_ND, l2
        rows = self._before.rows("train", "validation")
        fold = np.full(len(dataset.items), _OUTSIDE)
        fold[rows] = make_folds(np.unique(self._before.labels[rows], return_inverse=True)[1], units(dataset, rows))
        self._fold = fold
        self._dropped = (fold > _OUTSIDE) & ~dataset.kept
        self._changed = (fold > _OUTSIDE) & ~self._dropped & (self._before.targets != dataset.targets).any(axis=1)
        self.judged = (fold >= 0) & ~self._dropped & ~self._changed
        """Which items both heads are judged on: bool `[N]`."""
        self.effect: CleaningEffect | None = None

    @property
    def changes(self) -> int:
        """How many items of train and validation the decisions changed."""
        return int(self._dropped.sum() + self._changed.sum())

    @property
    def classes(self) -> np.ndarray:
        """The classes of the items that are judged on."""
        return self._before.labels[self.judged]

    def steps(self) -> Iterator[tuple[int, int]]:
        """Fit the heads of every fold; yields (done, total)."""
        arms = [self._arm(self._before), self._arm(self._after)]
        folds = [self._fold, np.where(self._dropped, _OUTSIDE, self._fold)]
        for number, (arm, fold) in enumerate(zip(arms, folds, strict=True)):
            for done, total in arm.steps(fold, self._l2):
                yield number * total + done, 2 * total
        judged = np.flatnonzero(self.judged)
        before, after = (self._right(arm, judged) for arm in arms)
        gain = balanced_accuracy_difference(after, before, self.classes)
        self.effect = CleaningEffect(
            self._after.fingerprint,
            self._after.version,
            self._backbone,
            int(self._changed.sum()),
            int(self._dropped.sum()),
            balanced_accuracy(before, self.classes),
            balanced_accuracy(after, self.classes),
            gain,
            verdict(gain),
        )

    def _arm(self, dataset: Dataset) -> HeldOut:
        return HeldOut(self._features, dataset.targets, dataset.multilabel)

    def _right(self, arm: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Return which items are right: bool `[len(rows)]`; of several labels, all have to be."""
        said, targets = arm.found[rows], self._before.targets[rows]
        if self._before.multilabel:
            return ((said > 0.5) == (targets > 0.5)).all(axis=1)
        return said.argmax(axis=1) == targets.argmax(axis=1)


def balanced_accuracy(right_N: np.ndarray, class_N: np.ndarray) -> float:
    """Return the share of right items of each class, averaged over the classes (balanced accuracy)."""
    return float(np.mean([right_N[class_N == c].mean() for c in np.unique(class_N)]))


def balanced_accuracy_difference(
    after_N: np.ndarray, before_N: np.ndarray, class_N: np.ndarray, seed: int = 0
) -> Estimate:
    """Return by_class() of one less that of the other on the same items, with a paired bootstrap interval.

    Items are drawn in pairs within each class, as bootstrap.paired_difference draws them over all: half an item is
    added to each cell of the 2 x 2 table, here shared among the classes in their proportion.
    """
    draw, n = np.random.default_rng(seed), len(class_N)
    drawn, classes = np.zeros(PAIRED_DRAWS), np.unique(class_N)
    for c in classes:
        gained, lost = after_N[class_N == c] & ~before_N[class_N == c], before_N[class_N == c] & ~after_N[class_N == c]
        size = len(gained)
        cells = (
            np.array([gained.sum(), lost.sum(), size - gained.sum() - lost.sum()]) + np.array([0.5, 0.5, 1]) * size / n
        )
        found = draw.multinomial(size, cells / cells.sum(), size=len(drawn))
        drawn += (found[:, 0] - found[:, 1]) / size / len(classes)
    value = balanced_accuracy(after_N, class_N) - balanced_accuracy(before_N, class_N)
    return percentile_estimate(value, drawn, n, f"paired bootstrap within classes, {len(drawn)} draws")
