"""The report: its content, its warnings, and saving and loading."""

import numpy as np
import pytest

from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError
from tl_core.evaluation.report import IN_TRAIN, errors, make_report
from tl_core.evaluation.results import Report
from tl_core.plan import Phase, TransferPlan
from tl_core.types import dump, load

PLAN = TransferPlan("tiny_text", "feature_extraction", (Phase("head", 1, {"head": 1.0}),))


def report(dataset, probabilities) -> Report:
    return make_report("run-1", dataset, PLAN, probabilities, {"accuracy": 0.9})


def codes(result: Report) -> set[str]:
    return {finding.code for finding in result.findings}


def test_a_report_measures_the_test_rows_and_survives_json(tiny_texts):
    rows = tiny_texts.rows("test")
    truth = tiny_texts.labels[rows]
    probabilities = np.where(np.arange(2) == truth[:, None], 0.8, 0.2)
    probabilities[0] = probabilities[0][::-1]
    result = report(tiny_texts, probabilities)
    assert result.accuracy.n == len(rows)
    assert result.accuracy.value == pytest.approx(1 - 1 / len(rows))
    assert [p.row for p in result.predictions] == rows.tolist()
    assert [p.item for p in result.predictions] == tiny_texts.items["id"].iloc[rows].tolist()
    assert np.sum(result.confusion) == len(rows)
    assert result.auc is not None
    assert result.auc.n == len(rows)
    assert result.environment["torch"]
    assert load(Report, dump(result)) == result
    assert [p.row for p in errors(result)] == [rows[0]]


def test_errors_come_most_confident_first(tiny_texts):
    rows = tiny_texts.rows("test")
    truth = tiny_texts.labels[rows]
    confidence = np.linspace(0.55, 0.95, len(rows))
    probabilities = np.where(np.arange(2) == truth[:, None], 1 - confidence[:, None], confidence[:, None])
    wrong = errors(report(tiny_texts, probabilities))
    assert [p.row for p in wrong] == rows[::-1].tolist()


def test_warnings_about_a_small_test_set_and_a_majority_classifier(tiny_texts):
    rows = tiny_texts.rows("test")
    result = report(tiny_texts, np.tile([0.9, 0.1], (len(rows), 1)))
    assert codes(result) == {"small_test", "class_never_predicted", "no_better_than_largest"}
    assert "'b'" in next(f.message for f in result.findings if f.code == "class_never_predicted")


def test_a_large_and_good_test_needs_no_warning(workspace):
    from tests.tiny import make_texts

    dataset = make_texts(workspace, per_class=150)
    truth = dataset.labels[dataset.rows("test")]
    assert codes(report(dataset, np.eye(2)[truth])) == set()


def test_a_class_without_test_items_is_reported(tiny_texts):
    given = tiny_texts.items.assign(given=np.where(tiny_texts.labels == 0, "test", "train"))
    tiny_texts.__dict__["items"] = given
    tiny_texts.__dict__.pop("splits", None)
    rows = tiny_texts.rows("test")
    result = report(tiny_texts, np.tile([0.9, 0.1], (len(rows), 1)))
    assert "class_untested" in codes(result)


def test_test_items_that_are_also_in_train_are_reported(workspace, tmp_path):
    rows = [f"said words number {n},{'ab'[n % 2]},{'test' if n < 10 else 'train'}" for n in range(40)]
    for copies, name in ((0, "apart"), (3, "mixed")):
        more = [f"said words number {n},{'ab'[n % 2]},train" for n in range(copies)]
        (tmp_path / f"{name}.csv").write_text("text,label,split\n" + "\n".join([*rows, *more]))
        dataset = import_data(str(tmp_path / f"{name}.csv"), workspace)
        result = report(dataset, np.eye(2)[dataset.labels[dataset.rows("test")]])
        messages = [finding.message for finding in result.findings if finding.code == IN_TRAIN]
        assert len(messages) == bool(copies)
        assert not copies or "3 of the 10 test items are also in the training or validation data" in messages[0]


def test_without_test_items_there_is_no_report(tiny_texts):
    dataset = tiny_texts.change_split(SplitSpec(test=0.0))
    with pytest.raises(DataError, match="no test item"):
        report(dataset, np.empty((0, 2)))
