"""Metrics against scikit-learn, against brute force, and at the edges."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tl_core.evaluation import metrics as m
from tl_core.statistics.intervals import wilson


def random_case(seed: int, n: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(classes, size=n)
    probabilities = generator.dirichlet(np.ones(classes), size=n)
    probabilities[np.arange(n), truth] += generator.random(n)
    return truth, probabilities / probabilities.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_values_agree_with_scikit_learn(seed):
    truth, probabilities = random_case(seed)
    predicted = probabilities.argmax(1)
    confusion = m.confusion_matrix(truth, predicted, 4)
    assert confusion.tolist() == sk.confusion_matrix(truth, predicted, labels=range(4)).tolist()
    assert m.accuracy(truth, predicted).value == pytest.approx(sk.accuracy_score(truth, predicted))
    assert m.macro_f1(confusion).value == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert m.log_loss(truth, probabilities).value == pytest.approx(sk.log_loss(truth, probabilities, labels=range(4)))
    area = m.auc(truth, probabilities)
    assert area is not None
    assert area.value == pytest.approx(sk.roc_auc_score(truth, probabilities, multi_class="ovr"))
    expected = sk.precision_recall_fscore_support(truth, predicted, labels=range(4), zero_division=0)
    for score, precision, recall, f1, support in zip(m.per_class(confusion, "abcd"), *expected, strict=True):
        assert (score.precision.value, score.recall.value, score.f1.value) == pytest.approx((precision, recall, f1))
        assert score.recall.n == support


def test_auc_with_ties_is_the_share_of_pairs_in_the_right_order():
    scores, member = np.array([0.1, 0.4, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1, 1])
    pairs = [(a > b) + (a == b) / 2 for a in scores[member == 1] for b in scores[member == 0]]
    area = m.auc(member, np.stack([1 - scores, scores], axis=1))
    assert area is not None
    assert area.value == pytest.approx(np.mean(pairs))


def test_f1_limits_follow_from_the_interval_of_the_underlying_proportion():
    confusion = np.array([[8, 2], [1, 9]])
    score = m.per_class(confusion, ["a", "b"])[0]
    share = wilson(8, 11)
    assert score.f1.low == pytest.approx(2 * share.low / (1 + share.low))
    assert score.f1.value == pytest.approx(16 / 19)


def test_macro_f1_interval_has_about_its_nominal_coverage():
    generator = np.random.default_rng(0)
    cells = np.array([[0.45, 0.05], [0.1, 0.4]])
    truth = m.f1_scores(cells).mean()
    covered = 0
    for seed in range(120):
        interval = m.macro_f1(generator.multinomial(40, cells.ravel()).reshape(2, 2), seed)
        covered += interval.low <= truth <= interval.high
    assert covered >= 0.88 * 120


def test_a_perfect_score_on_four_items_has_a_wide_interval():
    truth = np.array([0, 1, 1, 0])
    confusion = m.confusion_matrix(truth, truth, 3)
    assert m.accuracy(truth, truth).low == pytest.approx(0.51, abs=0.01)
    overall = m.macro_f1(confusion)
    assert overall.value == 1.0
    assert overall.low < 0.6
    absent = m.per_class(confusion, "abc")[2]
    assert absent.recall.n == absent.precision.n == absent.f1.n == 0
    assert (absent.recall.low, absent.recall.high) == (0.0, 1.0)


def test_one_class_in_the_test_set():
    truth = np.zeros(5, int)
    confusion = m.confusion_matrix(truth, truth, 3)
    assert m.macro_f1(confusion).value == 1.0
    assert m.macro_f1(confusion).low < 0.8
    assert m.auc(truth, np.full((5, 3), 1 / 3)) is None


def test_an_empty_test_set_gives_intervals_from_0_to_1():
    none = np.empty(0, int)
    confusion = m.confusion_matrix(none, none, 2)
    for estimate in (m.accuracy(none, none), m.macro_f1(confusion)):
        assert (estimate.low, estimate.high, estimate.n) == (0.0, 1.0, 0)


def test_log_loss_of_a_confident_mistake_is_finite():
    loss = m.log_loss(np.array([0]), np.array([[0.0, 1.0]]))
    assert loss.value == pytest.approx(-np.log(1e-7))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.integers(0, 5))
def test_every_interval_holds_its_value_and_repeats_with_the_seed(pairs, seed):
    truth, predicted = np.array(pairs).T
    confusion = m.confusion_matrix(truth, predicted, 4)
    overall = m.macro_f1(confusion, seed)
    scores = [m.accuracy(truth, predicted), overall]
    scores += itertools.chain(*((s.precision, s.recall, s.f1) for s in m.per_class(confusion, "abcd")))
    assert all(0 <= s.low <= s.value <= s.high <= 1 for s in scores)
    assert overall == m.macro_f1(confusion, seed)
