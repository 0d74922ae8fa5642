"""Robust z-scores: how far a value is from the rest, hardly influenced by outliers."""

import numpy as np

_NORMAL = 1.4826  # median absolute deviation to standard deviation, for a normal distribution


def robust_z(values: np.ndarray, among: np.ndarray, least: float) -> np.ndarray:
    """Return (value - median) / (1.4826 * median absolute deviation) `[N]`, with both taken over the rows `among`.

    The modified z-score of Iglewicz and Hoaglin (1993). `least` is the smallest divisor, for values that hardly differ.
    All zeros if `among` selects no finite value; nan where the value is nan.
    """
    finite = values[among & np.isfinite(values)]
    if not len(finite):
        return np.zeros(len(values))
    median = np.median(finite)
    deviation = _NORMAL * np.median(np.abs(finite - median))
    z: np.ndarray = (values - median) / max(float(deviation), least)
    return z
