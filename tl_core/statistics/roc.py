"""The area under the ROC curve (AUC) with its interval, in numpy.

N items, K labels. `truth` holds 0 or 1; an item with a label is a positive of it, any other item a negative. `scores`
are anything that orders the items.
"""

import numpy as np

from tl_core.statistics.intervals import Z
from tl_core.types import Estimate


def binary_auc(scores_N: np.ndarray, positive_N: np.ndarray) -> float:
    """Return P(score of a positive > score of a negative) + P(equal) / 2 (Mann-Whitney), by mid-ranks.

    There must be positives and negatives.
    """
    positives, ranks = int(positive_N.sum()), _mid_ranks(scores_N)
    outranked = ranks[positive_N].sum() - positives * (positives + 1) / 2
    return float(outranked / (positives * (len(positive_N) - positives)))


def _mid_ranks(values_N: np.ndarray) -> np.ndarray:
    """Return ranks from 1 on; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def auc_interval(value: float, positives: int, negatives: int, z: float = Z) -> tuple[float, float]:
    """Return the limits of an AUC by Newcombe's method 5 (https://doi.org/10.1002/sim.2324); 95 % by default.

    With m positives, o negatives and n = (m + o) / 2, the limits t solve |value - t| = z sqrt(V(t)) where
    V(t) = t (1 - t) (1 + (n - 1) ((1 - t) / (2 - t) + t / (1 + t))) / (m o).
    """
    grid = np.linspace(0, 1, 20_001)
    mean = (positives + negatives) / 2
    spread = 1 + (mean - 1) * ((1 - grid) / (2 - grid) + grid / (1 + grid))
    variance = grid * (1 - grid) * spread / (positives * negatives)
    inside = grid[np.abs(value - grid) <= z * np.sqrt(variance) + 1e-12]
    if not len(inside):
        return value, value
    return min(value, float(inside[0])), max(value, float(inside[-1]))


def auc_influence(scores_N: np.ndarray, positive_N: np.ndarray) -> np.ndarray:
    """Return how far each item moves an AUC from its mean `[N]`; the squares sum to the variance of the AUC.

    DeLong, DeLong & Clarke-Pearson 1988 (https://doi.org/10.2307/2531595): let V10 of a positive be the share of the
    negatives that it outranks, and V01 of a negative the share of the positives that outrank it. The variance of the
    AUC A is var(V10) / m + var(V01) / o, for m positives and o negatives. A positive gives
    (V10 - A) / sqrt(m (m - 1)), a negative (V01 - A) / sqrt(o (o - 1)). The products of two AUCs of the same items sum
    to their covariance.
    """
    positive_N = positive_N.astype(bool)
    ranks = _mid_ranks(scores_N)
    influence = np.zeros(len(scores_N))
    m, o = int(positive_N.sum()), int((~positive_N).sum())
    v10 = (ranks[positive_N] - _mid_ranks(scores_N[positive_N])) / o
    v01 = 1 - (ranks[~positive_N] - _mid_ranks(scores_N[~positive_N])) / m
    influence[positive_N] = (v10 - v10.mean()) / np.sqrt(m * max(1, m - 1))
    influence[~positive_N] = (v01 - v01.mean()) / np.sqrt(o * max(1, o - 1))
    return influence


def labels_with_auc(truth_NK: np.ndarray) -> np.ndarray:
    """Return the column numbers of the labels with positives and negatives: only those have an AUC."""
    counts = truth_NK.sum(axis=0)
    return np.flatnonzero((counts > 0) & (counts < len(truth_NK)))


def label_aucs(truth_NK: np.ndarray, scores_NK: np.ndarray, z: float = Z) -> list[Estimate | None]:
    """Return the AUC of each label with Newcombe's interval; None for a label without positives or negatives."""
    aucs: list[Estimate | None] = [None] * truth_NK.shape[1]
    for label in labels_with_auc(truth_NK):
        positive = truth_NK[:, label] > 0.5
        value, positives = binary_auc(scores_NK[:, label], positive), int(positive.sum())
        low, high = auc_interval(value, positives, len(positive) - positives, z)
        aucs[label] = Estimate(value, low, high, len(positive), "Newcombe")
    return aucs


def mean_auc(truth_NK: np.ndarray, scores_NK: np.ndarray, z: float = Z) -> Estimate | None:
    """Return the AUC averaged over the labels that have one; None where none has.

    Each side of the interval is the wider of two: DeLong's, which allows for the labels sharing their items, and
    Newcombe's of the single labels, combined as if they were independent (root of the sum of squares), which keeps its
    width where every AUC is 1.
    """
    labels = labels_with_auc(truth_NK)
    if not len(labels):
        return None
    aucs = [auc for auc in label_aucs(truth_NK, scores_NK, z) if auc is not None]
    value = float(np.mean([auc.value for auc in aucs]))
    half = z * float(np.sqrt((_mean_auc_influence(truth_NK, scores_NK, labels) ** 2).sum()))
    below = float(np.sqrt(np.sum([(auc.value - auc.low) ** 2 for auc in aucs]))) / len(aucs)
    above = float(np.sqrt(np.sum([(auc.high - auc.value) ** 2 for auc in aucs]))) / len(aucs)
    low, high = max(0.0, value - max(half, below)), min(1.0, value + max(half, above))
    return Estimate(value, low, high, len(truth_NK), "DeLong or Newcombe, mean over labels")


def mean_auc_difference(truth_NK: np.ndarray, scores_NK: np.ndarray, other_scores_NK: np.ndarray) -> Estimate | None:
    """Return the mean AUC minus that of other scores of the same items; None where no label has an AUC.

    The interval is DeLong's for two AUCs of the same items. Its least width is that of one more positive and one more
    negative of each label, ranked the other way round, with labels taken as independent. So two orders that agree on a
    few items do not look exactly equal (for proportions, Agresti & Min 2005, https://doi.org/10.1002/sim.1781, add half
    an item to each cell).
    """
    labels = labels_with_auc(truth_NK)
    if not len(labels):
        return None
    aucs = [[binary_auc(s[:, k], truth_NK[:, k] > 0.5) for k in labels] for s in (scores_NK, other_scores_NK)]
    value = float(np.mean(aucs[0]) - np.mean(aucs[1]))
    influence = _mean_auc_influence(truth_NK, scores_NK, labels)
    influence -= _mean_auc_influence(truth_NK, other_scores_NK, labels)
    positives = truth_NK[:, labels].sum(axis=0)
    least = (1 / (positives + 2) ** 2 + 1 / (len(truth_NK) - positives + 2) ** 2).sum() / len(labels) ** 2
    half = Z * float(np.sqrt(max((influence**2).sum(), least)))
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), len(truth_NK), "DeLong, paired")


def _mean_auc_influence(truth_NK: np.ndarray, scores_NK: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the influence of each item on the mean AUC over some labels `[N]`."""
    total = np.zeros(len(truth_NK))
    for label in labels:
        total += auc_influence(scores_NK[:, label], truth_NK[:, label] > 0.5)
    return total / len(labels)
