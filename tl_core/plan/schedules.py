"""Learning-rate schedules: pure functions that map the position in a phase to a multiplier of the base rate."""

import math
from collections.abc import Callable

from tl_core.plan.transfer_plan import Schedule

SLANTED_CUT = 0.1
SLANTED_RATIO = 32.0
CYCLE_PEAK = 0.3
CYCLE_START = 25.0
CYCLE_END = 25.0 * 1e4


def rate_at(schedule: Schedule, warmup: float, position: float) -> float:
    """Return the multiplier of the base rate at `position`, a share of the phase's steps in [0, 1].

    Step t of T is at (t + 0.5) / T, so neither the first nor the last step has a rate of zero.
    "constant", "linear" and "cosine" rise linearly over the first `warmup` of the phase and fall over the rest.
    "slanted" (Howard & Ruder 2018, arXiv:1801.06146, equation 3: cut_frac 0.1, ratio 32) and "one_cycle" (Smith
    2018, arXiv:1708.07120, with the defaults of torch's OneCycleLR: peak at 0.3, from 1/25 to 1/250,000) rise by
    themselves; a `warmup` above 0 moves the end of that rise.

    >>> rate_at("cosine", 0.0, 0.5)
    0.5
    >>> rate_at("linear", 0.5, 0.25), rate_at("linear", 0.5, 0.75)
    (0.5, 0.5)
    """
    position = min(max(position, 0.0), 1.0)
    if schedule == "slanted":
        return _slanted(position, warmup or SLANTED_CUT)
    if schedule == "one_cycle":
        return _one_cycle(position, warmup or CYCLE_PEAK)
    if position < warmup:
        return position / warmup
    return SHAPES[schedule]((position - warmup) / (1.0 - warmup))


SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda p: 1.0,
    "linear": lambda p: 1.0 - p,
    "cosine": lambda p: (1.0 + math.cos(math.pi * p)) / 2.0,
}


def _slanted(position: float, cut: float) -> float:
    p = position / cut if position < cut else 1.0 - (position - cut) / (1.0 - cut)
    return (1.0 + p * (SLANTED_RATIO - 1.0)) / SLANTED_RATIO


def _one_cycle(position: float, peak: float) -> float:
    if position < peak:
        return _between(1.0 / CYCLE_START, 1.0, position / peak)
    return _between(1.0, 1.0 / CYCLE_END, (position - peak) / (1.0 - peak))


def _between(start: float, end: float, p: float) -> float:
    """Return the point at share `p` of half a cosine from `start` to `end`."""
    return end + (start - end) * (1.0 + math.cos(math.pi * p)) / 2.0
