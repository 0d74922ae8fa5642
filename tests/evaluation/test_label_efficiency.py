"""Reading values off the data-efficiency curve, and questions that it cannot answer."""

import pytest

from tl_core.errors import UsageError
from tl_core.evaluation.label_efficiency import accuracy_at, accuracy_gained, labels_needed, labels_saved
from tl_core.evaluation.results import Curve, CurveArm, CurvePoint
from tl_core.types import Estimate


def arm(name: str, points: dict[int, float]) -> CurveArm:
    return CurveArm(
        name,
        f"the {name} arm",
        "",
        tuple(CurvePoint(n, (v,), Estimate(v, v - 0.1, v + 0.1, 50, "test")) for n, v in points.items()),
    )


CURVE = Curve("f", "b", 50, (arm("transfer", {10: 0.5, 20: 0.7, 80: 0.9}), arm("scratch", {10: 0.3, 20: 0.5, 80: 0.6})))


def test_labels_needed_interpolates_over_the_logarithm_of_the_count():
    answer = labels_needed(CURVE.arms[0], 0.8)
    assert (answer.labels, answer.how) == (pytest.approx(40), "interpolated")
    assert labels_needed(CURVE.arms[0], 0.7).labels == pytest.approx(20)


def test_labels_needed_outside_the_curve():
    assert labels_needed(CURVE.arms[1], 0.8) == labels_needed(CURVE.arms[1], 0.99)
    assert labels_needed(CURVE.arms[1], 0.8).how == "not reached"
    assert labels_needed(CURVE.arms[1], 0.1).how == "at most"


def test_labels_saved():
    answer = labels_saved(CURVE, 0.5)
    assert answer.saved == pytest.approx(10)
    assert answer.factor == pytest.approx(2)
    assert answer.at_least  # transfer has 0.5 with the fewest labels measured
    beyond = labels_saved(CURVE, 0.8)
    assert beyond.at_least
    assert beyond.saved == pytest.approx(40)
    assert "does not reach it with 80" in beyond.sentence
    never = labels_saved(CURVE, 0.95)
    assert never.saved is None
    assert never.factor is None
    assert "does not reach 95.0%" in never.sentence


def test_labels_saved_may_be_negative():
    worse = Curve("f", "b", 50, (arm("transfer", {10: 0.4, 40: 0.6}), arm("classical", {10: 0.5, 40: 0.9})))
    answer = labels_saved(worse, 0.6, "classical")
    assert answer.saved is not None
    assert answer.saved < 0


def test_no_saving_if_both_arms_reach_it_at_the_smallest_count():
    answer = labels_saved(CURVE, 0.2)
    assert answer.saved == 0
    assert "so no saving shows here" in answer.sentence


def test_accuracy_gained():
    answer = accuracy_gained(CURVE, 40)
    assert answer.transfer is not None
    assert answer.gain is not None
    assert answer.transfer.value == pytest.approx(0.8)
    assert answer.gain.value == pytest.approx(0.25)
    assert answer.gain.high - answer.gain.value == pytest.approx(0.1 * 2**0.5)
    assert accuracy_gained(CURVE, 20).gain.value == pytest.approx(0.2)


def test_accuracy_is_not_extrapolated():
    assert accuracy_at(CURVE.arms[0], 9) is None
    answer = accuracy_gained(CURVE, 200)
    assert answer.gain is None
    assert "not measured at 200" in answer.sentence


def test_a_missing_arm_is_an_error():
    with pytest.raises(UsageError, match="no classical arm"):
        labels_saved(CURVE, 0.5, "classical")


def test_an_arm_is_added_or_replaced():
    more = CURVE.with_arm(arm("classical", {10: 0.2})).with_arm(arm("scratch", {10: 0.9}))
    assert [a.name for a in more.arms] == ["transfer", "scratch", "classical"]
    assert more.arm("scratch").points[0].accuracy.value == 0.9
