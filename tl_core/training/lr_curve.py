"""The curve of a learning-rate range test, and the rate that it suggests. No torch, so that pages can import it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tl_core.errors import PlanError
from tl_core.plan import TransferPlan
from tl_core.plan.checks import MAX_RATE

BETA = 0.9
"""How much of the moving average is kept at each step."""
EXPLODED = 4.0
"""The loss has exploded when it exceeds its minimum by this factor (fastai's rule)."""
MIN_STEPS = 10
"""Only a loss that is not finite ends the test before this many steps: the first losses are those of single batches."""
FELL = 0.95
"""The loss must fall below this share of its first value."""
MIN_FALL = 0.02
"""A smaller fall of the loss is chance: nearly every item is right already (a rule of thumb)."""
RULE = "a tenth of the rate at which the smoothed loss was lowest"


@dataclass(frozen=True)
class RateCurve:
    """The loss at each step of a range test. `rates` are those of the fastest layer group of phase `phase` of the plan.

    `suggestion` is None where the smoothed loss hardly fell (by less than 5 %, or less than 0.02): then the curve shows
    no useful rate.
    """

    backbone: str
    fingerprint: str
    phase: int
    name: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    present: float
    seed: int
    rule: str = RULE


def phase_of(plan: TransferPlan) -> int:
    """Return the first phase of gradient descent. Raises PlanError where every phase is solved."""
    phases = [index for index, phase in enumerate(plan.phases) if phase.optimizer != "lbfgs"]
    if not phases:
        raise PlanError(
            "Every phase of this plan is solved exactly, so there is no learning rate to find.",
            "Choose a strategy that fine-tunes some layers.",
        )
    return phases[0]


def geometric(low: float, high: float, steps: int) -> list[float]:
    """Return `steps` rates from `low` to `high` with the same factor between neighbours.

    >>> [round(rate, 3) for rate in geometric(0.001, 1.0, 4)]
    [0.001, 0.01, 0.1, 1.0]
    """
    return [low * (high / low) ** (step / max(steps - 1, 1)) for step in range(steps)]


def smooth(losses: Sequence[float], beta: float = BETA) -> list[float]:
    """Return the exponential moving average with bias correction: a_t = b a_(t-1) + (1 - b) x_t, over 1 - b^t.

    The smoothing of fastai (Howard & Gugger 2020, arXiv:2002.04688); b is 0.98 there, but a test has fewer steps here.

    >>> smooth([2.0, 2.0, 2.0])
    [2.0, 2.0, 2.0]
    """
    smoothed, average = [], 0.0
    for time, loss in enumerate(losses, 1):
        average = beta * average + (1.0 - beta) * loss
        smoothed.append(average / (1.0 - beta**time))
    return smoothed


def exploded(smoothed: Sequence[float]) -> bool:
    """Return whether the loss has exploded: above EXPLODED times its minimum, or not finite."""
    last = smoothed[-1]
    return not math.isfinite(last) or (len(smoothed) > MIN_STEPS and last > EXPLODED * min(smoothed))


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Return a tenth of the rate at which the smoothed loss was lowest, to two digits (fastai's "minimum" rule).

    Smith 2017, arXiv:1506.01186, section 3.3, reads the bounds of a cycle off the same curve by eye. None where the
    smoothed loss never fell below FELL of its first value, or fell by less than MIN_FALL.
    """
    points = [(loss, rate) for loss, rate in zip(smoothed, rates, strict=True) if math.isfinite(loss)]
    if not points or min(points)[0] > min(FELL * points[0][0], points[0][0] - MIN_FALL):
        return None
    return float(f"{min(points)[1] / 10:.2g}")


def with_rate_of(plan: TransferPlan, index: int, rate: float) -> TransferPlan:
    """Return the plan with `rate` for the fastest group of a phase and the others in proportion, to six digits."""
    phase = plan.phases[index]
    factor = rate / max(phase.lr.values())
    lr = {group: float(f"{min(own * factor, MAX_RATE):.6g}") for group, own in phase.lr.items()}
    phases = [replace(other, lr=lr) if i == index else other for i, other in enumerate(plan.phases)]
    return replace(plan, phases=tuple(phases))
