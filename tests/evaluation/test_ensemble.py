from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import TINY_IMAGE
from tl_core.evaluation.ensemble import ensemble_finding
from tl_core.evaluation.report import make_report
from tl_core.plan import Phase, TransferPlan

PLAN = TransferPlan(TINY_IMAGE.name, "x", (Phase("head", 1, {"head": 1.0}),))


def report(dataset, probabilities):
    return make_report("run", dataset, PLAN, np.asarray(probabilities), {"accuracy": 0.5, "loss": 1.0})


def test_the_ensemble_finding_agrees_with_a_count_by_hand(tiny_images):
    truth = tiny_images.labels[tiny_images.rows("test")]
    n = len(truth)
    wrong = (truth + 1) % 3
    # the first model is wrong everywhere by a little, the other right where it is sure: on the first two items
    first, other = np.full((n, 3), 0.3), np.full((n, 3), 1 / 3)
    first[np.arange(n), wrong] = 0.4
    other[:2] = 0.05
    other[np.arange(2), truth[:2]] = 0.9
    both = ((first + other) / 2).argmax(axis=1)
    assert (both == truth).sum() == 2
    finding = ensemble_finding(report(tiny_images, first), report(tiny_images, other))
    assert f"right {2 / n:.1%} of the time" in finding.message
    assert f"{200 / n:+.1f} points against this model alone" in finding.message
    assert "offers the two as one model" in finding.hint


def test_the_finding_says_whether_the_second_model_is_worth_having(tiny_images):
    truth = tiny_images.labels[tiny_images.rows("test")]
    right, wrong = np.eye(3)[truth], np.eye(3)[(truth + 1) % 3]
    doubtful = [0.8 / 3 + 0.2 * answers for answers in (right, wrong)]
    for first, other, verdict in (
        (doubtful[1], right, "the two together are better"),
        (doubtful[0], wrong, "this model alone is better"),
        (right, doubtful[0], "the simpler choice"),
    ):
        assert verdict in ensemble_finding(report(tiny_images, first), report(tiny_images, other)).message


def test_predictions_of_different_items_are_not_averaged(tiny_images):
    n = len(tiny_images.rows("test"))
    single = report(tiny_images, np.full((n, 3), 1 / 3))
    with pytest.raises(ValueError, match="same items"):
        ensemble_finding(single, replace(single, predictions=single.predictions[1:]))
