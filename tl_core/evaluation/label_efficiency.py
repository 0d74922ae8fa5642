"""Label efficiency, read off a data-efficiency curve: labels saved at equal accuracy, accuracy gained at equal labels.

Between two measured label counts, accuracy is interpolated linearly over the logarithm of the count. Nothing is
extrapolated. Imports nothing heavy, so pages may import it.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, hypot, log
from typing import Literal

from tl_core.errors import UsageError
from tl_core.evaluation.results import Curve, CurveArm
from tl_core.types import Estimate


@dataclass(frozen=True)
class LabelsNeeded:
    """The number of labels an arm needs for an accuracy.

    `how` says what the number is: "interpolated" between measured counts; "at most", if the smallest measured count
    suffices; or "not reached", then `labels` is the largest count that was tried.
    """

    labels: float
    how: Literal["interpolated", "at most", "not reached"]


@dataclass(frozen=True)
class LabelsSaved:
    """The labels that transfer and another arm need for the same accuracy.

    `saved` (a difference) and `factor` (other / transfer) are None if transfer does not reach the accuracy. They are
    lower bounds if `at_least`: the other arm never reached it, or transfer did with the fewest labels measured.
    """

    accuracy: float
    transfer: LabelsNeeded
    other: LabelsNeeded
    saved: float | None
    factor: float | None
    at_least: bool
    sentence: str


@dataclass(frozen=True)
class AccuracyGained:
    """Both arms' accuracies at a label count, and their difference; None if an arm was not measured there."""

    labels: float
    transfer: Estimate | None
    other: Estimate | None
    gain: Estimate | None
    sentence: str


def labels_needed(arm: CurveArm, accuracy: float) -> LabelsNeeded:
    """Return the smallest label count at which the arm's mean accuracy reaches `accuracy`."""
    points = arm.points
    if not points:
        return LabelsNeeded(0.0, "not reached")
    if points[0].accuracy.value >= accuracy:
        return LabelsNeeded(float(points[0].labels), "at most")
    for before, after in pairwise(points):
        if after.accuracy.value >= accuracy:
            low, high = before.accuracy.value, after.accuracy.value
            share = (accuracy - low) / (high - low)
            labels = exp(log(before.labels) + share * (log(after.labels) - log(before.labels)))
            return LabelsNeeded(labels, "interpolated")
    return LabelsNeeded(float(points[-1].labels), "not reached")


def accuracy_at(arm: CurveArm, labels: float) -> Estimate | None:
    """Return the arm's accuracy at a label count, or None outside the measured counts."""
    for point in arm.points:
        if point.labels == labels:
            return point.accuracy
    for before, after in pairwise(arm.points):
        if before.labels < labels < after.labels:
            share = log(labels / before.labels) / log(after.labels / before.labels)
            a, b = before.accuracy, after.accuracy
            value, low, high = (x + share * (y - x) for x, y in ((a.value, b.value), (a.low, b.low), (a.high, b.high)))
            return Estimate(value, low, high, min(a.n, b.n), "between two measured label counts")
    return None


def labels_saved(curve: Curve, accuracy: float, other: str = "scratch") -> LabelsSaved:
    """Return how many labels transfer saves at an accuracy. Raises UsageError if an arm was not measured."""
    arms = _arms(curve, other)
    transfer, rival = (labels_needed(arm, accuracy) for arm in arms)
    name, goal = arms[1].title, f"{accuracy:.1%}"
    if transfer.how == "not reached":
        reached = "not reached" if rival.how == "not reached" else f"reached with about {rival.labels:.0f}"
        text = f"Transfer does not reach {goal} with all {transfer.labels:.0f} labels ({name}: {reached})."
        return LabelsSaved(accuracy, transfer, rival, None, None, False, text)
    saved, factor = rival.labels - transfer.labels, rival.labels / transfer.labels
    with_transfer = f"{'at most' if transfer.how == 'at most' else 'about'} {transfer.labels:.0f} labels"
    at_least = rival.how == "not reached" or (transfer.how == "at most" and rival.how == "interpolated")
    if rival.how == "not reached":
        text = f"{goal} takes {with_transfer} with transfer; {name} does not reach it with {rival.labels:.0f}."
    elif transfer.how == rival.how == "at most":
        text = f"Both reach {goal} with the fewest labels measured ({transfer.labels:.0f}), so no saving shows here."
    else:
        about = "at most" if rival.how == "at most" else "about"
        text = f"{goal} takes {with_transfer} with transfer, {about} {rival.labels:.0f} with {name}."
    return LabelsSaved(accuracy, transfer, rival, saved, factor, at_least, text)


def accuracy_gained(curve: Curve, labels: float, other: str = "scratch") -> AccuracyGained:
    """Return what transfer gains at a label count. Raises UsageError if an arm was not measured.

    The interval of the gain treats the arms as independent (square root of the sum of squares), so it is wider than
    that of a paired comparison.
    """
    arms = _arms(curve, other)
    a, b = (accuracy_at(arm, labels) for arm in arms)
    if a is None or b is None:
        missing = " and ".join(arm.title for arm, accuracy in zip(arms, (a, b), strict=True) if accuracy is None)
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
