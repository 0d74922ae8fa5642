"""Calibrated probabilities of a linear head for items that it has not learned from. Legend as in linear.py."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize_scalar

from tl_core.advice.linear import TOLERANCE, losses_and_probabilities, solve, spread
from tl_core.data.sampling import sample_rows

MAX_ITEMS = 10_000
"""Most items that one head learns from, drawn with a fixed seed: more change little and cost much."""
_CHUNK = 4096
_TINY = 1e-12


class CalibratedOutOfFold:
    """Cross-validated probabilities, temperature-scaled: float32 `[N, C]`, complete once `steps` has run to its end."""

    def __init__(self, features_ND: np.ndarray, targets_NC: np.ndarray, multilabel: bool = False) -> None:
        """Take features, and 0 or 1 for each class; `multilabel` items may have several labels, or none."""
        self._features, self._targets, self._multilabel = features_ND, targets_NC, multilabel
        self.probabilities = np.full(targets_NC.shape, np.nan, dtype=np.float32)

    def steps(self, fold_N: np.ndarray, l2: float) -> Iterator[tuple[int, int]]:
        """Fill the probabilities; yields (done, total) heads.

        Items of fold 0 and up are predicted by a head that learned from the other folds. Items of fold -1 are learned
        from and not predicted; items of fold -2 are predicted by a head that learned from all others; items of fold -3
        take no part.
        """
        folds = [fold for fold in np.unique(fold_N).tolist() if fold >= 0 or fold == -2]
        for done, fold in enumerate(folds):
            yield done, len(folds)
            learned = np.flatnonzero((fold_N >= -1) & (fold_N != fold))
            learned = learned[sample_rows(len(learned), MAX_ITEMS)]
            self._predict(learned, np.flatnonzero(fold_N == fold), l2)
        self.probabilities = temperature_scaled(self.probabilities, self._targets, fold_N >= 0, self._multilabel)
        yield len(folds), len(folds)

    def _predict(self, learned: np.ndarray, predicted: np.ndarray, l2: float) -> None:
        if not len(learned):
            return
        train = self._features[learned]
        mean, scale = train.mean(axis=0), spread(train.var(axis=0, dtype=np.float64)).astype(np.float32)
        targets, width = self._targets[learned].astype(np.float32), train.shape[1] + 1
        start = np.zeros((width, targets.shape[1]))
        weights = solve((train - mean) / scale, targets, l2, start, TOLERANCE, self._multilabel)
        for first in range(0, len(predicted), _CHUNK):
            rows = predicted[first : first + _CHUNK]
            logits = (self._features[rows] - mean) / scale @ weights[:-1] + weights[-1]
            self.probabilities[rows] = losses_and_probabilities(logits, self._targets[rows], self._multilabel)[1]


def temperature_scaled(
    probabilities_NC: np.ndarray, targets_NC: np.ndarray, rows_N: np.ndarray, multilabel: bool
) -> np.ndarray:
    """Return probabilities after temperature scaling (Guo et al. 2017, arXiv:1706.04599, section 4.2).

    The logits are divided by the temperature, from 0.2 to 20, with the lowest cross-entropy on the rows where `rows_N`
    holds. The order of the classes of an item stays as it is. For `multilabel` items each probability is scaled by
    itself.
    """
    fitted = rows_N & np.isfinite(probabilities_NC).all(axis=1)
    if not fitted.any():
        return probabilities_NC
    logits, fitted_targets = _logits(probabilities_NC, multilabel), targets_NC[fitted]

    def cross_entropy(temperature: float) -> float:
        likely = _scaled_probabilities(logits[fitted], temperature, multilabel)
        other = np.log(1 - likely + _TINY) * (1 - fitted_targets) if multilabel else 0.0
        return float(-(np.log(likely + _TINY) * fitted_targets + other).sum(axis=1).mean())

    solution = minimize_scalar(cross_entropy, bounds=(0.2, 20.0), method="bounded")
    return _scaled_probabilities(logits, float(solution.x), multilabel).astype(np.float32)


def _logits(probabilities: np.ndarray, multilabel: bool) -> np.ndarray:
    return np.log(probabilities + _TINY) - (np.log(1 - probabilities + _TINY) if multilabel else 0.0)


def _scaled_probabilities(logits: np.ndarray, temperature: float, multilabel: bool) -> np.ndarray:
    scaled = logits.astype(np.float64) / temperature
    if multilabel:
        return 1 / (1 + np.exp(-scaled))
    exp = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))
