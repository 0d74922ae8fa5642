import pytest

from tl_core.data.decisions import Decision
from tl_core.data.looked import FILE, MANY, looked, looks, record_look
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec


@pytest.fixture
def dataset(make_table, workspace):
    rows = "\n".join(f"text number {n} of its kind,{'ab'[n % 2]}" for n in range(40))
    return import_data(make_table("text,label\n" + rows), workspace)


def test_each_run_counts_once(dataset):
    assert looked(dataset) == (0, None)
    for _ in range(2):
        record_look(dataset, "run-1", "report")
        record_look(dataset, "run-2", "report")
        record_look(dataset, "", "curve of tiny")
    assert [(look.run, look.why) for look in looks(dataset)] == [
        *(("run-1", "report"), ("run-2", "report")),
        ("", "curve of tiny"),
    ]
    times = [look.when for look in looks(dataset)]
    assert times == sorted(times)
    assert looked(dataset) == (3, None)


def test_many_looks_are_told(dataset):
    for number in range(MANY - 1):
        record_look(dataset, f"run-{number}", "report")
    assert looked(dataset)[1] is None
    record_look(dataset, "one more", "report")
    n, finding = looked(dataset)
    assert n == MANY
    assert f"looked at {MANY} times" in finding.message


def test_another_test_set_is_counted_for_itself(dataset):
    record_look(dataset, "run-1", "report")
    other = dataset.resplit(SplitSpec(seed=5))
    assert looked(other)[0] == 0
    record_look(other, "run-1", "report")
    assert (looked(dataset)[0], looked(other)[0]) == (1, 1)
    assert looked(other.resplit(SplitSpec()))[0] == 1


def test_a_decision_on_items_makes_no_new_test_set(dataset):
    record_look(dataset, "run-1", "report")
    decided = dataset.decide(Decision("drop", tuple(dataset.rows("train")[:2].tolist())))
    assert looked(decided)[0] == 1


def test_a_line_that_was_cut_off_spoils_no_other(dataset):
    record_look(dataset, "run-1", "report")
    path = dataset.folder / FILE
    record_look(dataset, "run-2", "report")
    path.write_bytes(path.read_bytes()[:-9])
    record_look(dataset, "run-3", "report")
    assert [look.run for look in looks(dataset)] == ["run-1", "run-3"]
