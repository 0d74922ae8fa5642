"""The paired comparison: its interval against brute force, its verdicts by the written rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.evaluation.compare import compare, paired_difference, verdict
from tl_core.types import Estimate


def outcomes(both: int, first: int, other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    table = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * other + [(0, 0)] * neither
    return tuple(np.array(table, bool).T)  # type: ignore[return-value]


def test_interval_agrees_with_resampling_items_one_by_one():
    a, b = outcomes(120, 40, 20, 20)
    generator = np.random.default_rng(3)
    drawn = [(a[rows].mean() - b[rows].mean()) for rows in generator.integers(200, size=(4000, 200))]
    gain = paired_difference(a, b)
    assert gain.value == pytest.approx(0.1)
    assert (gain.low, gain.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.012)


def test_pairing_narrows_the_interval():
    agree, same = outcomes(140, 10, 0, 50)
    paired = paired_difference(agree, same)
    shuffled = paired_difference(agree, np.random.default_rng(0).permutation(same))
    assert paired.high - paired.low < 0.6 * (shuffled.high - shuffled.low)


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


def test_the_rule_at_its_edges():
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


def test_different_items_are_refused():
    with pytest.raises(ValueError, match="same items"):
        paired_difference(np.ones(3), np.ones(4))


def test_a_comparison_carries_its_budget_and_both_accuracies():
    truth = np.tile([0, 1], 50)
    found = compare("classical", "1 second", truth, truth, np.zeros(100, int))
    assert (found.transfer.value, found.other.value, found.gain.value) == (1.0, 0.5, 0.5)
    assert (found.verdict, found.budget, found.baseline) == ("helps", "1 second", "classical")
