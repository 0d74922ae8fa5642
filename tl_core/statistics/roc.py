"""The area under the ROC curve with its spread, in numpy.

N items, K labels. `truth` holds 0 or 1, `scores` anything that orders the items.
"""

import numpy as np

from tl_core.statistics.intervals import Z
from tl_core.types import Estimate


def area(scores_N: np.ndarray, member_N: np.ndarray) -> float:
    """Return P(score of a member > score of another) + P(equal) / 2 (Mann-Whitney), by mid-ranks.

    There must be members and others.
    """
    members = int(member_N.sum())
    ranks = _ranks(scores_N)
    return float((ranks[member_N].sum() - members * (members + 1) / 2) / (members * (len(member_N) - members)))


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """Return mid-ranks from 1 on."""
    _, inverse, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def interval(value: float, members: int, others: int, z: float = Z) -> tuple[float, float]:
    """Return limits of an area, 95 % ones unless `z` says otherwise: Newcombe's method 5 (https://doi.org/10.1002/sim.2324).

    With m members, o others and n = (m + o) / 2, the limits t solve |value - t| = z sqrt(V(t)) where
    V(t) = t (1 - t) (1 + (n - 1) ((1 - t) / (2 - t) + t / (1 + t))) / (m o).
    """
    grid = np.linspace(0, 1, 20_001)
    mean = (members + others) / 2
    spread = 1 + (mean - 1) * ((1 - grid) / (2 - grid) + grid / (1 + grid))
    variance = grid * (1 - grid) * spread / (members * others)
    inside = grid[np.abs(value - grid) <= z * np.sqrt(variance) + 1e-12]
    if not len(inside):
        return value, value
    return min(value, float(inside[0])), max(value, float(inside[-1]))


def influence(scores_N: np.ndarray, member_N: np.ndarray) -> np.ndarray:
    """Return what each item adds to the deviation of an area from its mean `[N]`.

    DeLong, DeLong & Clarke-Pearson 1988 (https://doi.org/10.2307/2531595): with V10 of a member the share of the
    others that it outranks, and V01 of another the share of the members that outrank it, the variance of the area A is
    var(V10) / m + var(V01) / o. Here a member gives (V10 - A) / sqrt(m (m - 1)), another (V01 - A) / sqrt(o (o - 1)),
    whose squares sum to that variance, and whose products over two areas of the same items sum to their covariance.
    """
    member_N = member_N.astype(bool)
    ranks = _ranks(scores_N)
    found = np.zeros(len(scores_N))
    m, o = int(member_N.sum()), int((~member_N).sum())
    above = (ranks[member_N] - _ranks(scores_N[member_N])) / o
    below = 1 - (ranks[~member_N] - _ranks(scores_N[~member_N])) / m
    found[member_N] = (above - above.mean()) / np.sqrt(m * max(1, m - 1))
    found[~member_N] = (below - below.mean()) / np.sqrt(o * max(1, o - 1))
    return found


def defined(truth_NK: np.ndarray) -> np.ndarray:
    """Return the labels that some item has and some has not, as column numbers: only those have an area."""
    counts = truth_NK.sum(axis=0)
    return np.flatnonzero((counts > 0) & (counts < len(truth_NK)))


def areas(truth_NK: np.ndarray, scores_NK: np.ndarray, z: float = Z) -> list[Estimate | None]:
    """Return the area of each label with Newcombe's interval; None where it is not defined."""
    found: list[Estimate | None] = [None] * truth_NK.shape[1]
    for label in defined(truth_NK):
        member = truth_NK[:, label] > 0.5
        value, members = area(scores_NK[:, label], member), int(member.sum())
        low, high = interval(value, members, len(member) - members, z)
        found[label] = Estimate(value, low, high, len(member), "Newcombe")
    return found


def mean_area(truth_NK: np.ndarray, scores_NK: np.ndarray, z: float = Z) -> Estimate | None:
    """Return the area averaged over the labels that have one; None where none has.

    The interval is the wider of two on either side: DeLong's, which knows that the labels share their items, and
    Newcombe's of the labels put together as if they did not (square root of the sum of squares), which keeps its width
    where every area is 1.
    """
    labels = defined(truth_NK)
    if not len(labels):
        return None
    each = [found for found in areas(truth_NK, scores_NK, z) if found is not None]
    value = float(np.mean([found.value for found in each]))
    half = z * float(np.sqrt((_mean_influence(truth_NK, scores_NK, labels) ** 2).sum()))
    below = float(np.sqrt(np.sum([(found.value - found.low) ** 2 for found in each]))) / len(each)
    above = float(np.sqrt(np.sum([(found.high - found.value) ** 2 for found in each]))) / len(each)
    low, high = max(0.0, value - max(half, below)), min(1.0, value + max(half, above))
    return Estimate(value, low, high, len(truth_NK), "DeLong or Newcombe, mean over labels")


def mean_gain(truth_NK: np.ndarray, scores_NK: np.ndarray, others_NK: np.ndarray) -> Estimate | None:
    """Return the mean area minus that of other scores of the same items; None where no label has an area.

    The interval is DeLong's for two areas of the same items. It is never narrower than one member and one other item
    more of each label, ranked the other way round, would make it, labels taken as independent: so two orders that
    agree on a few items do not look exactly equal (for proportions, Agresti & Min 2005,
    https://doi.org/10.1002/sim.1781, add half an item to either side).
    """
    labels = defined(truth_NK)
    if not len(labels):
        return None
    both = [[area(s[:, k], truth_NK[:, k] > 0.5) for k in labels] for s in (scores_NK, others_NK)]
    value = float(np.mean(both[0]) - np.mean(both[1]))
    apart = _mean_influence(truth_NK, scores_NK, labels) - _mean_influence(truth_NK, others_NK, labels)
    members = truth_NK[:, labels].sum(axis=0)
    least = (1 / (members + 2) ** 2 + 1 / (len(truth_NK) - members + 2) ** 2).sum() / len(labels) ** 2
    half = Z * float(np.sqrt(max((apart**2).sum(), least)))
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), len(truth_NK), "DeLong, paired")


def _mean_influence(truth_NK: np.ndarray, scores_NK: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the items' influences on the mean area over some labels `[N]`."""
    total = np.zeros(len(truth_NK))
    for label in labels:
        total += influence(scores_NK[:, label], truth_NK[:, label] > 0.5)
    return total / len(labels)
