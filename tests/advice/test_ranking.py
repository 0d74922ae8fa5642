"""The ranking of backbones: what is measured, the rule of the advice, and what is said."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tests.advice.test_evidence import MemoryStore, features_of
from tests.tiny import TINY_IMAGE, TINY_PAIR, TINY_TEXT, make_images, make_multilabel
from tl_core.advice.folds import make_folds, units
from tl_core.advice.linear import L2_GRID, standardise
from tl_core.advice.measure_ranking import _tokens, measure_backbone, rank
from tl_core.advice.ranking import Ranked, advice, points, quickest, read_ranking, write_ranking
from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.speed import Speed
from tl_core.data.profile.text_stats import padded_length, token_counts
from tl_core.errors import DataError
from tl_core.statistics.bootstrap import paired_difference
from tl_core.types import Estimate

SPEED = Speed("tiny", {"stem": 0.001, "middle": 0.002, "top": 0.003}, 0.005, 0.007, 3.0, 5, 0, "cpu", 1)
SLOW = replace(SPEED, per_item={"stem": 0.1, "middle": 0.1, "top": 0.1})
NAMES = [group.name for group in TINY_IMAGE.groups]


def measured(dataset, signal, name="tiny", speed=SPEED, seed=0):
    features = {name: features_of(dataset.labels, 0.0, seed=9 + i) for i, name in enumerate(NAMES)}
    features[NAMES[-1]] = features_of(dataset.labels, signal, seed=seed)
    spec = replace(TINY_IMAGE, name=name, title=name.title())
    store = MemoryStore(features | {None: features[NAMES[-1]]})
    return measure_backbone(dataset, spec, store, speed)


@pytest.fixture
def dataset(workspace):
    return make_images(workspace, per_class=40)


def test_accuracy_is_that_of_scikit_learns_heads_on_held_out_items(dataset):
    """Strengths differ little here, so any of the grid gives scikit-learn's answers within a few items."""
    one = measured(dataset, signal=1.2)
    rows = dataset.rows("train", "validation")
    labels, x = dataset.labels[rows], features_of(dataset.labels, 1.2)[rows]
    fold = make_folds(labels, units(dataset, rows))
    scores = []
    for l2 in L2_GRID:
        right = 0
        for number in range(fold.max() + 1):
            train, test = standardise(x[fold != number], x[fold == number])
            model = make_pipeline(LogisticRegression(C=1 / (l2 * len(train)), max_iter=2000))
            right += int((model.fit(train, labels[fold != number]).predict(test) == labels[fold == number]).sum())
        scores.append(right / len(rows))
    assert min(scores) - 0.03 <= one.ranked.accuracy.value <= max(scores) + 0.03
    assert one.ranked.accuracy.n == len(rows) == one.ranked.neighbours.n
    assert one.answers.right.mean() == pytest.approx(one.ranked.accuracy.value)
    assert one.ranked.seconds == pytest.approx(6.0)


def test_a_pair_is_timed_with_texts_as_long_as_these(tiny_pairs, tiny_backbones):
    """Not with the long texts that its speed was measured with."""
    profiled = token_counts(tiny_pairs, tokenizer_file(TINY_TEXT))
    assert _tokens(tiny_pairs, TINY_PAIR) == padded_length(profiled, TINY_TEXT.input.max_tokens) > 0
    assert _tokens(tiny_pairs, TINY_IMAGE) == 0


def test_test_items_take_no_part(dataset):
    first = measured(dataset, 1.0)
    held = dataset.rows("test")
    features = {name: features_of(dataset.labels, 0.0, seed=9 + i) for i, name in enumerate(NAMES)}
    features[NAMES[-1]] = features_of(dataset.labels, 1.0)
    for values in features.values():
        values[held] = np.nan
    again = measure_backbone(
        dataset, replace(TINY_IMAGE, title="Tiny"), MemoryStore(features | {None: features[NAMES[-1]]}), SPEED
    )
    assert replace(again.ranked, backbone="tiny") == first.ranked


def test_the_quickest_of_those_that_are_not_clearly_worse_is_advised(dataset, workspace):
    good, quick, bad = (
        measured(dataset, 3.0, "good", SLOW), measured(dataset, 3.0, "quick", seed=4), measured(dataset, 0.0, "bad"),
    )  # fmt: skip
    ranking = rank(dataset, [bad, quick, good])
    assert ranking.advised == "quick"
    assert [row.backbone for row in ranking.rows][2] == "bad"
    worst = ranking.rows[2]
    assert worst.clearly_worse
    assert worst.behind == paired_difference(bad.answers.right, ranking_answers(ranking, good, quick))
    write_ranking(workspace, ranking)
    assert read_ranking(workspace, dataset) == ranking


def ranking_answers(ranking, *candidates):
    return next(one.answers.right for one in candidates if one.ranked.backbone == ranking.best.backbone)


def test_labels_that_may_come_together_are_ranked_by_their_auc(workspace):
    dataset = make_multilabel(workspace)
    x = dataset.targets @ np.random.default_rng(0).normal(size=(3, 6)) * 2
    noise = np.random.default_rng(1).normal(size=x.shape)
    spec = replace(TINY_TEXT, group_parameters=(1, 2, 3))

    def one(name, signal):
        features = dict.fromkeys([group.name for group in spec.groups], (signal * x + noise).astype(np.float32))
        store = MemoryStore(features | {None: next(iter(features.values()))})
        speed = replace(SPEED, per_item=dict.fromkeys(features, 0.001), tokens=20)
        return measure_backbone(dataset, replace(spec, name=name), store, speed)

    ranking = rank(dataset, [one("noise", 0.0), one("signal", 1.0)])
    assert ranking.metric == "mean AUC"
    assert ranking.best.backbone == ranking.advised == "signal"
    assert ranking.rows[1].clearly_worse
    assert ranking.best.neighbours.value > 0.8


def test_too_few_items_are_said(workspace):
    with pytest.raises(DataError, match="too few items"):
        measured(make_images(workspace, per_class=2), 1.0)


def row(name, accuracy, seconds, behind=None):
    near = Estimate(accuracy, accuracy - 0.05, accuracy + 0.05, 200, "")
    difference = None if behind is None else Estimate(*behind, 200, "")
    return Ranked(name, name, near, near, None, near, 0.0, seconds, 1_000_000, difference)


@pytest.mark.parametrize(
    ("rows", "taken", "said"),
    [
        ([row("A", 0.9, 30), row("B", 0.89, 3, (-0.01, -0.03, 0.02))], "B", "not clearly worse than A (-1.0 points"),
        ([row("A", 0.9, 30), row("B", 0.7, 3, (-0.2, -0.3, -0.1))], "A", "every quicker one is clearly less accurate"),
        ([row("A", 0.9, 3), row("B", 0.7, 30, (-0.2, -0.3, -0.1))], "A", "it is the quickest, too"),
        ([row("A", 0.9, 3)], "A", "the only one"),
        ([row("A", 0.35, 30), row("B", 0.3, 3, (-0.05, -0.1, 0.0))], "B", "guessing (33.0%)"),
    ],
)
def test_the_advice_names_one_and_says_why(dataset, rows, taken, said):
    ranking = replace(rank(dataset, [measured(dataset, 1.0)]), rows=tuple(rows), majority=0.33)
    ranking = replace(ranking, advised=quickest(rows).backbone)
    assert ranking.advised == taken
    assert said in advice(ranking)


def test_a_difference_is_in_points():
    assert points(Estimate(-0.012, -0.03, 0.004, 100, "")) == "-1.2 points, 95% interval -3.0 to +0.4"
