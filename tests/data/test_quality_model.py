"""Checks that read features: each must find planted faults among real handwritten digits, and little else."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from tests.tiny import write_dataset
from tl_core.advice.calibrated import CalibratedOutOfFold
from tl_core.advice.folds import make_folds
from tl_core.advice.linear import standardise
from tl_core.data.decisions import Decision
from tl_core.data.quality import CheckInput, nearest_neighbours
from tl_core.data.quality.feature_duplicates import alike_groups
from tl_core.data.quality.feature_duplicates import find as find_alike
from tl_core.data.quality.label_errors import find as find_labels
from tl_core.data.quality.nearest_neighbours import NearestSearch, points
from tl_core.data.quality.outliers import class_distance
from tl_core.data.quality.outliers import find as find_outliers

SEEDS = (0, 1, 2)
PIXELS, TRUTH = load_digits(return_X_y=True)
PIXELS = PIXELS.astype(np.float32)


def dataset_of(workspace, labels, given_labels=None):
    """Return a data set with these labels; its content does not matter."""
    rows = [
        {
            "id": f"item {i}",
            "text": f"text {i}",
            "label": int(label),
            "digest": f"{i:05d}",
            "given": given_labels[i] if given_labels else "",
        }
        for i, label in enumerate(labels)
    ]
    return write_dataset(workspace, "digits", "text", rows, 10)


def searched(features, dataset):
    check_input = CheckInput(dataset)
    placed = points(features, check_input.inside)
    search = NearestSearch(placed, np.arange(len(placed)), check_input.inside)
    list(search.steps())
    return replace(check_input, features=placed, nearest=search.nearest)


def held_out(features, dataset):
    fold = np.full(len(dataset.items), -3)
    rows = dataset.rows("train", "validation")
    fold[rows] = make_folds(dataset.labels[rows], np.arange(len(rows)))
    fold[dataset.rows("test")] = -2
    held = CalibratedOutOfFold(features, dataset.targets, dataset.multilabel)
    list(held.steps(fold, 0.01))
    return CheckInput(dataset, probabilities=held.probabilities)


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_wrong_labels_are_found_and_little_else(workspace, seed):
    random = np.random.default_rng(seed)
    rows = random.permutation(len(TRUTH))[:900]
    wrong = random.permutation(900)[:45]
    labels = TRUTH[rows].copy()
    labels[wrong] = (labels[wrong] + random.integers(1, 10, len(wrong))) % 10
    dataset = dataset_of(workspace, labels)
    findings = {one.code: one for one in find_labels(held_out(PIXELS[rows], dataset))}
    learned, tested = findings["label-suspect"], findings["label-suspect-test"]
    in_test = set(dataset.rows("test").tolist())
    assert set(tested.rows) <= in_test
    assert not set(learned.rows) & in_test
    planted = set(wrong.tolist()) - in_test
    right = planted & set(learned.rows)
    assert len(right) >= 0.7 * len(planted)
    assert len(right) >= 0.8 * len(learned.rows)
    first = learned.rows[: len(right) // 2]
    assert len(planted & set(first)) >= 0.9 * len(first), "the surest come first"
    assert list(learned.scores) == sorted(learned.scores, reverse=True)
    suggested = dict(zip(learned.rows, learned.suggested, strict=True))
    names = [dataset.classes[TRUTH[rows[row]]] for row in right]
    assert np.mean([suggested[row] == name for row, name in zip(right, names, strict=True)]) >= 0.9
    assert {(row, d.label) for d in learned.proposed for row in d.rows} == set(suggested.items())
    assert all(d.action == "relabel" for d in learned.proposed)
    assert tested.proposed == ()
    assert len(set(wrong.tolist()) & in_test & set(tested.rows)) >= 0.6 * len(set(wrong.tolist()) & in_test)


def test_right_labels_are_left_alone_and_a_decision_settles_a_suspicion(workspace):
    dataset = dataset_of(workspace, TRUTH)
    (finding, *_) = find_labels(held_out(PIXELS, dataset))
    assert len(finding.rows) < 0.02 * len(TRUTH)
    keep = Decision("keep", finding.rows[:1], code="label-suspect")
    (again, *_) = find_labels(replace(held_out(PIXELS, dataset), dataset=replace(dataset, decisions=(keep,))))
    assert again.rows == finding.rows[1:]


def test_where_items_have_several_labels_a_missing_and_a_false_one_are_found(workspace):
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 12)).astype(np.float32)
    truth = (features[:, :4] > 0.3).astype(int)
    given_labels = truth.copy()
    wrong = random.permutation(600)[:30]
    given_labels[wrong, random.integers(0, 4, 30)] ^= 1
    dataset = dataset_of(workspace, np.zeros(600, int))
    dataset = replace(dataset, multilabel=True, classes=("a", "b", "c", "d"))
    dataset.__dict__["items"] = dataset.items.assign(
        labels=[np.flatnonzero(row).tolist() for row in given_labels],
        label=[min(np.flatnonzero(r), default=4) for r in given_labels],
    )
    findings = {one.code: one for one in find_labels(held_out(features, dataset))}["label-suspect"]
    planted = set(wrong.tolist()) - set(dataset.rows("test").tolist())
    right = planted & set(findings.rows)
    assert len(right) >= 0.7 * len(planted)
    assert len(right) >= 0.5 * len(findings.rows)
    suggested = dict(zip(findings.rows, findings.suggested, strict=True))
    correct = [suggested[row] == tuple("abcd"[k] for k in np.flatnonzero(truth[row])) for row in right]
    assert np.mean(correct) >= 0.8


def test_what_is_held_out_was_not_learned_from():
    """A head cannot predict random labels that it has not seen; one that has seen them predicts most."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(200, 150)).astype(np.float32), random.integers(0, 4, 200)
    targets = np.eye(4, dtype=np.float32)[labels]
    fold = np.arange(200) % 5
    fold[:20], fold[20:40] = -2, -3
    held = CalibratedOutOfFold(features, targets)
    assert list(held.steps(fold, 1e-4))[-1] == (6, 6)
    predicted_rows = np.isfinite(held.probabilities).all(axis=1)
    assert predicted_rows.tolist() == [True] * 20 + [False] * 20 + [True] * 160
    assert 0.1 < (held.probabilities[predicted_rows].argmax(axis=1) == labels[predicted_rows]).mean() < 0.45


