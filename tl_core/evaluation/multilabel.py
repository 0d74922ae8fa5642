"""Metrics of items with several labels, in numpy: every label is a yes or no.

N items, K labels. `truth_NK` holds 0 or 1, `chances_NK` the probability of each label; above one half is a yes.

Each share has its interval as in `metrics`. An item's answers hang together, so the share of right answers gets
Wilson's interval for N answers, not N K, which is wide rather than narrow. F1 averaged over labels, and F1 over all
answers, are bootstrapped over the items, with two right and two wrong items of the usual make-up added, so that the
interval keeps its width where all is right (Agresti & Coull 1998, as in `metrics`).
"""

from collections.abc import Sequence

import numpy as np

from tl_core.evaluation.metrics import class_score
from tl_core.evaluation.results import HALF, ClassScore
from tl_core.statistics.bootstrap import DRAWS, mean_estimate, percentile_estimate
from tl_core.statistics.intervals import wilson
from tl_core.statistics.roc import areas
from tl_core.types import Estimate


def accuracy(truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> Estimate:
    """Return the share of right answers over all items and labels (1 - the Hamming loss)."""
    right = ((probabilities_NK > HALF) == (truth_NK > HALF)).mean(axis=1).sum() if truth_NK.size else 0.0
    return wilson(float(right), len(truth_NK))


def exact(truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> Estimate:
    """Return the share of items with every answer right."""
    return wilson(int(((probabilities_NK > HALF) == (truth_NK > HALF)).all(axis=1).sum()), len(truth_NK))


def per_label(truth_NK: np.ndarray, probabilities_NK: np.ndarray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return precision, recall, F1 and AUC of each label; the AUC is None where all items have it, or none has."""
    truth, said = truth_NK > HALF, probabilities_NK > HALF
    counts = zip(classes, (truth & said).sum(axis=0), truth.sum(axis=0), said.sum(axis=0), strict=True)
    scores = [class_score(*each) for each in counts]
    return tuple(
        ClassScore(one.name, one.precision, one.recall, one.f1, area)
        for one, area in zip(scores, areas(truth_NK, probabilities_NK), strict=True)
    )


def f1(truth_NK: np.ndarray, probabilities_NK: np.ndarray, seed: int = 0) -> tuple[Estimate, Estimate]:
    """Return F1 averaged over the labels that are there or were said (macro), and over all answers (micro).

    F1 = 2 TP / (2 TP + FP + FN); 0 where nothing is there and nothing was said.
    """
    n, truth, said = len(truth_NK), truth_NK > HALF, probabilities_NK > HALF
    hits, sums = (truth & said).astype(float), truth.astype(float) + said  # 2 TP + FP + FN is the sum of the sums
    if n == 0:
        unknown = Estimate(0.0, 0.0, 1.0, 0, "bootstrap")
        return unknown, unknown
    there, called = truth.mean(axis=0), said.mean(axis=0)
    usual = np.stack([there, there, np.zeros_like(there), np.zeros_like(there)])
    both = np.stack([2 * there, 2 * there, there + called, there + called])
    drawn = np.random.default_rng(seed).multinomial(n + 4, np.full(n + 4, 1 / (n + 4)), size=DRAWS).astype(np.float32)
    right, total = drawn @ np.concatenate([hits, usual]), drawn @ np.concatenate([sums, both])
    values = _macro(hits.sum(axis=0), sums.sum(axis=0)), _micro(hits.sum(axis=0), sums.sum(axis=0))
    method = f"bootstrap, {DRAWS} draws"
    macro, micro = (
        percentile_estimate(float(value), scores, n, method)
        for value, scores in zip(values, (_macro(right, total), _micro(right, total)), strict=True)
    )
    return macro, micro


def _macro(hits: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 over labels from counts `[..., K]`."""
    each = np.divide(2 * hits, sums, out=np.zeros_like(hits), where=sums > 0)
    count = (sums > 0).sum(axis=-1)
    return each.sum(axis=-1) / np.maximum(1, count)


def _micro(hits: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Return F1 over all answers from counts `[..., K]`."""
    total = sums.sum(axis=-1)
    return np.divide(2 * hits.sum(axis=-1), total, out=np.zeros_like(total), where=total > 0)


def log_loss(truth_NK: np.ndarray, probabilities_NK: np.ndarray, seed: int = 0) -> Estimate:
    """Return the binary cross-entropy in nats, averaged over labels and items. Probabilities are clipped at 1e-7."""
    probabilities = np.clip(probabilities_NK.astype(float), 1e-7, 1 - 1e-7)
    losses = -(truth_NK * np.log(probabilities) + (1 - truth_NK) * np.log(1 - probabilities)).mean(axis=1)
    return mean_estimate(losses, seed)
