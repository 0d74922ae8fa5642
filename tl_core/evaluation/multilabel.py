"""Multilabel metrics, in numpy: every label of an item is a separate yes or no.

N items, K labels. `truth_NK` holds 0 or 1, `probabilities_NK` the probability of each label; above 0.5 is a yes.

Proportions get Wilson's interval, as in `metrics`. The answers for one item are correlated, so label accuracy gets the
interval for N trials, not N K; this is conservative. Macro- and micro-F1 are bootstrapped over the items. Two right and
two wrong items with average labels are added first, so that the interval keeps its width if everything is right
(Agresti & Coull 1998, as in `metrics`).
"""

from collections.abc import Sequence

import numpy as np

from tl_core.evaluation.metrics import class_score
from tl_core.evaluation.results import HALF, ClassScore
from tl_core.statistics.bootstrap import DRAWS, mean_estimate, percentile_estimate
from tl_core.statistics.intervals import wilson
from tl_core.statistics.roc import label_aucs
from tl_core.types import Estimate


def accuracy(truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> Estimate:
    """Return the share of right yes-or-no answers over all items and labels (1 - Hamming loss)."""
    right = ((probabilities_NK > HALF) == (truth_NK > HALF)).mean(axis=1).sum() if truth_NK.size else 0.0
    return wilson(float(right), len(truth_NK))


def exact(truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> Estimate:
    """Return the share of items with all labels right (subset accuracy)."""
    return wilson(int(((probabilities_NK > HALF) == (truth_NK > HALF)).all(axis=1).sum()), len(truth_NK))


def per_label(truth_NK: np.ndarray, probabilities_NK: np.ndarray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return precision, recall, F1 and AUC of each label; the AUC is None if all items or none have the label."""
    true, predicted = truth_NK > HALF, probabilities_NK > HALF
    counts = zip(classes, (true & predicted).sum(axis=0), true.sum(axis=0), predicted.sum(axis=0), strict=True)
    scores = [class_score(*row) for row in counts]
    return tuple(
        ClassScore(score.name, score.precision, score.recall, score.f1, area)
        for score, area in zip(scores, label_aucs(truth_NK, probabilities_NK), strict=True)
    )


def f1(truth_NK: np.ndarray, probabilities_NK: np.ndarray, seed: int = 0) -> tuple[Estimate, Estimate]:
    """Return macro-F1, the mean over the labels with true or predicted items, and micro-F1, over all answers.

    F1 = 2 TP / (2 TP + FP + FN); 0 if there are neither true nor predicted labels.
    """
    n, true, predicted = len(truth_NK), truth_NK > HALF, probabilities_NK > HALF
    hits, sums = (true & predicted).astype(float), true.astype(float) + predicted  # 2 TP + FP + FN = total of `sums`
    if n == 0:
        unknown = Estimate(0.0, 0.0, 1.0, 0, "bootstrap")
        return unknown, unknown
    true_share, predicted_share = true.mean(axis=0), predicted.mean(axis=0)
    none, both = np.zeros_like(true_share), true_share + predicted_share
    added_hits = np.stack([true_share, true_share, none, none])  # the "plus four" items: two right, two wrong
    added_sums = np.stack([2 * true_share, 2 * true_share, both, both])
    drawn = np.random.default_rng(seed).multinomial(n + 4, np.full(n + 4, 1 / (n + 4)), size=DRAWS).astype(np.float32)
    right, total = drawn @ np.concatenate([hits, added_hits]), drawn @ np.concatenate([sums, added_sums])
    values = _macro(hits.sum(axis=0), sums.sum(axis=0)), _micro(hits.sum(axis=0), sums.sum(axis=0))
    method = f"bootstrap, {DRAWS} draws"
    macro, micro = (
        percentile_estimate(float(value), scores, n, method)
        for value, scores in zip(values, (_macro(right, total), _micro(right, total)), strict=True)
    )
    return macro, micro


def _macro(hits: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 over labels from counts `[..., K]`."""
    f1_K = np.divide(2 * hits, sums, out=np.zeros_like(hits), where=sums > 0)
    count = (sums > 0).sum(axis=-1)
    return f1_K.sum(axis=-1) / np.maximum(1, count)


def _micro(hits: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Return F1 over all labels together from counts `[..., K]`."""
    total = sums.sum(axis=-1)
    return np.divide(2 * hits.sum(axis=-1), total, out=np.zeros_like(total), where=total > 0)


def log_loss(truth_NK: np.ndarray, probabilities_NK: np.ndarray, seed: int = 0) -> Estimate:
    """Return the binary cross-entropy in nats, averaged over labels and items. Probabilities are clipped at 1e-7."""
    probabilities = np.clip(probabilities_NK.astype(float), 1e-7, 1 - 1e-7)
    losses = -(truth_NK * np.log(probabilities) + (1 - truth_NK) * np.log(1 - probabilities)).mean(axis=1)
    return mean_estimate(losses, seed)
