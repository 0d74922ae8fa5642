"""LogME against the evidence itself, and the vote of neighbours against scikit-learn and by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.neighbors import KNeighborsClassifier

from tl_core.advice.logme import logme
from tl_core.advice.neighbours import neighbour_answers


def direct_evidence(features, targets):
    """The evidence as the density of the labels, maximised over both precisions from several starts."""
    values = []
    for y in targets.T:

        def negative(logs, y=y):
            alpha, beta = np.exp(np.clip(logs, -25, 25))
            covariance = features @ features.T / alpha + np.eye(len(y)) / beta
            return -multivariate_normal.logpdf(y, np.zeros(len(y)), covariance)

        starts = [(a, b) for a in (-3.0, 2.0, 6.0) for b in (0.0, 3.0)]
        values.append(max(-minimize(negative, start, method="Nelder-Mead", tol=1e-9).fun for start in starts))
    return np.mean(values) / len(features)


@pytest.mark.parametrize(("n", "width", "signal"), [(40, 6, 1.0), (40, 6, 0.0), (25, 12, 2.0), (20, 30, 0.3)])
def test_logme_is_the_largest_evidence(n, width, signal):
    draw = np.random.default_rng(n + width)
    labels = np.arange(n) % 3
    features = draw.normal(size=(n, width)) + 1.0
    features[:, 0] += signal * labels
    targets = np.eye(3)[labels]
    assert logme(features, targets) == pytest.approx(direct_evidence(features, targets), abs=2e-5)


def test_logme_prefers_features_that_tell_the_classes_apart():
    draw, labels = np.random.default_rng(0), np.arange(60) % 2
    noise = draw.normal(size=(60, 8))
    informed = noise.copy()
    informed[:, 3] += 2 * labels
    targets = np.eye(3)[labels]  # nobody has the third label
    assert logme(informed, targets) > logme(noise, targets) + 0.1
    assert logme(informed, targets) == pytest.approx(logme(informed, targets[:, :2]))


def test_neighbours_are_those_of_scikit_learn_and_of_the_other_folds():
    draw, labels = np.random.default_rng(1), np.arange(90) % 3
    features = draw.normal(size=(90, 5)) + np.eye(3, 5)[labels]
    fold = np.arange(90) % 4 - 1
    votes = neighbour_answers(features, np.eye(3)[labels], fold, k=1)
    for number in (0, 1, 2):
        oracle = KNeighborsClassifier(1, metric="cosine").fit(features[fold != number], labels[fold != number])
        assert votes[fold == number].argmax(axis=1).tolist() == oracle.predict(features[fold == number]).tolist()
    assert not votes[fold == -1].any()
    shares = neighbour_answers(features, np.eye(3)[labels], fold, k=5)
    for number in (0, 1, 2):
        oracle = KNeighborsClassifier(5, metric="cosine").fit(features[fold != number], labels[fold != number])
        expected = oracle.predict_proba(features[fold == number])
        np.testing.assert_allclose(shares[fold == number], expected, atol=1e-5)


def test_equal_shares_go_to_the_class_of_the_nearest_neighbour():
    angles = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 3.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([0, 2, 1, 1, 2, 0])  # of the four nearest to the first: 2, 1, 1, 2
    fold = np.array([0, 1, 1, 1, 1, 1])
    assert neighbour_answers(features, np.eye(3)[labels], fold, k=4)[0].argmax() == 2