def test_the_held_out_head_is_logistic_regression_at_one_temperature():
    labels = TRUTH[:300]
    fold = np.arange(300) % 3
    held = CalibratedOutOfFold(PIXELS[:300], np.eye(10, dtype=np.float32)[labels])
    list(held.steps(fold, 0.05))
    train, test = standardise(PIXELS[:300][fold != 1], PIXELS[:300][fold == 1])
    oracle = LogisticRegression(C=1 / (0.05 * len(train)), tol=1e-6, max_iter=2000).fit(train, labels[fold != 1])
    members, theirs = (
        np.log(p) - np.log(p).mean(axis=1, keepdims=True)
        for p in (held.probabilities[fold == 1], oracle.predict_proba(test))
    )
    temperature = float((theirs * theirs).sum() / (theirs * members).sum())
    np.testing.assert_allclose(members * temperature, theirs, atol=0.25)
    assert 0.2 < temperature < 1.5, "so strong a penalty makes a head less sure than it is right"


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_strangers_are_found_and_little_else(workspace, seed):
    random = np.random.default_rng(seed)
    rows = random.permutation(len(TRUTH))[:900]
    strange = random.permutation(900)[:15]
    features = PIXELS[rows].copy()
    features[strange] = random.uniform(0, 16, (15, 64))
    (finding,) = find_outliers(searched(features, dataset_of(workspace, TRUTH[rows])))
    assert len(set(finding.rows) & set(strange.tolist())) >= 13
    assert len(finding.rows) <= 22
    assert list(finding.scores) == sorted(finding.scores, reverse=True)
    assert finding.proposed == ()


