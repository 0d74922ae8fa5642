"""The paired comparison: its interval against brute force, its verdicts against the documented rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statistics.test_bootstrap import outcomes
from tl_core.evaluation.compare import compare, verdict
from tl_core.statistics.bootstrap import paired_difference
from tl_core.types import Estimate


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((60, 30, 5, 5), "helps"),
        ((60, 5, 30, 5), "hurts"),
        ((900, 10, 10, 80), "no difference shown"),
        ((30, 5, 4, 1), "cannot tell"),
        ((4, 0, 0, 0), "cannot tell"),
        ((0, 6, 0, 0), "cannot tell"),
        ((20, 0, 0, 0), "cannot tell"),
        ((300, 0, 0, 0), "no difference shown"),
        ((0, 0, 0, 0), "cannot tell"),
    ],
)
def test_the_four_verdicts(table, expected):
    first, other = outcomes(*table) if sum(table) else (np.empty(0), np.empty(0))
    assert verdict(paired_difference(first, other)) == expected


def test_verdicts_at_the_limits_of_the_rule():
    assert verdict(Estimate(0.02, 0.001, 0.04, 100, "")) == "helps"
    assert verdict(Estimate(0.02, -0.01, 0.05, 100, "")) == "no difference shown"
    assert verdict(Estimate(0.02, -0.01, 0.051, 100, "")) == "cannot tell"
    assert verdict(Estimate(0.9, 0.5, 1.0, 9, "")) == "cannot tell"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_swapping_the_models_swaps_the_verdict(pairs):
    a, b = np.array(pairs).T
    gain, loss = paired_difference(a, b), paired_difference(b, a)
    assert gain.value == pytest.approx(-loss.value)
    assert -1 <= gain.low <= gain.value <= gain.high <= 1
    if gain.value != 0:
        assert (gain.low, gain.high) == (-loss.high, -loss.low)
    if {verdict(gain), verdict(loss)} & {"helps", "hurts"}:
        assert verdict(gain) != verdict(loss) or gain.n < 10


def test_a_comparison_carries_its_budget_and_both_accuracies():
    truth = np.tile([0, 1], 50)
    comparison = compare("classical", "1 second", truth, truth, np.zeros(100, int))
    assert (comparison.transfer.value, comparison.other.value, comparison.gain.value) == (1.0, 0.5, 0.5)
    assert (comparison.verdict, comparison.budget, comparison.baseline) == ("helps", "1 second", "classical")
