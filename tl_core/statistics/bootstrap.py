"""Percentile bootstrap intervals (95 %), drawn with a fixed seed.

Where the draws would all be equal although nothing is certain (two models that agree on all of a few items, a class
that was always found), a few items are added to the counts first. N items, C classes, B draws.
"""

from collections.abc import Callable

import numpy as np

from tl_core.types import Estimate

DRAWS = 2000
"""Draws of a bootstrap."""
PAIRED_DRAWS = 5 * DRAWS
"""Draws of a paired bootstrap, which are cheap: a draw is one multinomial sample."""
MEAN_DRAWS = 1000
"""Draws of the bootstrap of a mean, each of all N items."""


def percentile_estimate(value: float, scores_B: np.ndarray, n: int, method: str) -> Estimate:
    """Return a value with an interval from the 2.5 % to the 97.5 % point of its scores, widened to hold the value."""
    low, high = (float(limit) for limit in np.quantile(scores_B, [0.025, 0.975]))
    return Estimate(value, min(low, value), max(high, value), n, method)


def mean_estimate(values_N: np.ndarray, seed: int = 0) -> Estimate:
    """Return the mean with a bootstrap interval over items."""
    n = len(values_N)
    if n == 0:
        return Estimate(0.0, 0.0, 0.0, 0, "bootstrap")
    generator = np.random.default_rng(seed)
    means = np.array([values_N[generator.integers(n, size=n)].mean() for _ in range(MEAN_DRAWS)])
    return percentile_estimate(float(values_N.mean()), means, n, f"bootstrap, {MEAN_DRAWS} draws")


def confusion_estimate(confusion: np.ndarray, score: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> Estimate:
    """Return a score of confusion counts `[C, C]` with a bootstrap interval; `score` maps `[..., C, C]` to `[...]`.

    Draws are from the matrix with two right and two wrong items added, spread as the items are: the "plus four" of
    Agresti & Coull 1998 (https://doi.org/10.1080/00031305.1998.10480550). With no item nothing is known: 0 to 1.
    """
    n = int(confusion.sum())
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0, "bootstrap")
    used = np.flatnonzero(confusion.sum(0) + confusion.sum(1))
    if len(used) == 1:  # one class, always found: errors would go to some other class
        used = np.append(used, (used[0] + 1) % len(confusion))
    counts = confusion[np.ix_(used, used)].astype(float)
    true, predicted = counts.sum(1), counts.sum(0)
    off_diagonal = 1 - np.eye(len(used))
    wrong = np.outer(true + 1e-9, predicted + 1e-9) * off_diagonal
    counts += 2 * np.diag(true / true.sum()) + 2 * wrong / wrong.sum()
    generator = np.random.default_rng(seed)
    cells = np.flatnonzero(counts)
    share = counts.ravel()[cells] / counts.sum()
    scores = []
    chunk = max(1, 4_000_000 // counts.size)
    for start in range(0, DRAWS, chunk):
        size = min(chunk, DRAWS - start)
        drawn = np.zeros((size, counts.size))
        drawn[:, cells] = generator.multinomial(round(counts.sum()), share, size=size)
        scores.append(score(drawn.reshape(size, len(used), len(used))))
    return percentile_estimate(float(score(confusion)), np.concatenate(scores), n, f"bootstrap, {DRAWS} draws")


def paired_difference(correct_N: np.ndarray, other_N: np.ndarray, seed: int = 0) -> Estimate:
    """Return accuracy minus the other's accuracy on the same items, with a paired bootstrap interval.

    Items are drawn in pairs: a draw counts the items that only the first got right, that only the other got right,
    and the rest. Half an item is added to each cell of the 2 x 2 table first, so that two models which agree on
    every one of a few items do not look exactly equal (Agresti & Min 2005, https://doi.org/10.1002/sim.1781).
    Raises ValueError where the two are not of the same items.
    """
    first, other = np.asarray(correct_N, bool), np.asarray(other_N, bool)
    if first.shape != other.shape:
        raise ValueError(f"a paired comparison needs the same items: {first.shape} against {other.shape}")
    n = len(first)
    if n == 0:
        return Estimate(0.0, -1.0, 1.0, 0, "paired bootstrap")
    only_first, only_other = int((first & ~other).sum()), int((other & ~first).sum())
    if only_other > only_first:  # one order, so that swapping the models mirrors the interval to the bit
        mirrored = paired_difference(other, first, seed)
        return Estimate(-mirrored.value, -mirrored.high, -mirrored.low, n, mirrored.method)
    cells = np.array([only_first + 0.5, only_other + 0.5, n - only_first - only_other + 1.0])
    drawn = np.random.default_rng(seed).multinomial(n + 2, cells / cells.sum(), size=PAIRED_DRAWS)
    differences = (drawn[:, 0] - drawn[:, 1]) / (n + 2)
    return percentile_estimate((only_first - only_other) / n, differences, n, f"paired bootstrap, {PAIRED_DRAWS} draws")
