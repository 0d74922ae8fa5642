"""Areas under the ROC curve against scikit-learn, and their spread against the definition and in simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tl_core.statistics import roc


def case(seed, n=50, labels=3, ties=False):
    draw = np.random.default_rng(seed)
    truth = (draw.random((n, labels)) < [0.5, 0.3, 0.15][:labels]).astype(np.float32)
    truth[0], truth[1] = 0, 1
    scores = truth * 0.8 + draw.normal(0, 1, (n, labels))
    return truth, np.round(scores, 0 if ties else 9)


def delong(scores, member):
    """The paper's structural components, pair by pair."""
    kernel = np.array([[(a > b) + 0.5 * (a == b) for b in scores[~member]] for a in scores[member]])
    return kernel.mean(axis=1), kernel.mean(axis=0)


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_scikit_learns(ties):
    truth, scores = case(0, ties=ties)
    areas = roc.label_aucs(truth, scores)
    assert [one.value for one in areas] == pytest.approx(roc_auc_score(truth, scores, average=None))
    assert roc.mean_auc(truth, scores).value == pytest.approx(roc_auc_score(truth, scores))


@pytest.mark.parametrize("ties", [False, True])
def test_influences_give_delongs_variance_and_covariance(ties):
    truth, scores = case(1, ties=ties)
    other = case(2, ties=ties)[1]
    member = truth[:, 1] > 0.5
    a, b = (roc.auc_influence(s[:, 1], member) for s in (scores, other))
    (v10, v01), (w10, w01) = (delong(s[:, 1], member) for s in (scores, other))
    for one, two, first, second in ((a, a, (v10, v01), (v10, v01)), (a, b, (v10, v01), (w10, w01))):
        expected = sum(np.cov(x, y)[0, 1] / len(x) for x, y in zip(first, second, strict=True))
        assert (one * two).sum() == pytest.approx(expected)


def test_the_interval_of_a_gain_is_that_of_the_mean_of_the_labels_differences():
    truth, scores = case(3)
    other = case(4)[1]
    gain = roc.mean_auc_difference(truth, scores, other)
    assert gain.value == pytest.approx(roc_auc_score(truth, scores) - roc_auc_score(truth, other))
    same = roc.mean_auc_difference(truth, scores, scores * 2 + 1)
    assert same.value == 0, "the order is all that counts"
    assert same.low == -same.high < 0
    assert gain.low < gain.value < gain.high


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    draw = np.random.default_rng(0)
    large = (draw.random((100_000, 1)) < 0.4).astype(np.float32)
    shift = 1.2
    expected = roc.binary_auc((large * shift + draw.normal(0, 1, large.shape))[:, 0], large[:, 0] > 0.5)
    held = gained = 0
    for _ in range(200):
        truth = (draw.random((80, 3)) < 0.4).astype(np.float32)
        noise = draw.normal(0, 1, (80, 1))  # the labels share their items
        scores = truth * shift + np.sqrt(0.5) * noise + np.sqrt(0.5) * draw.normal(0, 1, (80, 3))
        area = roc.mean_auc(truth, scores)
        held += area.low <= expected <= area.high
        again = truth * shift + np.sqrt(0.5) * noise + np.sqrt(0.5) * draw.normal(0, 1, (80, 3))
        gain = roc.mean_auc_difference(truth, scores, again)
        gained += gain.low <= 0 <= gain.high
    assert 180 <= held <= 199
    assert 180 <= gained <= 199


def test_a_label_without_a_yes_or_without_a_no_has_no_area():
    truth, scores = case(5)
    truth[:, 0], truth[:, 2] = 0, 1
    areas = roc.label_aucs(truth, scores)
    assert areas[0] is None
    assert areas[2] is None
    assert roc.mean_auc(truth, scores).value == pytest.approx(areas[1].value)
    assert roc.mean_auc(truth[:, [0, 2]], scores[:, [0, 2]]) is None
    assert roc.mean_auc_difference(truth[:, :1], scores[:, :1], scores[:, :1]) is None


def test_a_perfect_order_of_a_few_items_is_not_certain():
    truth = np.array([[0], [0], [1], [1]], dtype=np.float32)
    area = roc.mean_auc(truth, truth * 2.0)
    assert (area.value, area.high) == (1.0, 1.0)
    assert area.low < 0.6
    gain = roc.mean_auc_difference(truth, truth * 2.0, truth * 3.0)
    assert (gain.value, gain.low) == (0, -gain.high)
    assert gain.high > 0.3, "nor is it certain that two such orders are equally good"


def test_the_interval_of_an_area_solves_its_equation():
    low, high = roc.auc_interval(0.8, 12, 30)
    for limit in (low, high):
        spread = 1 + 20 * ((1 - limit) / (2 - limit) + limit / (1 + limit))
        half = roc.Z * np.sqrt(limit * (1 - limit) * spread / (12 * 30))
        assert abs(0.8 - limit) == pytest.approx(half, abs=1e-3)
    assert roc.auc_interval(1.0, 2, 2)[0] < 0.6
