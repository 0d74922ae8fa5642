from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.advice.evidence import Depth, choose, compare_depths, probe_report
from tl_core.advice.folds import make_folds, units
from tl_core.advice.linear import OutOfFold
from tl_core.advice.probe_report import ProbeReport, read_probe, split_key, write_probe
from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.types import dump, load


class MemoryStore:
    """A store that returns the features it was given."""

    def __init__(self, features, shift=None):
        self._features, self._shift = features, shift or {}

    def features(self, dataset, spec, tap=None, pool="mean"):
        return self._features[tap]

    def shift(self, dataset, spec):
        return self._shift


def features_of(labels, signal, width=12, seed=0):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(labels.max() + 1, width))
    return (signal * centres[labels] + draw.normal(size=(len(labels), width))).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=2, max_size=120))
def test_folds_keep_units_whole_and_every_training_part_knows_every_held_class(pairs):
    unit = np.unique([pair[1] for pair in pairs], return_inverse=True)[1]
    label_of = np.array([pair[0] for pair in pairs])
    label = np.unique(np.array([label_of[np.flatnonzero(unit == u)[0]] for u in unit]), return_inverse=True)[1]
    fold = make_folds(label, unit)
    for number in range(unit.max() + 1):
        assert len(set(fold[unit == number])) == 1
    for number in set(fold[fold >= 0]):
        assert set(label[fold == number]) <= set(label[fold != number])
    assert (fold == make_folds(label, unit)).all()


def test_folds_are_stratified():
    labels = np.repeat([0, 1, 2], [200, 100, 50])
    fold = make_folds(labels, np.arange(350))
    for number in range(5):
        assert np.bincount(labels[fold == number]).tolist() == [40, 20, 10]


def test_a_class_with_one_item_is_never_held_out():
    labels = np.array([0, 0, 0, 1, 1, 2])
    assert make_folds(labels, np.arange(6)).tolist().count(-1) == 1
    assert make_folds(labels, np.arange(6))[5] == -1


def results_of(*accuracies, n=100):
    """One result a depth, for one strength: the given share of the items is right, the same items first."""
    fold = np.arange(n) % 5
    order = np.argsort(fold, kind="stable").argsort()
    return [OutOfFold((0.1,), (order < a * n)[None], np.ones((1, n)), fold) for a in accuracies]


def test_the_deepest_depth_within_one_standard_error_is_chosen():
    everyone = np.ones(100, bool)
    assert choose(results_of(0.5, 0.9, 0.9), everyone).tap == 2
    assert choose(results_of(0.5, 0.91, 0.9), everyone).tap == 2
    assert choose(results_of(0.5, 0.95, 0.6), everyone).tap == 1
    assert choose(results_of(0.95, 0.6, 0.6), everyone).tap == 0


def test_between_equal_strengths_the_lower_cross_entropy_then_the_stronger():
    fold = np.arange(20) % 4
    correct = np.ones((3, 20), bool)
    cross_entropy = np.stack([np.full(20, level) for level in (0.5, 0.2, 0.2)])
    assert choose([OutOfFold((1.0, 0.1, 0.01), correct, cross_entropy, fold)], fold >= 0).l2 == (1,)


def test_the_depth_that_holds_the_signal_is_found():
    labels = np.arange(240) % 4
    signals = {"stem": 0.1, "middle": 2.0, "top": 0.4}
    depths = [Depth(tap, "mean", features_of(labels, s, seed=i)) for i, (tap, s) in enumerate(signals.items())]
    comparison = compare_depths(depths, labels, np.arange(240))
    assert comparison.tap == "middle"
    assert comparison.accuracy.low < comparison.accuracy.value < comparison.accuracy.high <= 1
    assert [score.tap for score in comparison.scores] == list(signals)


def test_on_pure_noise_the_accuracy_is_that_of_guessing():
    """Choosing among depths and strengths must not look like skill."""
    values = []
    for seed in range(8):
        draw = np.random.default_rng(seed)
        labels = draw.integers(0, 2, 60)
        depths = [Depth(f"d{i}", "mean", draw.normal(size=(60, 8)).astype(np.float32)) for i in range(6)]
        values.append(compare_depths(depths, labels, np.arange(60)).accuracy.value)
    assert 0.4 < np.mean(values) < 0.6


