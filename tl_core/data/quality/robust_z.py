"""How far a number is from the rest, in a way that the odd ones themselves do not change."""

import numpy as np

_NORMAL = 1.4826  # median absolute deviation to standard deviation, for a normal distribution


def robust_z(values: np.ndarray, among: np.ndarray, least: float) -> np.ndarray:
    """Return (value - median) / (1.4826 * median absolute deviation) `[N]`, both of the values where `among` holds.

    The modified z-score of Iglewicz and Hoaglin (1993). `least` bounds the divisor from below, for values that hardly
    differ. 0 everywhere where `among` holds nowhere; nan where a value is.
    """
    known = values[among & np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values))
    middle = np.median(known)
    deviation = _NORMAL * np.median(np.abs(known - middle))
    z: np.ndarray = (values - middle) / max(float(deviation), least)
    return z
