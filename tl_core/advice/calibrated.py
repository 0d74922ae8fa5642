"""What a linear head over frozen features says about items that it has not seen. Legend as in linear.py."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize_scalar

from tl_core.advice.linear import TOLERANCE, answered, solve, spread
from tl_core.data.sampling import sample_rows

LEARN = 10_000
"""Items that one head learns from at most, drawn with a fixed seed: more change little and cost much."""
_CHUNK = 4096
_TINY = 1e-12


class CalibratedOutOfFold:
    """Cross-validated, calibrated probabilities float32 `[N, C]`; `found` is whole once `steps` has run to its end."""

    def __init__(self, features_ND: np.ndarray, targets_NC: np.ndarray, multilabel: bool = False) -> None:
        """Take features and 0 or 1 for each class; `several` where an item may have more labels than one, or none."""
        self._features, self._targets, self._multilabel = features_ND, targets_NC, multilabel
        self.found = np.full(targets_NC.shape, np.nan, dtype=np.float32)

    def steps(self, fold_N: np.ndarray, l2: float) -> Iterator[tuple[int, int]]:
        """Fill the probabilities; yields (done, total) heads.

        Items of fold 0 and up are told by a head that learned from the other folds. Those of fold -1 are learned from
        and not told; those of fold -2 are told by a head that learned from all others; those of fold -3 take no part.
        """
        folds = [fold for fold in np.unique(fold_N).tolist() if fold >= 0 or fold == -2]
        for done, fold in enumerate(folds):
            yield done, len(folds)
            learned = np.flatnonzero((fold_N >= -1) & (fold_N != fold))
            learned = learned[sample_rows(len(learned), LEARN)]
            self._tell(learned, np.flatnonzero(fold_N == fold), l2)
        self.found = tempered(self.found, self._targets, fold_N >= 0, self._multilabel)
        yield len(folds), len(folds)

    def _tell(self, learned: np.ndarray, told: np.ndarray, l2: float) -> None:
        if not len(learned):
            return
        train = self._features[learned]
        mean, scale = train.mean(axis=0), spread(train.var(axis=0, dtype=np.float64)).astype(np.float32)
        targets, width = self._targets[learned].astype(np.float32), train.shape[1] + 1
        start = np.zeros((width, targets.shape[1]))
        weights = solve((train - mean) / scale, targets, l2, start, TOLERANCE, self._multilabel)
        for first in range(0, len(told), _CHUNK):
            rows = told[first : first + _CHUNK]
            logits = (self._features[rows] - mean) / scale @ weights[:-1] + weights[-1]
            self.found[rows] = answered(logits, self._targets[rows], self._multilabel)[1]


def tempered(said_NC: np.ndarray, targets_NC: np.ndarray, rows_N: np.ndarray, multilabel: bool) -> np.ndarray:
    """Return probabilities made as sure as they are right: logits divided by one temperature, from 0.2 to 20.

    The temperature is the one under which the labels of the rows where `rows_N` holds are likeliest (Guo et al. 2017,
    section 4.2). It changes no order within an item; with several labels an item each probability counts by itself.
    """
    known = rows_N & np.isfinite(said_NC).all(axis=1)
    if not known.any():
        return said_NC
    logits, wanted = _logits(said_NC, multilabel), targets_NC[known]

    def cross_entropy(temperature: float) -> float:
        likely = _softened(logits[known], temperature, multilabel)
        other = np.log(1 - likely + _TINY) * (1 - wanted) if multilabel else 0.0
        return float(-(np.log(likely + _TINY) * wanted + other).sum(axis=1).mean())

    found = minimize_scalar(cross_entropy, bounds=(0.2, 20.0), method="bounded")
    return _softened(logits, float(found.x), multilabel).astype(np.float32)


def _logits(said: np.ndarray, multilabel: bool) -> np.ndarray:
    return np.log(said + _TINY) - (np.log(1 - said + _TINY) if multilabel else 0.0)


def _softened(logits: np.ndarray, temperature: float, multilabel: bool) -> np.ndarray:
    scaled = logits.astype(np.float64) / temperature
    if multilabel:
        return 1 / (1 + np.exp(-scaled))
    exp = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))
