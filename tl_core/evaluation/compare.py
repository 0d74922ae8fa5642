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

from tl_core.evaluation.metrics import accuracy
from tl_core.evaluation.results import Comparison
from tl_core.statistics.bootstrap import paired_difference
from tl_core.statistics.roc import mean_area, mean_gain
from tl_core.types import Estimate

MIN_ITEMS = 10
MARGIN = 0.05

Verdict = Literal["helps", "no difference shown", "hurts", "cannot tell"]


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
