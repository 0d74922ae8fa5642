"""Multilabel metrics against scikit-learn, and the multilabel report with its warnings."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from tl_core.evaluation import multilabel
from tl_core.evaluation.compare import compare
from tl_core.evaluation.ensemble import ensemble_finding
from tl_core.evaluation.prediction_table import predictions_csv
from tl_core.evaluation.report import errors, make_report, true_and_predicted
from tl_core.evaluation.results import Report
from tl_core.plan import Phase, TransferPlan
from tl_core.types import dump, load

PLAN = TransferPlan("tiny_text", "feature_extraction", (Phase("head", 1, {"head": 1.0}),))
GOLDEN = Path(__file__).parents[1] / "golden" / "report_one_label.json"


def case(seed=0, n=60, labels=4):
    draw = np.random.default_rng(seed)
    truth = (draw.random((n, labels)) < np.linspace(0.6, 0.1, labels)).astype(np.float32)
    return truth, np.clip(0.5 * truth + draw.random((n, labels)) * 0.6, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_values_agree_with_scikit_learn(seed):
    truth, probabilities = case(seed)
    predicted = probabilities > 0.5
    assert multilabel.accuracy(truth, probabilities).value == pytest.approx(1 - sk.hamming_loss(truth, predicted))
    assert multilabel.exact(truth, probabilities).value == pytest.approx(sk.accuracy_score(truth, predicted))
    macro, micro = multilabel.f1(truth, probabilities)
    assert macro.value == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert micro.value == pytest.approx(sk.f1_score(truth, predicted, average="micro"))
    loss = np.mean(
        [sk.log_loss(truth[:, k], np.clip(probabilities[:, k], 1e-7, 1 - 1e-7), labels=[0, 1]) for k in range(4)]
    )
    assert multilabel.log_loss(truth, probabilities).value == pytest.approx(loss, rel=1e-5)
    expected = sk.precision_recall_fscore_support(truth, predicted, average=None, zero_division=0)
    areas = sk.roc_auc_score(truth, probabilities, average=None)
    scores = multilabel.per_label(truth, probabilities, "abcd")
    for score, area, precision, recall, f1, support in zip(scores, areas, *expected, strict=True):
        values = (score.precision.value, score.recall.value, score.f1.value, score.auc.value)
        assert values == pytest.approx((precision, recall, f1, area))
        assert score.recall.n == support
    for estimate in (macro, micro, *(s.auc for s in scores), *(s.f1 for s in scores)):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_a_label_neither_present_nor_predicted_does_not_count_in_macro_f1():
    truth, probabilities = case()
    truth[:, 3], probabilities[:, 3] = 0, 0.1
    expected = sk.f1_score(truth, probabilities > 0.5, average="macro", zero_division=np.nan)
    assert multilabel.f1(truth, probabilities)[0].value == pytest.approx(expected)


def test_f1_intervals_have_about_their_nominal_coverage():
    large = case(99, n=50_000)
    truths = [sk.f1_score(large[0], large[1] > 0.5, average=average) for average in ("macro", "micro")]
    covered = np.zeros(2)
    for seed in range(100):
        for index, estimate in enumerate(multilabel.f1(*case(seed, n=60))):
            covered[index] += estimate.low <= truths[index] <= estimate.high
    assert (covered >= 87).all(), covered


def test_a_perfect_score_on_few_items_has_a_wide_interval():
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.float32)
    macro, micro = multilabel.f1(truth, truth)
    for estimate in (multilabel.accuracy(truth, truth), multilabel.exact(truth, truth), macro, micro):
        assert (estimate.value, estimate.high) == (1.0, 1.0)
        assert estimate.low < 0.75


def report(dataset, probabilities, **more) -> Report:
    return make_report("run-1", dataset, PLAN, probabilities, {"accuracy": 0.9}, **more)


def near(dataset, seed=0, strength=0.3):
    truth = dataset.targets[dataset.rows("test")]
    return np.clip(0.35 + strength * truth + np.random.default_rng(seed).normal(0, 0.1, truth.shape), 0.01, 0.99)


def test_a_report_measures_the_test_items_and_survives_json(tiny_multilabel):
    probabilities, rows = near(tiny_multilabel), tiny_multilabel.rows("test")
    result = report(tiny_multilabel, probabilities)
    assert result.multilabel
    assert result.score == result.auc
    assert result.metric == "mean AUC"
    truth, stored_probabilities = true_and_predicted(result)
    np.testing.assert_array_equal(truth, tiny_multilabel.targets[rows])
    np.testing.assert_allclose(stored_probabilities, probabilities, atol=1e-6)
    assert result.auc.value == pytest.approx(sk.roc_auc_score(truth, probabilities))
    assert load(Report, json.loads(json.dumps(dump(result)))) == result
    wrong = ((probabilities > 0.5) != (truth > 0.5)).any(axis=1)
    assert {item.row for item in errors(result)} == set(rows[wrong].tolist())
    assert [item.right for item in result.predictions] == (~wrong).tolist()
    confidences = [item.confidence for item in errors(result)]
    assert confidences == sorted(confidences, reverse=True)
    mistakes = np.where((probabilities > 0.5) != (truth > 0.5), np.abs(probabilities - 0.5), 0)
    assert confidences[0] == pytest.approx(0.5 + mistakes.max(), abs=1e-5)


def test_a_label_without_test_items_is_reported_and_has_no_auc(tiny_multilabel):
    rows = tiny_multilabel.rows("test")
    tiny_multilabel.targets[rows, 1] = 0
    tiny_multilabel.targets[rows, 2] = 1
    result = report(tiny_multilabel, near(tiny_multilabel))
    assert [score.auc is None for score in result.per_class] == [False, True, True]
    untested = [finding for finding in result.findings if finding.code == "label_untested"]
    assert [finding.items for finding in untested] == [(tiny_multilabel.classes[1],), (tiny_multilabel.classes[2],)]


def test_chance_level_and_never_predicted_labels_are_reported(tiny_multilabel):
    rows = tiny_multilabel.rows("test")
    flat = np.tile([0.9, 0.1, 0.2], (len(rows), 1))
    codes = {finding.code for finding in report(tiny_multilabel, flat).findings}
    assert {"small_test", "class_never_predicted", "no_better_than_chance"} <= codes


def test_a_comparison_is_by_the_mean_auc(tiny_multilabel):
    truth = tiny_multilabel.targets[tiny_multilabel.rows("test")]
    good, bad = near(tiny_multilabel, strength=0.4), near(tiny_multilabel, seed=1, strength=0.0)
    comparison = compare("classical", "the same items", truth, good, bad)
    assert comparison.metric == "mean AUC"
    assert comparison.gain.value == pytest.approx(sk.roc_auc_score(truth, good) - sk.roc_auc_score(truth, bad))
    swapped = compare("classical", "the same items", truth, bad, good)
    assert (swapped.gain.low, swapped.gain.high) == pytest.approx((-comparison.gain.high, -comparison.gain.low))


def test_the_ensemble_is_measured_by_the_mean_auc(tiny_multilabel):
    a, b = (report(tiny_multilabel, near(tiny_multilabel, seed)) for seed in (0, 1))
    truth = tiny_multilabel.targets[tiny_multilabel.rows("test")]
    both = (near(tiny_multilabel, 0) + near(tiny_multilabel, 1)) / 2
    assert f"mean AUC {sk.roc_auc_score(truth, both):.1%}" in ensemble_finding(a, b).message


def test_an_older_report_still_loads():
    loaded = load(Report, json.loads(GOLDEN.read_text(encoding="utf-8")))
    assert not loaded.multilabel
    assert loaded.slices is None
    assert loaded.score == loaded.accuracy
    assert loaded.metric == "accuracy"
    assert [item.right for item in loaded.predictions] == [item.truth == item.predicted for item in loaded.predictions]
    assert len(errors(loaded)) == 1
    assert loaded.comparisons[0].metric == "accuracy"


def test_a_table_names_every_label_above_one_half():
    text = predictions_csv(["x", "y"], np.array([[0.9, 0.2, 0.6], [0.1, 0.2, 0.5]]), "abc", multilabel=True)
    assert [line.split(",")[1] for line in text.splitlines()] == ["predicted", "a|c", ""]
