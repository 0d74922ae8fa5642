"""Measure the effect of data cleaning: two heads on the same frozen features, trained before and after the decisions.

Legend: N items, D features, C classes.
"""

from collections.abc import Iterator

import numpy as np

from tl_core.advice.calibrated import CalibratedOutOfFold
from tl_core.advice.folds import make_folds, units
from tl_core.data.dataset import Dataset
from tl_core.evaluation.cleaning_effect import CleaningEffect
from tl_core.evaluation.compare import verdict
from tl_core.statistics.bootstrap import PAIRED_DRAWS, percentile_estimate
from tl_core.types import Estimate

_EXCLUDED = -3  # the fold of items that take no part


class CleaningMeasurement:
    """The measurement; `effect` is set once `steps` has run to its end.

    Both heads use the same cross-validation folds of the source's train and validation items. The first head learns
    from the source's labels; the second from the corrected labels, without the dropped items. Both are scored on
    held-out items that no decision changed, so a label counts the same for both. Items that a decision moved into
    train take no part.

    The score is balanced accuracy. Label errors mostly go one way, from one class to another. So the unchanged items
    hold different shares of these two classes than all items do, and plain accuracy would favour the head that did not
    learn the corrections.
    """

    def __init__(self, dataset: Dataset, backbone: str, features_ND: np.ndarray, l2: float) -> None:
        """Take the data set with its decisions, frozen features of every row, and the head's L2 strength."""
        self._after, self._before = dataset, dataset.with_decisions("")
        self._backbone, self._features, self._l2 = backbone, features_ND, l2
        rows = self._before.rows("train", "validation")
        fold = np.full(len(dataset.items), _EXCLUDED)
        fold[rows] = make_folds(np.unique(self._before.labels[rows], return_inverse=True)[1], units(dataset, rows))
        self._fold = fold
        self._dropped = (fold > _EXCLUDED) & ~dataset.included
        self._changed = (fold > _EXCLUDED) & ~self._dropped & (self._before.targets != dataset.targets).any(axis=1)
        self.judged = (fold >= 0) & ~self._dropped & ~self._changed
        """Which items both heads are scored on: bool `[N]`."""
        self.effect: CleaningEffect | None = None

    @property
    def changes(self) -> int:
        """The number of train and validation items that the decisions changed."""
        return int(self._dropped.sum() + self._changed.sum())

    @property
    def classes(self) -> np.ndarray:
        """The classes of the scored items."""
        return self._before.labels[self.judged]

    def steps(self) -> Iterator[tuple[int, int]]:
        """Fit both heads on every fold; yield (done, total)."""
        arms = [self._arm(self._before), self._arm(self._after)]
        folds = [self._fold, np.where(self._dropped, _EXCLUDED, self._fold)]
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

    def _arm(self, dataset: Dataset) -> CalibratedOutOfFold:
        return CalibratedOutOfFold(self._features, dataset.targets, dataset.multilabel)

    def _right(self, arm: CalibratedOutOfFold, rows: np.ndarray) -> np.ndarray:
        """Return which items are right: bool `[len(rows)]`. A multilabel item is right if all its labels are."""
        predicted, targets = arm.probabilities[rows], self._before.targets[rows]
        if self._before.multilabel:
            return ((predicted > 0.5) == (targets > 0.5)).all(axis=1)
        return predicted.argmax(axis=1) == targets.argmax(axis=1)


def balanced_accuracy(right_N: np.ndarray, class_N: np.ndarray) -> float:
    """Return the mean over the classes of the share of right items (balanced accuracy)."""
    return float(np.mean([right_N[class_N == c].mean() for c in np.unique(class_N)]))


def balanced_accuracy_difference(
    after_N: np.ndarray, before_N: np.ndarray, class_N: np.ndarray, seed: int = 0
) -> Estimate:
    """Return balanced accuracy after minus before on the same items, with a paired bootstrap interval.

    Drawn within each class as bootstrap.paired_difference draws over all items. The half item that is added to each
    cell of the 2 x 2 table is shared among the classes in proportion to their size.
    """
    draw, n = np.random.default_rng(seed), len(class_N)
    drawn, classes = np.zeros(PAIRED_DRAWS), np.unique(class_N)
    for c in classes:
        gained, lost = after_N[class_N == c] & ~before_N[class_N == c], before_N[class_N == c] & ~after_N[class_N == c]
        size = len(gained)
        cells = (
            np.array([gained.sum(), lost.sum(), size - gained.sum() - lost.sum()]) + np.array([0.5, 0.5, 1]) * size / n
        )
        counts = draw.multinomial(size, cells / cells.sum(), size=len(drawn))
        drawn += (counts[:, 0] - counts[:, 1]) / size / len(classes)
    value = balanced_accuracy(after_N, class_N) - balanced_accuracy(before_N, class_N)
    return percentile_estimate(value, drawn, n, f"paired bootstrap within classes, {len(drawn)} draws")
