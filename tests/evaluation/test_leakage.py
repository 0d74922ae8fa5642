from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tl_core.data.options import ImportOptions
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec
from tl_core.evaluation.leakage import LeakageBias, leakage_path, read_leakage, write_leakage
from tl_core.evaluation.measure_leakage import DRAWS, head_accuracy, measure_leakage, worth_measuring
from tl_core.types import Estimate, dump
from tl_core.workspace import write_json


def table(copies: int, tmp_path, workspace, group=False):
    """Import 60 texts of two classes, each `copies` times with another case or a group in common."""
    lines = ["text,label" + ",patient" * group]
    for number in range(60):
        for copy in range(copies):
            text = f"note {number} {copy if group else '!' * copy} of {'one' if number % 2 else 'other'}"
            lines.append(f"{text},{'ab'[number % 2]}" + f",p{number}" * group)
    (tmp_path / "notes.csv").write_text("\n".join(lines))
    options = {"group_column": "patient"} if group else {}
    return import_data(str(tmp_path / "notes.csv"), workspace, ImportOptions(**options))


def noise(dataset, per_text: int) -> np.ndarray:
    """Return features that are unrelated to the class and nearly equal for all versions of a text."""
    draw = np.random.default_rng(0)
    centres = np.repeat(draw.normal(size=(60, 150)), per_text, axis=0)
    return (centres + draw.normal(scale=0.05, size=centres.shape)).astype(np.float32)


def score_of(dataset, features) -> LeakageBias:
    *steps, score = measure_leakage(dataset, "tiny", features, 0.01)
    assert steps == list(range(1, 2 * DRAWS + 1))
    return score


@pytest.mark.parametrize("group", [False, True])
def test_copies_on_both_sides_inflate_the_naive_score(group, tmp_path, workspace):
    dataset = table(3, tmp_path, workspace, group)
    assert worth_measuring(dataset)
    score = score_of(dataset, noise(dataset, 3))
    assert score.naive.value > 0.9
    assert 0.25 < score.grouped.value < 0.7
    assert score.inflation.low > 0.1
    assert score.inflation.value == pytest.approx(score.naive.value - score.grouped.value)
    assert score.repeated == score.items == len(dataset.rows("train", "validation"))
    assert score.has_groups == group
    assert f"shown {score.naive.value:.1%} instead of {score.grouped.value:.1%}" in score.sentence


def test_copies_inflate_nothing_if_features_separate_the_classes(tmp_path, workspace):
    dataset = table(3, tmp_path, workspace)
    score = score_of(dataset, noise(dataset, 3) + 4 * dataset.labels[:, None].astype(np.float32))
    assert score.inflation.value == pytest.approx(0, abs=0.02)
    assert score.inflation.low <= 0
    assert "too close" in score.sentence


def test_without_copies_there_is_nothing_to_measure(tmp_path, workspace):
    assert not worth_measuring(table(1, tmp_path, workspace))
    assert not worth_measuring(replace(table(3, tmp_path, workspace), multilabel=True))


def test_test_items_are_never_read(tmp_path, workspace):
    dataset = table(3, tmp_path, workspace)
    features = noise(dataset, 3)
    expected = score_of(dataset, features)
    features[dataset.rows("test")] = np.nan
    assert score_of(dataset, features) == expected


def test_the_head_is_logistic_regression():
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 3, 300)
    features = (draw.normal(size=(300, 10)) + np.eye(3, 10)[labels] * 1.5).astype(np.float32)
    held = np.arange(300) % 4 == 0
    mean, variance = features[~held].mean(axis=0), features[~held].var(axis=0)
    scaled = (features - mean) / np.sqrt(variance + variance.mean())
    model = LogisticRegression(C=1 / (0.01 * (~held).sum()), tol=1e-6).fit(scaled[~held], labels[~held])
    expected = (model.predict(scaled[held]) == labels[held]).mean()
    assert head_accuracy(features, labels, held, 0.01) == pytest.approx(expected, abs=1.5 / held.sum())


def test_a_score_is_saved_per_split_and_backbone(tmp_path, workspace):
    dataset = table(3, tmp_path, workspace)
    score = LeakageBias(dataset.fingerprint, "tiny", *[Estimate(0.5, 0.4, 0.6, 9, "by hand")] * 3, 9, 4, False)
    assert read_leakage(workspace, dataset, "tiny") is None
    write_leakage(workspace, dataset, score)
    assert read_leakage(workspace, dataset, "tiny") == score
    assert read_leakage(workspace, dataset.change_split(SplitSpec(seed=1)), "tiny") is None
    assert read_leakage(workspace, dataset, "other") is None


def test_a_score_saved_under_the_old_names_is_still_read(tmp_path, workspace):
    dataset = table(3, tmp_path, workspace)
    score = LeakageBias(dataset.fingerprint, "tiny", *[Estimate(0.5, 0.4, 0.6, 9, "by hand")] * 3, 9, 4, True)
    fields = dump(score)
    old = {{"grouped": "honest", "has_groups": "groups"}.get(name, name): value for name, value in fields.items()}
    write_json(leakage_path(workspace, dataset, "tiny"), old)
    assert read_leakage(workspace, dataset, "tiny") == score
