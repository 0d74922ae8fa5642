"""Transfer against a baseline on the same test items: a paired difference, and one of four verdicts.

The rule, in the order it is asked:

1. fewer than MIN_ITEMS test items: "cannot tell";
2. the whole interval of the difference above 0: "helps"; the whole interval below 0: "hurts";
3. the whole interval within ±MARGIN: "no difference shown" (a difference worth caring about would have been seen);
4. else "cannot tell": the interval holds 0 and also differences that matter.

The interval covers which items the test set happens to hold, not what another training seed would have given.
"""

from typing import Literal

import numpy as np

from tl_core.evaluation.metrics import DRAWS, accuracy
from tl_core.evaluation.results import Comparison
from tl_core.roc import mean_area, mean_gain
from tl_core.types import Estimate

MIN_ITEMS = 10
MARGIN = 0.05

Verdict = Literal["helps", "no difference shown", "hurts", "cannot tell"]


def paired_difference(correct_N: np.ndarray, other_N: np.ndarray, seed: int = 0) -> Estimate:
    """Return accuracy minus the other's accuracy on the same items, with a paired bootstrap interval.

    Items are drawn in pairs: a draw counts the items that only the first got right, that only the other got right,
    and the rest. Half an item is added to each cell of the 2 x 2 table first, so that two models which agree on
    every one of a few items do not look exactly equal (Agresti & Min 2005, https://doi.org/10.1002/sim.1781).
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
    drawn = np.random.default_rng(seed).multinomial(n + 2, cells / cells.sum(), size=5 * DRAWS)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / (n + 2), [0.025, 0.975])
    value = (only_first - only_other) / n
    return Estimate(value, min(float(low), value), max(float(high), value), n, f"paired bootstrap, {5 * DRAWS} draws")


def verdict(gain: Estimate) -> Verdict:
    """Return the verdict on a paired difference, by the rule at the top of this file."""
    if gain.n < MIN_ITEMS:
        return "cannot tell"
    if gain.low > 0:
        return "helps"
    if gain.high < 0:
        return "hurts"
    return "no difference shown" if max(-gain.low, gain.high) <= MARGIN else "cannot tell"


def compare(
    baseline: Literal["scratch", "classical"],
    budget: str,
    truth_N: np.ndarray,
    predicted_N: np.ndarray,
    other_N: np.ndarray,
) -> Comparison:
    """Compare two models' predicted classes on the same test items; `budget` says what the baseline was given.

    Where items may have several labels, `truth_N` are targets `[N, K]`, and what is compared are probabilities
    `[N, K]`, by the mean AUC. Raises ValueError where no label has one.
    """
    if truth_N.ndim == 2:
        return _compare_areas(baseline, budget, truth_N, predicted_N, other_N)
    gain = paired_difference(predicted_N == truth_N, other_N == truth_N)
    return Comparison(
        baseline=baseline,
        title=TITLES[baseline],
        budget=budget,
        transfer=accuracy(truth_N, predicted_N),
        other=accuracy(truth_N, other_N),
        gain=gain,
        verdict=verdict(gain),
    )


def _compare_areas(
    baseline: Literal["scratch", "classical"],
    budget: str,
    truth_NK: np.ndarray,
    probabilities_NK: np.ndarray,
    others_NK: np.ndarray,
) -> Comparison:
    transfer, other = (mean_area(truth_NK, probabilities) for probabilities in (probabilities_NK, others_NK))
    gain = mean_gain(truth_NK, probabilities_NK, others_NK)
    if transfer is None or other is None or gain is None:
        raise ValueError("no label is there on some items and absent from others")
    return Comparison(baseline, TITLES[baseline], budget, transfer, other, gain, verdict(gain), "mean AUC")


TITLES = {"scratch": "The same network from scratch", "classical": "A classical model"}