def test_many_rows_are_ranked_on_fewer_and_compared_on_all(monkeypatch):
    monkeypatch.setattr("tl_core.advice.evidence.RANK_ROWS", 100)
    labels = np.arange(400) % 4
    depths = [Depth(tap, "mean", features_of(labels, s)) for tap, s in (("a", 0.3), ("b", 1.5), ("c", 0.5))]
    comparison = compare_depths(depths, labels, np.arange(400))
    assert comparison.tap == "b"
    assert [score.accuracy.n for score in comparison.scores] == [100, 400, 400]
    assert comparison.accuracy.n == 400


def test_identical_items_and_groups_are_one_unit(tiny_images: Dataset):
    items = tiny_images.items.copy()
    items.loc[1, "digest"] = items.loc[0, "digest"]
    items.loc[[1, 2], "group"] = "patient 7"
    tiny_images.__dict__["items"] = items
    rows = np.arange(len(items))
    numbers = units(tiny_images, rows)
    assert numbers[0] == numbers[1] == numbers[2]
    assert len(set(numbers)) == len(items) - 2
    numbers = units(replace(tiny_images, decisions=(Decision("together", (3, 5)), Decision("drop", (6, 7)))), rows)
    assert numbers[3] == numbers[5]
    assert len(set(numbers)) == len(items) - 1


@pytest.fixture
def spec(tiny_backbones):
    return BACKBONES[tiny_backbones[0]]


def store_for(dataset, spec, signal=2.0):
    groups = [group.name for group in spec.groups]
    return MemoryStore(
        {tap: features_of(dataset.labels, signal, seed=i) for i, tap in enumerate(groups)}, {"stem": 0.4}
    )


def test_the_report_is_saved_and_read_back_for_its_split_only(tiny_images, spec, workspace):
    report = probe_report(tiny_images, spec, store_for(tiny_images, spec))
    assert read_probe(workspace, tiny_images, spec.name) is None
    write_probe(workspace, report)
    assert read_probe(workspace, tiny_images, spec.name) == report
    assert load(ProbeReport, dump(report)) == report
    assert report.split == split_key(tiny_images)
    other = tiny_images.change_split(replace(tiny_images.split, seed=5))
    assert split_key(other) == report.split or read_probe(workspace, other, spec.name) is None


def test_test_items_are_never_read(tiny_images, spec):
    """Poisoned test features and labels change nothing."""
    store = store_for(tiny_images, spec)
    before = probe_report(tiny_images, spec, store)
    test = tiny_images.rows("test")
    for features in store._features.values():
        features[test] = np.nan
    labels = tiny_images.labels.copy()
    labels[test] = 0
    splits = tiny_images.splits
    tiny_images.__dict__["labels"], tiny_images.__dict__["splits"] = labels, splits
    after = probe_report(tiny_images, spec, store)
    assert replace(after, seconds=0.0) == replace(before, seconds=0.0)


def test_too_few_items_to_compare_on_make_a_finding(tiny_images, spec):
    labels = np.arange(len(tiny_images.items)) % len(tiny_images.items)
    tiny_images.__dict__["labels"] = labels
    report = probe_report(tiny_images, spec, store_for(tiny_images, spec))
    assert report.accuracy is None
    assert report.tap is None
    assert [finding.code for finding in report.findings] == ["no-evidence"]


def test_a_class_with_one_item_is_named(tiny_images, spec):
    labels = tiny_images.labels.copy()
    labels[labels == 2] = 1
    lone = tiny_images.rows("train")[0]
    labels[lone] = 2
    splits = tiny_images.splits
    tiny_images.__dict__["labels"], tiny_images.__dict__["splits"] = labels, splits
    report = probe_report(tiny_images, spec, store_for(tiny_images, spec))
    assert report.accuracy is not None
    assert tiny_images.classes[2] in report.findings[0].message
