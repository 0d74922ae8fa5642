"""The cleaning effect, on features whose true classes are known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from tl_core.advice.linear import standardise
from tl_core.data.decisions import Decision
from tl_core.data.options import RawItem, no_progress
from tl_core.data.sources.store import Draft, store
from tl_core.evaluation.cleaning_effect import CleaningEffect, read_cleaning_effect, write_cleaning_effect
from tl_core.evaluation.measure_cleaning import CleaningMeasurement, balanced_accuracy_difference
from tl_core.types import Estimate

L2 = 0.01


def make(workspace, wrong):
    """Return 300 items (a share of one class has wrong labels), their features `[300, 4]`, and the true classes."""
    draw = np.random.default_rng(3)
    truth = np.arange(300) % 2
    features = (draw.normal(size=(300, 4)) + 1.5 * truth[:, None] * np.array([1, 1, 0, 0])).astype(np.float32)
    labels = np.where((truth == 1) & (draw.random(300) < wrong), 0, truth)
    items = [RawItem(f"row {i}", "ab"[label], text=f"text {i}") for i, label in enumerate(labels)]
    return store(items, Draft("noisy", "x.csv", "text"), workspace, no_progress), features, truth


@pytest.fixture
def noisy(workspace):
    return make(workspace, 0.6)


def measured(dataset, features, l2=L2):
    measuring = CleaningMeasurement(dataset, "tiny", features, l2)
    assert [*measuring.steps()][-1] == (10, 10)
    return measuring


def corrected(dataset, truth):
    wrong = np.flatnonzero((dataset.labels != truth) & (dataset.splits != "test"))
    by_label = [tuple(wrong[truth[wrong] == label].tolist()) for label in (0, 1)]
    return dataset.decide(*(Decision("relabel", rows, "ab"[label]) for label, rows in enumerate(by_label) if rows))


def test_right_corrections_help_when_all_mistakes_are_in_one_class(noisy):
    dataset, features, truth = noisy
    effect = measured(corrected(dataset, truth), features).effect
    assert effect.verdict == "helps"
    assert effect.relabelled == int((dataset.labels != truth)[dataset.splits != "test"].sum())
    assert effect.dropped == 0
    assert effect.difference.value == pytest.approx(effect.after - effect.before)


def test_wrong_corrections_hurt(workspace):
    dataset, features, _ = make(workspace, 0.0)
    right = np.flatnonzero((dataset.labels == 1) & (dataset.splits != "test"))
    spoilt = dataset.decide(Decision("relabel", tuple(right[: len(right) * 3 // 4].tolist()), "a"))
    assert measured(spoilt, features).effect.verdict == "hurts"


def test_dropping_a_few_items_shows_no_difference(noisy):
    dataset, features, _ = noisy
    rows = tuple(dataset.rows("train")[:3].tolist())
    effect = measured(dataset.decide(Decision("drop", rows)), features).effect
    assert (effect.relabelled, effect.dropped) == (0, 3)
    assert effect.verdict == "no difference shown"
    assert effect.difference.n == len(dataset.rows("train", "validation")) - 3


def test_test_items_are_never_read(noisy):
    dataset, features, truth = noisy
    after = corrected(dataset, truth)
    other = features.copy()
    other[dataset.rows("test")] = np.nan
    assert measured(after, other).effect == measured(after, features).effect


def test_the_interval_agrees_with_theory_for_many_items():
    draw = np.random.default_rng(1)
    classes = np.repeat([0, 1, 2], [4000, 2000, 500])
    before, after = (
        draw.random(len(classes)) < share[classes] for share in np.array([[0.8, 0.6, 0.7], [0.9, 0.7, 0.6]])
    )
    estimate = balanced_accuracy_difference(after, before, classes)
    differences = [(after[classes == c].astype(float) - before[classes == c]) for c in range(3)]
    assert estimate.value == pytest.approx(np.mean([change.mean() for change in differences]))
    half = 1.96 * np.sqrt(sum(change.var() / len(change) for change in differences)) / 3
    assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=0.05)
    mirrored = balanced_accuracy_difference(before, after, classes)
    assert mirrored.value == pytest.approx(-estimate.value)


def test_heads_agree_with_scikit_learn(noisy):
    dataset, features, truth = noisy
    after = corrected(dataset, truth).decide(Decision("drop", tuple(dataset.rows("train")[:9].tolist())))
    measuring = measured(after, features)
    expected = {}
    for name, version in (("before", dataset), ("after", after)):
        predicted = np.full(len(version.items), -1)
        for fold in range(5):
            held = np.flatnonzero(measuring._fold == fold)
            learn = np.flatnonzero((measuring._fold >= -1) & (measuring._fold != fold) & version.included)
            train_features, held_features = standardise(features[learn], features[held])
            head = LogisticRegression(C=1 / (L2 * len(learn)), tol=1e-6, max_iter=500).fit(
                train_features, version.labels[learn]
            )
            predicted[held] = head.predict(held_features)
        judged = measuring.judged
        expected[name] = balanced_accuracy_score(dataset.labels[judged], predicted[judged])
    assert measuring.effect.before == pytest.approx(expected["before"], abs=0.011)
    assert measuring.effect.after == pytest.approx(expected["after"], abs=0.011)


def test_the_effect_is_saved_per_decisions_and_has_a_sentence(noisy, workspace):
    dataset = noisy[0].decide(Decision("drop", (int(noisy[0].rows("train")[0]),)))
    gain = Estimate(0.03, -0.01, 0.07, 300, "x")
    effect = CleaningEffect(dataset.fingerprint, dataset.version, "tiny", 37, 1, 0.83, 0.86, gain, "cannot tell")
    write_cleaning_effect(workspace, dataset, effect)
    assert read_cleaning_effect(workspace, dataset, "tiny") == effect
    assert read_cleaning_effect(workspace, dataset.undo(0), "tiny") is None
    assert effect.sentence == (
        "With your 37 corrections and 1 item left out: 86.0% right instead of 83.0%, averaged over the classes, on the "
        "300 training and validation items that no decision changed; difference 3.0 points (-1.0 to 7.0): not certain."
    )
