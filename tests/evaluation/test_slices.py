"""Subgroups: scores and gaps against counts by hand, scikit-learn and simulation, and the findings about them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.tiny import make_multilabel, make_texts
from tl_core.evaluation.report import make_report
from tl_core.evaluation.slices import measure_slices, slice_findings
from tl_core.plan import Phase, TransferPlan

PLAN = TransferPlan("tiny_text", "feature_extraction", (Phase("head", 1, {"head": 1.0}),))


def with_subgroups(dataset, names):
    """Return the data set with `names` as the subgroup of each row."""
    dataset = replace(dataset, subgroup_column="clinic")
    dataset.__dict__["items"] = dataset.items.assign(subgroup=names)
    return dataset


@pytest.fixture
def three_clinics(workspace):
    """300 texts, 200 of them from "north", 90 from "south", 6 from "west", 4 without a clinic."""
    names = np.repeat(["north", "south", "west", ""], [200, 90, 6, 4])
    return with_subgroups(make_texts(workspace, per_class=150), names)


def predictions_with_errors(dataset, wrong):
    predicted = dataset.labels.copy()
    predicted[wrong] = 1 - predicted[wrong]
    return predicted


def test_the_worst_slice_is_named(three_clinics):
    slices = measure_slices(
        three_clinics,
        np.arange(300),
        three_clinics.labels,
        predictions_with_errors(three_clinics, np.r_[0:10, 200:230]),
    )
    north, south, west = slices.slices
    assert [(subgroup.name, subgroup.n) for subgroup in slices.slices] == [("north", 200), ("south", 90), ("west", 6)]
    assert (north.score.value, south.score.value) == pytest.approx((190 / 200, 60 / 90))
    assert south.gap.value == pytest.approx(60 / 90 - 200 / 210)
    assert (slices.worst, slices.without, slices.column) == ("south", 4, "clinic")
    assert west.gap is None
    findings = {finding.code: finding for finding in slice_findings(slices)}
    assert findings["slice_worse"].items == ("south",)
    assert "'south'" in findings["slice_worse"].message
    assert findings["slice_small"].items == ("west",)


def test_equal_slices_are_rarely_called_worse(three_clinics):
    """Without any true difference, about one test set in twenty, at most, reports a worse slice."""
    draw = np.random.default_rng(0)
    false_alarms = 0
    for _ in range(200):
        names = draw.permutation(np.repeat(["a", "b", "c", "d", "e"], 60))
        slices = measure_slices(
            with_subgroups(three_clinics, names),
            np.arange(300),
            three_clinics.labels,
            predictions_with_errors(three_clinics, draw.random(300) < 0.2),
        )
        false_alarms += any(finding.code == "slice_worse" for finding in slice_findings(slices))
    assert false_alarms <= 12


def test_multilabel_slices_are_compared_by_mean_auc_over_the_labels_both_sides_have(workspace):
    dataset = make_multilabel(workspace, 200)
    rows, names = np.arange(200), dataset.items["subgroup"].to_numpy()
    draw = np.random.default_rng(0)
    probabilities = dataset.targets * np.where(names == "short", 0.0, 1.0)[:, None] + draw.normal(0, 0.5, (200, 3))
    truth = dataset.targets.copy()
    truth[names == "short", 2] = 0
    slices = measure_slices(dataset, rows, truth, probabilities)
    assert (slices.metric, slices.column, slices.worst) == ("mean AUC", "length", "short")
    short = next(subgroup for subgroup in slices.slices if subgroup.name == "short")
    inside, outside = names == "short", names != "short"
    a, b = (roc_auc_score(truth[mask][:, :2], probabilities[mask][:, :2]) for mask in (inside, outside))
    assert short.gap.value == pytest.approx(a - b)
    assert [finding.items for finding in slice_findings(slices) if finding.code == "slice_worse"] == [("short",)]


def test_equal_slices_have_no_worst_one(three_clinics):
    assert measure_slices(three_clinics, np.arange(300), three_clinics.labels, three_clinics.labels).worst == ""


def test_a_single_subgroup_gives_no_slices(tiny_texts):
    rows = np.arange(len(tiny_texts.labels))
    assert measure_slices(tiny_texts, rows, tiny_texts.labels, tiny_texts.labels) is None
    single = with_subgroups(tiny_texts, np.where(rows < 20, "a", ""))
    assert measure_slices(single, rows, single.labels, single.labels) is None
    assert list(slice_findings(None)) == []


def test_the_report_has_the_slices_of_its_test_items(three_clinics):
    rows = three_clinics.rows("test")
    probabilities = np.eye(2)[
        predictions_with_errors(three_clinics, np.flatnonzero(three_clinics.items["subgroup"] == "south"))[rows]
    ]
    report = make_report("run-1", three_clinics, PLAN, probabilities, {"accuracy": 0.9})
    assert sum(subgroup.n for subgroup in report.slices.slices) + report.slices.without == len(rows)
    assert report.slices.worst == "south"
    assert "slice_worse" in {finding.code for finding in report.findings}
