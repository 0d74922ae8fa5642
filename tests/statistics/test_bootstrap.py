"""Bootstraps against resampling by brute force, and where plain ones would have no width."""

import numpy as np
import pytest

from tl_core.statistics.bootstrap import mean_estimate, paired_difference, percentile_estimate


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


def test_different_items_are_refused():
    with pytest.raises(ValueError, match="same items"):
        paired_difference(np.ones(3), np.ones(4))


def test_the_interval_of_a_mean_is_about_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    estimate = mean_estimate(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert mean_estimate(np.empty(0)).n == 0


def test_the_value_is_never_outside_its_interval():
    estimate = percentile_estimate(5.0, np.linspace(0, 1, 100), 10, "bootstrap")
    assert (estimate.low, estimate.high) == (pytest.approx(0.025), 5.0)
