"""Compare transfer with a baseline on the same test items: a paired difference, and one of four verdicts.

The rules, first match wins:

1. fewer than MIN_ITEMS test items: "cannot tell";
2. the whole interval of the difference above 0: "helps"; the whole interval below 0: "hurts";
3. the whole interval within ±MARGIN: "no difference shown" (a difference that matters would have been seen);
4. otherwise "cannot tell": the interval contains 0, and also differences that matter.

The interval covers the choice of test items, not the choice of training seed.
"""

from typing import Literal

import numpy as np

from tl_core.evaluation.metrics import accuracy
from tl_core.evaluation.results import Comparison
from tl_core.statistics.bootstrap import paired_difference
from tl_core.statistics.roc import mean_auc, mean_auc_difference
from tl_core.types import Estimate

MIN_ITEMS = 10
MARGIN = 0.05

Verdict = Literal["helps", "no difference shown", "hurts", "cannot tell"]


def verdict(gain: Estimate) -> Verdict:
    """Return the verdict on a paired difference, by the rules at the top of this file."""
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
    """Compare two models' predicted classes on the same test items; `budget` describes the baseline's resources.

    For multilabel items, `truth_N` holds targets `[N, K]` and the predictions are probabilities `[N, K]`, compared by
    mean AUC. Raises ValueError if no label has an AUC.
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
    transfer, other = (mean_auc(truth_NK, probabilities) for probabilities in (probabilities_NK, others_NK))
    gain = mean_auc_difference(truth_NK, probabilities_NK, others_NK)
    if transfer is None or other is None or gain is None:
        raise ValueError("no label is present on some items and absent from others")
    return Comparison(baseline, TITLES[baseline], budget, transfer, other, gain, verdict(gain), "mean AUC")


TITLES = {"scratch": "The same network from scratch", "classical": "A classical model"}
