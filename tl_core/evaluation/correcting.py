"""Measuring what decisions about items did: two heads over the same frozen features, one learned before, one after.

Legend: N items, D features, C classes.
"""

from collections.abc import Iterator

import numpy as np

from tl_core.advice.evidence import make_folds, units
from tl_core.advice.heldout import HeldOut
from tl_core.data.dataset import Dataset
from tl_core.evaluation.compare import paired_difference, verdict
from tl_core.evaluation.effect import Effect

_OUTSIDE = -3  # the fold of items that take no part


class Correcting:
    """The measurement; `effect` is there once `steps` has run to its end.

    The items are those of train and validation as the source splits them, in one set of folds for both heads. The
    first head learns from the source's labels, the second one without the dropped items and from the corrected labels.
    Both are judged on the items of the held-out folds that no decision changed, so that a label is right or wrong for
    both alike. Items that a decision moved into train from elsewhere take no part.
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
        self.effect: Effect | None = None

    def steps(self) -> Iterator[tuple[int, int]]:
        """Fit the heads of every fold; yields (done, total)."""
        arms = [self._arm(self._before), self._arm(self._after)]
        folds = [self._fold, np.where(self._dropped, _OUTSIDE, self._fold)]
        for number, (arm, fold) in enumerate(zip(arms, folds, strict=True)):
            for done, total in arm.steps(fold, self._l2):
                yield number * total + done, 2 * total
        judged = np.flatnonzero((self._fold >= 0) & ~self._dropped & ~self._changed)
        before, after = (self._right(arm, judged) for arm in arms)
        gain = paired_difference(after, before)
        self.effect = Effect(
            self._after.fingerprint,
            self._after.version,
            self._backbone,
            int(self._changed.sum()),
            int(self._dropped.sum()),
            float(before.mean()) if len(judged) else 0.0,
            float(after.mean()) if len(judged) else 0.0,
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
