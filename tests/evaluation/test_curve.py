"""The arms of the data-efficiency curve."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tl_core.advice.linear import standardise
from tl_core.backbones.spec import BACKBONES
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError
from tl_core.evaluation.baselines import classical_model
from tl_core.evaluation.curve import (
    classical_arm,
    empty_curve,
    scratch_arm,
    scratch_counts,
    sizes,
    subset,
    transfer_arm,
    with_point,
)
from tl_core.evaluation.results import Curve, CurveArm
from tl_core.features import FeatureStore
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Progress
from tl_core.statistics.intervals import wilson
from tl_core.strategies.from_scratch import scratch_plan
from tl_core.training.loop import TrainJob
from tl_core.types import dump, load


@pytest.fixture
def features(tiny_texts):
    generator = np.random.default_rng(0)
    return (tiny_texts.labels[:, None] + generator.normal(0, 0.8, (len(tiny_texts.labels), 6))).astype(np.float32)


def test_subsets_are_nested_and_of_the_training_rows(tiny_texts):
    train, counts = set(tiny_texts.rows("train")), sizes(tiny_texts)
    for seed in range(3):
        before: set[int] = set()
        for count in counts:
            rows = set(subset(tiny_texts, count, seed))
            assert len(rows) == count
            assert before <= rows <= train
            before = rows
    assert before == train


def test_transfer_arm_is_logistic_regression_on_standardised_features(tiny_texts, features):
    arms = list(transfer_arm(tiny_texts, features, l2=0.05, seeds=5))
    assert [len(arm.points) for arm in arms] == list(range(1, len(sizes(tiny_texts)) + 1))
    test = tiny_texts.rows("test")
    for point in arms[-1].points:
        assert len(point.scores) == 5
        assert point.accuracy.low <= point.accuracy.value <= point.accuracy.high
        for seed, score in enumerate(point.scores):
            train = subset(tiny_texts, point.labels, seed)
            train_features, test_features = standardise(features[train], features[test])
            model = LogisticRegression(C=1 / (0.05 * len(train)), max_iter=1000)
            model.fit(train_features, tiny_texts.labels[train])
            assert score == pytest.approx(model.score(test_features, tiny_texts.labels[test]))


def test_test_labels_do_not_reach_the_training(tiny_texts, features):
    """Flipping the test labels flips the scores, so the predictions stay the same."""
    right = list(transfer_arm(tiny_texts, features, 0.05, 2))[-1]
    flipped = tiny_texts.labels.copy()
    flipped[tiny_texts.rows("test")] ^= 1
    tiny_texts.__dict__["labels"] = flipped
    wrong = list(transfer_arm(tiny_texts, features, 0.05, 2))[-1]
    for a, b in zip(right.points, wrong.points, strict=True):
        assert np.allclose(np.array(a.scores) + np.array(b.scores), 1)


def test_classical_arm(tiny_images):
    arm = list(classical_arm(tiny_images, classical_model(tiny_images), seeds=3))[-1]
    assert [point.labels for point in arm.points] == list(sizes(tiny_images))
    assert all(len(point.scores) == 3 for point in arm.points)
    assert "3 random subsets" in arm.budget
    curve = empty_curve(tiny_images, "tiny_image").with_arm(arm)
    assert load(Curve, dump(curve)) == curve


def test_scratch_arm_trains_each_point_within_its_budget(tiny_images, tiny_backbones, workspace, tmp_path):
    spec = BACKBONES["tiny_image"]
    counts = scratch_counts(sizes(tiny_images), 2)
    plan = scratch_plan(tiny_images, spec, tiny_images.rows("train"))
    assert plan.init == "random"
    job = TrainJob(tiny_images, spec, plan, 0, tmp_path / "run", FeatureStore(workspace), budget=20.0)
    steps = list(scratch_arm(job, counts, 2, MemoryControl()))
    arms = [step for step in steps if isinstance(step, CurveArm)]
    progress = [step for step in steps if isinstance(step, Progress)]
    assert [len(arm.points) for arm in arms] == [1, 2]
    assert [point.labels for point in arms[-1].points] == list(counts)
    assert all(len(point.scores) == 2 for point in arms[-1].points)
    assert "20 s" in arms[-1].budget
    assert [p.done for p in progress] == sorted(p.done for p in progress)
    assert progress[-1].done == progress[-1].total
    assert arms[-1].points[-1].accuracy.value > 0.4
    assert list((tmp_path / "run").iterdir()) == []


def test_scratch_arm_stops_when_asked(tiny_images, tiny_backbones, workspace, tmp_path):
    spec, control = BACKBONES["tiny_image"], MemoryControl()
    plan = scratch_plan(tiny_images, spec, subset(tiny_images, 6, seed=0))
    job = TrainJob(tiny_images, spec, plan, 0, tmp_path, FeatureStore(workspace))
    steps = []
    for step in scratch_arm(job, (3, 6, 12), 1, control):
        steps.append(step)
        if isinstance(step, CurveArm):
            control.stop()
    assert [len(step.points) for step in steps if isinstance(step, CurveArm)] == [1]


def test_multilabel_arms_are_scored_by_mean_auc(tiny_multilabel, tiny_backbones):
    features = tiny_multilabel.targets + np.random.default_rng(0).normal(0, 0.7, tiny_multilabel.targets.shape)
    test, train = tiny_multilabel.rows("test"), tiny_multilabel.rows("train")
    *_, arm = transfer_arm(tiny_multilabel, features.astype(np.float32), 0.1, seeds=2)
    train_features, test_features = standardise(features[train], features[test])
    expected = [
        LogisticRegression(C=1 / (0.1 * len(train)), max_iter=300)
        .fit(train_features, truth)
        .predict_proba(test_features)[:, 1]
        for truth in tiny_multilabel.targets[train].T
    ]
    area = roc_auc_score(tiny_multilabel.targets[test], np.stack(expected, axis=1))
    assert arm.points[-1].accuracy.value == pytest.approx(area, abs=1e-6)
    assert empty_curve(tiny_multilabel, "tiny_text").metric == "mean AUC"
    *_, classical = classical_arm(tiny_multilabel, classical_model(tiny_multilabel), seeds=2)
    assert classical.points[-1].accuracy.value > 0.8, "each label has its own words"
    for measured_arm in (arm, classical):
        assert all(0 <= p.accuracy.low <= p.accuracy.value <= p.accuracy.high <= 1 for p in measured_arm.points)


def on_50(shares):
    return [wilson(50 * share, 50) for share in shares]


def test_the_interval_covers_both_draws_and_test_items():
    arm = CurveArm("transfer", "", "", ())
    single = with_point(arm, 8, on_50([0.8])).points[0].accuracy
    same = with_point(arm, 8, on_50([0.8, 0.8, 0.8])).points[0].accuracy
    spread = with_point(arm, 8, on_50([0.7, 0.8, 0.9])).points[0].accuracy
    assert (single.low, single.high) == pytest.approx((same.low, same.high))
    assert spread.high - spread.low > same.high - same.low
    assert spread.value == pytest.approx(0.8)
    out_of_order = with_point(with_point(arm, 8, on_50([0.8])), 4, on_50([0.5]))
    assert [point.labels for point in out_of_order.points] == [4, 8]


def test_scratch_counts_are_few():
    assert scratch_counts((2, 4, 8)) == (2, 4, 8)
    assert scratch_counts(tuple(range(2, 20, 2)), 4) == (2, 8, 12, 18)


def test_without_test_items_there_is_no_curve(tiny_texts):
    with pytest.raises(DataError, match="no test item"):
        empty_curve(tiny_texts.change_split(SplitSpec(test=0.0)), "tiny_text")