def test_distance_within_a_class_is_that_of_a_brute_force():
    placed = points(PIXELS[:400], np.ones(400, bool))
    distances = class_distance(placed, TRUTH[:400], np.ones(400, bool))
    members = np.flatnonzero(TRUTH[:400] == 3)
    oracle = NearestNeighbors(n_neighbors=11).fit(placed[members]).kneighbors(placed[members])[0][:, 1:]
    np.testing.assert_allclose(distances[members], oracle.mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_near_duplicates_are_grouped_and_little_else(workspace, seed):
    random = np.random.default_rng(seed)
    rows = random.permutation(len(TRUTH))[:800]
    copied = random.permutation(800)[:40]
    noisy = PIXELS[rows][copied] + random.normal(0, 0.4, (40, 64)).astype(np.float32)
    features = np.concatenate([PIXELS[rows], noisy])
    dataset = dataset_of(workspace, np.concatenate([TRUTH[rows], TRUTH[rows][copied]]))
    (finding,) = find_alike(searched(features, dataset))
    planted = {frozenset((int(row), 800 + i)) for i, row in enumerate(copied.tolist())}
    groups = {frozenset(group) for group in finding.groups}
    assert len(planted & groups) >= 34
    assert len(groups) <= 44
    assert {(d.action, frozenset(d.rows)) for d in finding.proposed} == {("together", group) for group in groups}
    assert find_alike(searched(PIXELS[rows], dataset_of(workspace, TRUTH[rows]))) == [] or len(groups) > 30


def test_neighbours_are_those_of_a_brute_force_and_identical_items_are_none():
    features = np.concatenate([PIXELS[:300], PIXELS[:5]])
    same = np.concatenate([np.arange(300), np.arange(5)])
    inside = np.ones(305, bool)
    inside[50:60] = False
    placed = points(features, inside)
    search = NearestSearch(placed, same, inside)
    assert list(search.steps())[-1] == (290, 290)
    distinct = np.flatnonzero(inside[:300])
    distances, places = NearestNeighbors(n_neighbors=11).fit(placed[distinct]).kneighbors(placed[distinct])
    np.testing.assert_allclose(search.nearest.distance[distinct], distances[:, 1:], atol=1e-5)
    assert (search.nearest.row[distinct] == distinct[places[:, 1:]]).mean() > 0.97
    np.testing.assert_array_equal(search.nearest.row[300:], search.nearest.row[:5])
    assert (search.nearest.row[50:60] == -1).all()


def test_among_very_many_items_near_duplicates_are_found_without_comparing_all(monkeypatch):
    monkeypatch.setattr(nearest_neighbours, "EXACT", 500)
    monkeypatch.setattr(nearest_neighbours, "_WIDTH", 32)
    features = np.concatenate([PIXELS, PIXELS[:200] + 0.1])
    inside = np.ones(len(features), bool)
    placed = points(features, inside)
    assert placed.shape[1] == 32
    search = NearestSearch(placed, np.arange(len(placed)), inside)
    list(search.steps())
    assert not search.exact
    assert (search.nearest.row[len(PIXELS) :, 0] == np.arange(200)).mean() > 0.97
    exact = NearestNeighbors(n_neighbors=2).fit(placed).kneighbors(placed)[1][:, 1]
    assert (search.nearest.row[:, 0] == exact).mean() > 0.9


def test_nothing_to_compare_is_no_error(workspace):
    dataset = dataset_of(workspace, [0, 1])
    check_input = searched(PIXELS[:2], dataset)
    assert find_outliers(check_input) == find_alike(check_input) == []
    assert (alike_groups(check_input.nearest, check_input.inside) == -1).all()
