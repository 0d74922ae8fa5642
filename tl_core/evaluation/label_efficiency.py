"""Reading a data-efficiency curve: across (labels saved at equal accuracy) and down (accuracy gained at equal labels).

Between two measured label counts the mean accuracy is taken as straight over the logarithm of the count; beyond the
measured counts nothing is claimed. Pure, and light enough for a page to import.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, hypot, log

from tl_core.errors import UsageError
from tl_core.evaluation.results import Curve, CurveArm
from tl_core.types import Estimate


@dataclass(frozen=True)
class Needed:
    """The labels an arm needs for an accuracy.

    "interpolated" between measured counts; "at most" `labels`, because the smallest measured count suffices; or
    "not reached" with `labels`, the largest that was tried.
    """

    labels: float
    how: str


@dataclass(frozen=True)
class LabelsSaved:
    """What transfer needs for an accuracy and what the other arm needs.

    `saved` and `factor` (other / transfer) are None where transfer itself does not reach the accuracy; `at_least` says
    that they are lower bounds: the other arm never reached it, or transfer did with the fewest labels measured.
    `sentence` says it all in words.
    """

    accuracy: float
    transfer: Needed
    other: Needed
    saved: float | None
    factor: float | None
    at_least: bool
    sentence: str


@dataclass(frozen=True)
class AccuracyGained:
    """Both arms' accuracies at a label count and their difference; None where an arm was not measured there."""

    labels: float
    transfer: Estimate | None
    other: Estimate | None
    gain: Estimate | None
    sentence: str


def labels_needed(arm: CurveArm, accuracy: float) -> Needed:
    """Return the smallest label count at which the arm's mean accuracy reaches `accuracy`."""
    points = arm.points
    if not points:
        return Needed(0.0, "not reached")
    if points[0].accuracy.value >= accuracy:
        return Needed(float(points[0].labels), "at most")
    for before, after in pairwise(points):
        if after.accuracy.value >= accuracy:
            low, high = before.accuracy.value, after.accuracy.value
            part = (accuracy - low) / (high - low)
            labels = exp(log(before.labels) + part * (log(after.labels) - log(before.labels)))
            return Needed(labels, "interpolated")
    return Needed(float(points[-1].labels), "not reached")


def accuracy_at(arm: CurveArm, labels: float) -> Estimate | None:
    """Return the arm's accuracy at a label count, None outside the measured counts."""
    for point in arm.points:
        if point.labels == labels:
            return point.accuracy
    for before, after in pairwise(arm.points):
        if before.labels < labels < after.labels:
            part = log(labels / before.labels) / log(after.labels / before.labels)
            a, b = before.accuracy, after.accuracy
            value, low, high = (x + part * (y - x) for x, y in ((a.value, b.value), (a.low, b.low), (a.high, b.high)))
            return Estimate(value, low, high, min(a.n, b.n), "between two measured label counts")
    return None


def labels_saved(curve: Curve, accuracy: float, other: str = "scratch") -> LabelsSaved:
    """Read the curve across: how many labels transfer saves at `accuracy`.

    Raises UsageError for an arm that was not measured.
    """
    arms = _arms(curve, other)
    transfer, rival = (labels_needed(arm, accuracy) for arm in arms)
    name, goal = arms[1].title, f"{accuracy:.1%}"
    if transfer.how == "not reached":
        reached = "not reached" if rival.how == "not reached" else f"reached with about {rival.labels:.0f}"
        text = f"Transfer does not reach {goal} with the {transfer.labels:.0f} labels there are ({name}: {reached})."
        return LabelsSaved(accuracy, transfer, rival, None, None, False, text)
    saved, factor = rival.labels - transfer.labels, rival.labels / transfer.labels
    with_transfer = f"{'at most' if transfer.how == 'at most' else 'about'} {transfer.labels:.0f} labels"
    at_least = rival.how == "not reached" or (transfer.how == "at most" and rival.how == "interpolated")
    if rival.how == "not reached":
        text = f"{goal} takes {with_transfer} with transfer; {name} does not reach it with {rival.labels:.0f}."
    elif transfer.how == rival.how == "at most":
        text = f"Both reach {goal} with the fewest labels measured ({transfer.labels:.0f}): nothing to tell apart here."
    else:
        about = "at most" if rival.how == "at most" else "about"
        text = f"{goal} takes {with_transfer} with transfer, {about} {rival.labels:.0f} with {name}."
    return LabelsSaved(accuracy, transfer, rival, saved, factor, at_least, text)


def accuracy_gained(curve: Curve, labels: float, other: str = "scratch") -> AccuracyGained:
    """Read the curve down: what transfer gains with `labels` labels. Raises UsageError for an arm not measured.

    The interval of the gain joins both arms' (square root of the sum of squares), as if they were independent: wider
    than a paired comparison's.
    """
    arms = _arms(curve, other)
    a, b = (accuracy_at(arm, labels) for arm in arms)
    if a is None or b is None:
        missing = " and ".join(arm.title for arm, found in zip(arms, (a, b), strict=True) if found is None)
        text = f"{missing} was not measured at {labels:.0f} labels."
        return AccuracyGained(labels, a, b, None, text)
    value = a.value - b.value
    low = value - hypot(a.value - a.low, b.high - b.value)
    high = value + hypot(a.high - a.value, b.value - b.low)
    gain = Estimate(value, low, high, min(a.n, b.n), "difference of two arms")
    text = (
        f"With {labels:.0f} labels transfer reaches {a.value:.1%} and {arms[1].title} {b.value:.1%}: "
        f"{value * 100:+.1f} points ({low * 100:+.1f} to {high * 100:+.1f})."
    )
    return AccuracyGained(labels, a, b, gain, text)


def _arms(curve: Curve, other: str) -> tuple[CurveArm, CurveArm]:
    transfer, rival = curve.arm("transfer"), curve.arm(other)
    if transfer is None or rival is None:
        raise UsageError(
            f"The curve has no {other if transfer else 'transfer'} arm yet.", "Run it from the results page first."
        )
    return transfer, rival
