import pytest

from tl_core.data.decisions import Decision
from tl_core.data.holdout_log import FILE, MANY_USES, count_holdout_uses, holdout_uses, record_holdout_use
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec


@pytest.fixture
def dataset(make_table, workspace):
    rows = "\n".join(f"text number {n} of its kind,{'ab'[n % 2]}" for n in range(40))
    return import_data(make_table("text,label\n" + rows), workspace)


def test_each_run_counts_once(dataset):
    assert count_holdout_uses(dataset) == (0, None)
    for _ in range(2):
        record_holdout_use(dataset, "run-1", "report")
        record_holdout_use(dataset, "run-2", "report")
        record_holdout_use(dataset, "", "curve of tiny")
    assert [(use.run, use.why) for use in holdout_uses(dataset)] == [
        *(("run-1", "report"), ("run-2", "report")),
        ("", "curve of tiny"),
    ]
    times = [use.when for use in holdout_uses(dataset)]
    assert times == sorted(times)
    assert count_holdout_uses(dataset) == (3, None)


def test_many_uses_are_reported(dataset):
    for number in range(MANY_USES - 1):
        record_holdout_use(dataset, f"run-{number}", "report")
    assert count_holdout_uses(dataset)[1] is None
    record_holdout_use(dataset, "one more", "report")
    n, finding = count_holdout_uses(dataset)
    assert n == MANY_USES
    assert f"used {MANY_USES} times" in finding.message


def test_another_test_set_is_counted_for_itself(dataset):
    record_holdout_use(dataset, "run-1", "report")
    other = dataset.change_split(SplitSpec(seed=5))
    assert count_holdout_uses(other)[0] == 0
    record_holdout_use(other, "run-1", "report")
    assert (count_holdout_uses(dataset)[0], count_holdout_uses(other)[0]) == (1, 1)
    assert count_holdout_uses(other.change_split(SplitSpec()))[0] == 1


def test_a_decision_on_items_makes_no_new_test_set(dataset):
    record_holdout_use(dataset, "run-1", "report")
    decided = dataset.decide(Decision("drop", tuple(dataset.rows("train")[:2].tolist())))
    assert count_holdout_uses(decided)[0] == 1


def test_a_line_that_was_cut_off_spoils_no_other(dataset):
    record_holdout_use(dataset, "run-1", "report")
    path = dataset.folder / FILE
    record_holdout_use(dataset, "run-2", "report")
    path.write_bytes(path.read_bytes()[:-9])
    record_holdout_use(dataset, "run-3", "report")
    assert [use.run for use in holdout_uses(dataset)] == ["run-1", "run-3"]
