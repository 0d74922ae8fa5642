"""Intervals in closed form against the equations that they solve, published examples and simulation."""

import doctest

import numpy as np
import pytest

from tl_core.statistics import intervals
from tl_core.statistics.intervals import Z, corrected_t_interval, difference, normal_half_width, t_quantile, wilson


def test_wilson_solves_the_score_equation():
    for successes, n in [(3, 10), (0, 7), (7, 7), (499, 500)]:
        interval = wilson(successes, n)
        for limit in {interval.low, interval.high} - {0.0, 1.0}:
            assert abs(successes / n - limit) == pytest.approx(Z * np.sqrt(limit * (1 - limit) / n), abs=1e-9)


def test_the_difference_is_newcombes_published_example():
    """Newcombe 1998, table II, example (a): 56 of 70 against 48 of 80, method 10."""
    gap = difference(wilson(56, 70), wilson(48, 80))
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_normal_approximation_agrees_with_wilson_for_many_items():
    estimate = wilson(8000, 10_000)
    assert normal_half_width(0.8, 10_000) == pytest.approx((estimate.high - estimate.low) / 2, rel=1e-3)
    assert 100 * normal_half_width(0.8, 100) == pytest.approx(7.84, abs=0.01)


def test_t_quantile_matches_the_published_table():
    assert [round(t_quantile(n), 3) for n in (2, 5, 11)] == [12.706, 2.776, 2.228]


def test_corrected_t_interval_uses_the_corrected_variance():
    scores = np.array([0.7, 0.8, 0.75, 0.85])
    mean, half = corrected_t_interval(scores, 0.2)
    assert mean == pytest.approx(0.775)
    assert half == pytest.approx(t_quantile(4) * np.sqrt((1 / 4 + 0.2 / 0.8) * scores.var(ddof=1)))


def test_the_docstrings_run():
    assert doctest.testmod(intervals).failed == 0
