"""Decisions on disk: what they change in a data set, and that the source itself never changes."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tl_core.advice.probe_report import probe_path, split_key
from tl_core.data import decision_log
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import LEFT_OUT, Decision
from tl_core.data.options import RawItem, no_progress
from tl_core.data.sources.store import Draft, store
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError
from tl_core.evaluation.result_files import curve_path
from tl_core.runs.task import Task
from tl_core.types import dump, load


def source(dataset):
    return {path.name: path.read_bytes() for path in dataset.folder.iterdir() if path.suffix in (".parquet", ".json")}


def first(dataset, split, label=None):
    rows = dataset.rows(split)
    return int(rows[0] if label is None else next(row for row in rows if dataset.labels[row] == label))


def test_dropped_and_relabelled_items_as_every_reader_sees_them(tiny_images):
    before = source(tiny_images)
    gone, wrong = first(tiny_images, "train", 0), first(tiny_images, "validation")
    new = (tiny_images.labels[wrong] + 1) % 3
    dataset = tiny_images.decide(Decision("drop", (gone,)), Decision("relabel", (wrong,), tiny_images.classes[new]))
    assert dataset.splits[gone] == LEFT_OUT
    assert gone not in dataset.rows("train", "validation", "test")
    assert dataset.labels[wrong] == new
    assert dataset.targets[wrong].tolist() == np.eye(3)[new].tolist()
    others = np.delete(np.arange(len(dataset.items)), [gone, wrong])
    assert (dataset.labels[others] == tiny_images.labels[others]).all()
    assert (dataset.splits[others] == tiny_images.splits[others]).all()
    assert dataset.included.tolist() == [row != gone for row in range(len(dataset.items))]
    assert source(dataset) == before
    assert len(Dataset.open(dataset.folder).items) == len(tiny_images.items)
    assert Dataset.open(dataset.folder).labels.tolist() == dataset.labels.tolist()


def test_no_decision_no_trace(tiny_images):
    dataset = Dataset.open(tiny_images.folder)
    assert dataset.decisions == ()
    assert dataset.decisions_digest == dataset.pin_decisions() == ""
    assert dataset.included.all()
    assert not (dataset.folder / "decisions").exists()


def test_keys_without_decisions_are_those_from_before_there_were_any(workspace, tiny_images):
    rows = tiny_images.rows("train", "validation")
    key = hashlib.sha256(rows.tobytes()).hexdigest()[:12]
    assert split_key(tiny_images) == key
    assert probe_path(workspace, "f", "b", key).name == f"f-b-{key}.json"
    split = hashlib.sha256(json.dumps(dump(SplitSpec()), sort_keys=True).encode()).hexdigest()[:12]
    assert curve_path(workspace, Task("curve", "b", "f")).name == f"f-b-{split}.json"
    old = {k: v for k, v in dump(Task("curve", "b", "f")).items() if "decisions" not in k}
    assert load(Task, old) == Task("curve", "b", "f")


def test_keys_follow_the_decisions_and_come_back_with_them(workspace, tiny_images):
    row = first(tiny_images, "train")
    other = tiny_images.classes[(tiny_images.labels[row] + 1) % 3]
    keys = []
    for dataset in (tiny_images, tiny_images.decide(Decision("relabel", (row,), other)), tiny_images.undo(0)):
        task = Task("curve", "b", dataset.fingerprint, decisions=dataset.pin_decisions())
        keys.append((dataset.version, split_key(dataset), curve_path(workspace, task)))
    assert keys[0] == keys[2]
    assert all(mine != theirs for mine, theirs in zip(*keys[:2], strict=True))


def test_what_changes_nothing_changes_no_key(tiny_images):
    test, train = first(tiny_images, "test"), first(tiny_images, "train")
    dataset = tiny_images.decide(Decision("keep", (train,), code="odd"), Decision("drop", (test,)))
    assert len(dataset.decisions) == 2
    assert dataset.version == tiny_images.version
    assert dataset.pin_decisions() == ""


def test_an_item_of_test_is_changed_by_a_confirmed_decision_that_says_why(tiny_images):
    row = first(tiny_images, "test")
    pending = tiny_images.decide(Decision("drop", (row,)))
    assert pending.splits[row] == "test"
    sure = pending.decide(Decision("drop", (row,), confirmed=True, reason="It is a copy."))
    assert sure.splits[row] == LEFT_OUT
    logged = decision_log.history(sure.folder)[-1].decisions[0]
    assert (logged.confirmed, logged.reason) == (True, "It is a copy.")
    assert logged.when > 1e9


def test_a_pinned_state_outlives_what_follows(tiny_images):
    row, next_row = tiny_images.rows("train")[:2].tolist()
    dataset = tiny_images.decide(Decision("drop", (row,)))
    name = dataset.pin_decisions()
    later = dataset.undo(0).decide(Decision("drop", (next_row,)))
    then = later.with_decisions(name)
    assert (then.splits == dataset.splits).all()
    assert then.decisions_digest == name
    assert then.version == dataset.version != later.version
    assert (later.with_decisions("").splits == tiny_images.splits).all()
    with pytest.raises(DataError, match="can no longer be read"):
        later.with_decisions("0123456789ab")


def test_a_new_split_is_that_of_the_source_without_the_items_left_out(tiny_images):
    rows = tuple(tiny_images.rows("train")[:3].tolist())
    spec = SplitSpec(seed=7)
    plain = tiny_images.change_split(spec)
    dataset = plain.decide(Decision("drop", rows))
    changed = (dataset.splits != plain.splits).nonzero()[0].tolist()
    assert changed == [row for row in rows if plain.splits[row] != "test"]


def test_what_was_read_is_not_read_again_and_what_follows_is_new(tiny_images):
    before = tiny_images.splits.tolist()
    dataset = tiny_images.decide(Decision("drop", (first(tiny_images, "train"),)))
    assert dataset.items is tiny_images.items
    assert dataset.splits.tolist() != before == dataset.with_decisions("").splits.tolist()
    spec = SplitSpec(seed=3)
    drawn = dataset.change_split(spec)
    assert drawn.items is tiny_images.items
    assert drawn.source_splits.tolist() == Dataset.open(dataset.folder).source_splits.tolist() != before


def test_what_is_refused_leaves_no_trace(tiny_images):
    everything = tuple(row for row in tiny_images.rows("train").tolist() if tiny_images.labels[row] == 0)
    with pytest.raises(DataError, match="last training item"):
        tiny_images.decide(Decision("keep", (0,)), Decision("drop", everything))
    assert decision_log.history(tiny_images.folder) == ()
    with pytest.raises(DataError, match="no decision number 0"):
        tiny_images.undo(0)


def test_what_is_taken_back_leaves_every_class_something_to_learn_from(tiny_images):
    train = tiny_images.rows("train")
    mine = tuple(train[tiny_images.labels[train] == 0].tolist())
    other = next(row for row in train.tolist() if tiny_images.labels[row] == 1)
    tiny_images.decide(Decision("relabel", (other,), tiny_images.classes[0]))
    dataset = tiny_images.with_current_decisions().decide(Decision("drop", mine))
    with pytest.raises(DataError, match=f"{tiny_images.classes[0]!r} would lose its last training item") as refused:
        dataset.undo(0)
    assert "Undo" in refused.value.hint
    assert [entry.undone for entry in decision_log.history(dataset.folder)] == [0, 0]
    assert dataset.with_current_decisions().version == dataset.version
    assert dataset.undo(0, 1).version == tiny_images.version


def test_what_the_source_did_not_have_may_be_taken_back(workspace):
    given_splits = ["train"] * 6 + ["test"] * 2
    items = [
        RawItem(f"row {i}", "ab"[i % 2] if i < 6 else "c", text=f"text {i}", given=given_splits[i]) for i in range(8)
    ]
    dataset = store(items, Draft("letters", "x.csv", "text"), workspace, no_progress)
    anew = dataset.decide(Decision("relabel", (0,), "c"))
    assert anew.classes[anew.labels[0]] == "c"
    assert anew.undo(0).version == dataset.version


def test_a_decision_is_taken_back_once(tiny_images):
    dataset = tiny_images.decide(Decision("drop", (first(tiny_images, "train"),))).undo(0)
    assert dataset.decisions == ()
    assert decision_log.history(dataset.folder)[0].undone > 1e9
    with pytest.raises(DataError, match="no decision number 0"):
        dataset.undo(0)


def test_a_line_that_a_crash_cut_off_does_not_take_the_log_with_it(tiny_images):
    one, two = tiny_images.rows("train")[:2].tolist()
    dataset = tiny_images.decide(Decision("drop", (one,)))
    log = dataset.folder / decision_log.LOG
    log.write_bytes(log.read_bytes() + b'{"decide": [{"acti')
    dataset = Dataset.open(dataset.folder).decide(Decision("drop", (two,)))
    assert [entry.number for entry in decision_log.history(dataset.folder)] == [0, 2]
    assert dataset.undo(2).splits[[one, two]].tolist() == [LEFT_OUT, "train"]


@pytest.mark.parametrize(
    "line", ["7", "null", "[]", '{"undo": 0, "when": 1.0}', '{"undo": [0]}', '{"decide": [{"action": "drop"}]}', "{}"]
)
def test_a_damaged_line_does_not_take_the_log_with_it(tiny_images, line):
    one, two = tiny_images.rows("train")[:2].tolist()
    dataset = tiny_images.decide(Decision("drop", (one,)))
    log = dataset.folder / decision_log.LOG
    log.write_text(f"{log.read_text()}{line}\n")
    dataset = Dataset.open(dataset.folder).decide(Decision("drop", (two,)))
    assert [(entry.number, entry.undone) for entry in decision_log.history(dataset.folder)] == [(0, 0.0), (2, 0.0)]
    assert dataset.splits[[one, two]].tolist() == [LEFT_OUT, LEFT_OUT]


def test_several_labels_an_item_keep_their_stratum_in_step(workspace):
    labels = [("fluid", "cough"), (), ("cough",), ("cough", "fracture"), ("cough",), ("fluid",)]
    items = [RawItem(f"row {i}", "", text=f"finding {i}", labels=decision) for i, decision in enumerate(labels)]
    dataset = store(items, Draft("x-rays", "x.csv", "text"), workspace, no_progress)
    decisions = [Decision("relabel", (2,), ("cough", "fluid")), Decision("relabel", (4,), ())]
    changed = dataset.decide(*(Decision(d.action, d.rows, d.label, confirmed=True) for d in decisions))
    assert changed.classes == ("cough", "fluid", "fracture")
    assert changed.targets[[2, 4]].tolist() == [[1, 1, 0], [0, 0, 0]]
    assert changed.labels[[2, 4]].tolist() == [1, 3]
    assert changed.labels[[0, 1, 3, 5]].tolist() == dataset.labels[[0, 1, 3, 5]].tolist()


row_sets = st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True).map(tuple)
steps = st.lists(
    st.one_of(
        st.builds(Decision, st.just("drop"), row_sets, confirmed=st.booleans()),
        st.builds(Decision, st.just("relabel"), row_sets, st.integers(0, 2), confirmed=st.booleans()),
        st.builds(Decision, st.just("keep"), row_sets, code=st.just("odd")),
        st.builds(Decision, st.just("together"), row_sets, confirmed=st.booleans()),
        st.integers(0, 8),
    ),
    max_size=8,
)


@given(steps)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undo_is_the_inverse_of_deciding_and_the_source_stays(tiny_images, steps):
    (tiny_images.folder / decision_log.LOG).unlink(missing_ok=True)
    before, dataset = source(tiny_images), Dataset.open(tiny_images.folder)
    standing, versions = [], [dataset.version]
    for step in steps:
        if isinstance(step, int):
            if not standing:
                continue
            dataset = dataset.undo(standing.pop())
            versions.pop()
        else:
            names = dataset.classes[step.label] if step.action == "relabel" else ""
            try:
                dataset = dataset.decide(Decision(step.action, step.rows, names, step.code, confirmed=step.confirmed))
            except DataError:
                continue
            standing.append(decision_log.history(dataset.folder)[-1].number)
            versions.append(dataset.version)
        assert dataset.version == versions[-1]
    assert dataset.undo(*standing).version == tiny_images.version
    assert source(tiny_images) == before
