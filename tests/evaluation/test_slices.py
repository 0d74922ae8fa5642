"""Subgroups: scores and gaps against the published example, simulation and brute force; what is told of them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.tiny import make_multilabel, make_texts
from tl_core.evaluation.report import make_report
from tl_core.evaluation.slices import measure_slices, slice_findings
from tl_core.plan import Phase, TransferPlan

PLAN = TransferPlan("tiny_text", "feature_extraction", (Phase("head", 1, {"head": 1.0}),))


def sliced(dataset, names):
    """The data set with the subgroup of each row told by `names`."""
    dataset = replace(dataset, subgroup_column="clinic")
    dataset.__dict__["items"] = dataset.items.assign(subgroup=names)
    return dataset


@pytest.fixture
def three(workspace):
    """300 texts, 200 of them from "north", 90 from "south", 6 from "west", 4 from nowhere."""
    names = np.repeat(["north", "south", "west", ""], [200, 90, 6, 4])
    return sliced(make_texts(workspace, per_class=150), names)


def answered(dataset, wrong):
    found = dataset.labels.copy()
    found[wrong] = 1 - found[wrong]
    return found


def test_a_slice_that_is_worse_is_named(three):
    found = measure_slices(three, np.arange(300), three.labels, answered(three, np.r_[0:10, 200:230]))
    north, south, west = found.slices
    assert [(one.name, one.n) for one in found.slices] == [("north", 200), ("south", 90), ("west", 6)]
    assert (north.score.value, south.score.value) == pytest.approx((190 / 200, 60 / 90))
    assert south.gap.value == pytest.approx(60 / 90 - 200 / 210)
    assert (found.worst, found.without, found.column) == ("south", 4, "clinic")
    assert west.gap is None
    told = {finding.code: finding for finding in slice_findings(found)}
    assert told["slice_worse"].items == ("south",)
    assert "'south'" in told["slice_worse"].message
    assert told["slice_small"].items == ("west",)


def test_equal_slices_are_rarely_called_worse(three):
    """Of many test sets without any difference, at most about one in twenty tells of a worse slice (either side)."""
    draw = np.random.default_rng(0)
    told = 0
    for _ in range(200):
        names = draw.permutation(np.repeat(["a", "b", "c", "d", "e"], 60))
        found = measure_slices(
            sliced(three, names), np.arange(300), three.labels, answered(three, draw.random(300) < 0.2)
        )
        told += any(finding.code == "slice_worse" for finding in slice_findings(found))
    assert told <= 12


def test_several_labels_are_compared_by_the_mean_auc_over_the_labels_that_both_sides_have(workspace):
    dataset = make_multilabel(workspace, 200)
    rows, names = np.arange(200), dataset.items["subgroup"].to_numpy()
    draw = np.random.default_rng(0)
    probabilities = dataset.targets * np.where(names == "short", 0.0, 1.0)[:, None] + draw.normal(0, 0.5, (200, 3))
    truth = dataset.targets.copy()
    truth[names == "short", 2] = 0
    found = measure_slices(dataset, rows, truth, probabilities)
    assert (found.metric, found.column, found.worst) == ("mean AUC", "length", "short")
    short = next(one for one in found.slices if one.name == "short")
    inside, outside = names == "short", names != "short"
    a, b = (roc_auc_score(truth[mask][:, :2], probabilities[mask][:, :2]) for mask in (inside, outside))
    assert short.gap.value == pytest.approx(a - b)
    assert [finding.items for finding in slice_findings(found) if finding.code == "slice_worse"] == [("short",)]


def test_of_equal_slices_none_is_the_worst(three):
    assert measure_slices(three, np.arange(300), three.labels, three.labels).worst == ""


def test_one_subgroup_or_none_is_no_slice(tiny_texts):
    rows = np.arange(len(tiny_texts.labels))
    assert measure_slices(tiny_texts, rows, tiny_texts.labels, tiny_texts.labels) is None
    one = sliced(tiny_texts, np.where(rows < 20, "a", ""))
    assert measure_slices(one, rows, one.labels, one.labels) is None
    assert list(slice_findings(None)) == []


def test_the_report_has_the_slices_of_its_test_items(three):
    rows = three.rows("test")
    probabilities = np.eye(2)[answered(three, np.flatnonzero(three.items["subgroup"] == "south"))[rows]]
    found = make_report("run-1", three, PLAN, probabilities, {"accuracy": 0.9})
    assert sum(one.n for one in found.slices.slices) + found.slices.without == len(rows)
    assert found.slices.worst == "south"
    assert "slice_worse" in {finding.code for finding in found.findings}
