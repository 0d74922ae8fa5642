"""Intervals in closed form: proportions, differences, means of a few draws. Each is 95 % unless `z` says otherwise."""

from math import sqrt

import numpy as np

from tl_core.types import Estimate

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution: half the width of a 95 % interval, in standard errors."""


def wilson(successes: float, n: int, z: float = Z) -> Estimate:
    """Return a proportion with Wilson's score interval (https://doi.org/10.1080/01621459.1927.10502953).

    centre = (s + z²/2) / (n + z²), half = z / (n + z²) · sqrt(s (n - s) / n + z²/4). With n = 0 the
    interval is 0 to 1.

    >>> round(wilson(4, 4).low, 2)
    0.51
    """
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0, "Wilson")
    centre = (successes + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(successes * (n - successes) / n + z**2 / 4)
    value = successes / n
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Estimate(value, min(low, value), max(high, value), n, "Wilson")


def normal_half_width(share: float, n: int, z: float = Z) -> float:
    """Return half the width of the normal approximation's interval around a proportion: z sqrt(p (1 - p) / n).

    Use it to estimate how many items a measurement needs; report Wilson's interval.
    """
    return z * sqrt(share * (1 - share) / n)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Return a - b of two independent estimates, by Newcombe's hybrid interval.

    Newcombe 1998, method 10, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I: with
    d = a - b, the limits are d - sqrt((a - l_a)² + (u_b - b)²) and d + sqrt((u_a - a)² + (b - l_b)²).
    """
    value = a.value - b.value
    low = value - float(np.hypot(a.value - a.low, b.high - b.value))
    high = value + float(np.hypot(a.high - a.value, b.value - b.low))
    return Estimate(value, low, high, a.n, "Newcombe, hybrid")


def t_quantile(n: int) -> float:
    """Return the 97.5 % point of Student's t for the mean of `n` values, n - 1 degrees of freedom."""
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))


def corrected_t_interval(scores_J: np.ndarray, test_share: float) -> tuple[float, float]:
    """Return the mean of scores over J overlapping splits, and half the width of its corrected t interval.

    `test_share` is the share of the items in a split's test part. The variance is (1 / J + n_test / n_train) times that
    of the J scores: Nadeau & Bengio 2003, https://doi.org/10.1023/A:1024068626366, equation 9.
    """
    count = len(scores_J)
    error = float(np.sqrt((1 / count + test_share / (1 - test_share)) * scores_J.var(ddof=1)))
    return float(scores_J.mean()), t_quantile(count) * error
