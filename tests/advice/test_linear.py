import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tl_core.advice.linear import L2_GRID, cross_validate, loss, solve, spread, standardise


def blobs(n=120, width=6, classes=3, distance=1.0, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = draw.normal(size=(classes, width)) * distance
    return (centres[labels] + draw.normal(size=(n, width))).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("l2", [0.001, 0.1, 1.0])
def test_the_solution_is_scikit_learns(classes, l2):
    features, labels = blobs(classes=classes)
    (x,) = standardise(features)
    weights = solve(x, np.eye(classes, dtype=np.float32)[labels], l2, np.zeros((7, classes)), 1e-6)
    oracle = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-8, max_iter=5000).fit(x, labels)
    scores = x @ weights[:-1] + weights[-1]
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(p / p.sum(axis=1, keepdims=True), oracle.predict_proba(x), atol=5e-3)


def test_the_gradient_is_that_of_the_loss():
    features, labels = blobs(n=30)
    onehot = np.eye(3, dtype=np.float32)[labels]
    weights = np.random.default_rng(1).normal(size=(7, 3))
    _, gradient = loss(weights, features, onehot, 0.3)
    for place in [(0, 0), (3, 2), (6, 1)]:
        step = np.zeros_like(weights)
        step[place] = 1e-2
        difference = loss(weights + step, features, onehot, 0.3)[0] - loss(weights - step, features, onehot, 0.3)[0]
        assert gradient[place] == pytest.approx(difference / 2e-2, abs=2e-3)


def test_spread_keeps_features_that_hardly_vary_small():
    assert spread(np.array([1.0, 0.0])).tolist() == pytest.approx([np.sqrt(1.5), np.sqrt(0.5)])
    train, test = standardise(np.zeros((4, 3), np.float32), np.ones((2, 3), np.float32) * 1e-7)
    assert np.isfinite(test).all()
    assert not train.any()


def test_out_of_fold_results_are_those_of_a_plain_loop():
    features, labels = blobs(n=60, width=80)  # more features than items: the rotated problem is the same one
    fold = np.arange(60) % 4
    results = cross_validate(features, labels, fold, grid=(0.1,))
    for number in range(4):
        train, test = standardise(features[fold != number], features[fold == number])
        oracle = LogisticRegression(C=1 / (0.1 * len(train)), tol=1e-8, max_iter=5000).fit(
            train, labels[fold != number]
        )
        wanted = oracle.predict(test) == labels[fold == number]
        assert (results.correct[0, fold == number] == wanted).mean() >= 0.9
        cross_entropy = -np.log(oracle.predict_proba(test)[np.arange(15), labels[fold == number]])
        np.testing.assert_allclose(results.cross_entropy[0, fold == number], cross_entropy, atol=0.05)


def test_items_outside_the_folds_are_learned_from_and_not_judged():
    features, labels = blobs(n=40, distance=3.0)
    fold = np.where(np.arange(40) < 10, -1, np.arange(40) % 3)
    results = cross_validate(features, labels, fold)
    assert not results.correct[:, :10].any()
    assert results.correct[:, 10:].mean() > 0.5


def test_a_rising_loss_ends_the_grid_early():
    features, labels = blobs(n=60, width=30, distance=0.1)
    results = cross_validate(features, labels, np.arange(60) % 5)
    assert len(results.l2) < len(L2_GRID)
    assert results.correct.shape == (len(results.l2), 60)


def multilabel_blobs(n=90, seed=0):
    draw = np.random.default_rng(seed)
    targets = (draw.random((n, 3)) < [0.5, 0.4, 0.2]).astype(np.float32)
    return (targets @ draw.normal(size=(3, 6)) + draw.normal(size=(n, 6))).astype(np.float32), targets


@pytest.mark.parametrize("l2", [0.001, 0.1])
def test_a_multilabel_solution_is_one_of_scikit_learns_for_each_label(l2):
    features, targets = multilabel_blobs()
    (x,) = standardise(features)
    weights = solve(x, targets, l2, np.zeros((7, 3)), 1e-6, multilabel=True)
    for label in range(3):
        oracle = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-8, max_iter=5000).fit(x, targets[:, label])
        probabilities = 1 / (1 + np.exp(-(x @ weights[:-1, label] + weights[-1, label])))
        np.testing.assert_allclose(probabilities, oracle.predict_proba(x)[:, 1], atol=5e-3)


def test_out_of_fold_results_of_several_labels_are_those_of_a_plain_loop():
    features, targets = multilabel_blobs()
    fold = np.arange(90) % 3
    results = cross_validate(features, targets, fold, grid=(0.1,))
    expected = np.zeros_like(targets)
    for number in range(3):
        train, test = standardise(features[fold != number], features[fold == number])
        for label in range(3):
            oracle = LogisticRegression(C=1 / (0.1 * len(train)), tol=1e-8, max_iter=5000)
            oracle.fit(train, targets[fold != number, label])
            expected[fold == number, label] = oracle.predict_proba(test)[:, 1]
    np.testing.assert_allclose(results.probabilities[0], expected, atol=0.02)
    cross_entropy = -(targets * np.log(expected) + (1 - targets) * np.log(1 - expected)).sum(axis=1)
    np.testing.assert_allclose(results.cross_entropy[0], cross_entropy, atol=0.2)
    assert results.correct[0].mean() == pytest.approx(((expected > 0.5) == targets).mean(), abs=0.03)
