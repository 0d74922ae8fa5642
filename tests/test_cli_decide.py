"""`decide` on the command line: decisions apply to every later command and can be undone."""

import json

import pytest

from tests.test_cli import call
from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import Suspicion
from tl_core.data.quality.quality_report import QualityReport, write_quality
from tl_core.data.sources import import_data
from tl_core.types import Finding


@pytest.fixture
def table(tmp_path, workspace):
    lines = [
        "text,label",
        *(f'"number {i} of the {"ab"[i % 2]} kind, with the weather",{"ab"[i % 2]}' for i in range(40)),
    ]
    path = tmp_path / "notes.csv"
    path.write_text("\n".join(lines))
    return path


def rows_of(table, workspace, split):
    dataset = import_data(str(table), workspace)
    return dataset.items["id"].iloc[dataset.source_splits == split].tolist()


def splits(capsys, table):
    code, out, _ = call(capsys, "profile", table, "--json")
    assert code == 0
    classes = json.loads(out)["classes"]
    return {split: sum(one[split] for one in classes) for split in ("train", "validation", "test")}


def test_dropped_items_are_left_out_everywhere_until_undone(capsys, workspace, table):
    before, names = splits(capsys, table), rows_of(table, workspace, "train")[:2]
    code, out, _ = call(capsys, "decide", table, "drop", *names)
    assert code == 0
    assert "2 items left out" in out
    assert names[0] in out
    assert splits(capsys, table) == before | {"train": before["train"] - 2}
    code, out, _ = call(capsys, "decide", table, "undo", "0")
    assert "There are no decisions" in out
    assert splits(capsys, table) == before


def test_a_label_is_corrected(capsys, workspace, table):
    name = rows_of(table, workspace, "validation")[0]
    dataset = import_data(str(table), workspace)
    row = dataset.items["id"].tolist().index(name)
    other = dataset.classes[1 - dataset.labels[row]]
    code, out, _ = call(capsys, "decide", table, "relabel", name, "--label", other, "--json")
    assert code == 0
    assert json.loads(out)["entries"][0]["decisions"][0]["label"] == other
    assert import_data(str(table), workspace).labels[row] == dataset.classes.index(other)


def test_decisions_about_test_items_need_confirmation(capsys, workspace, table):
    before, names = splits(capsys, table), rows_of(table, workspace, "test")[:1]
    code, out, _ = call(capsys, "decide", table, "drop", *names)
    assert "1 of these items is in the test set and is not changed yet" in out
    assert splits(capsys, table) == before
    code, _, err = call(capsys, "decide", table, "confirm")
    assert code == 2
    assert "needs a reason" in err
    code, out, _ = call(capsys, "decide", table, "confirm", "--reason", "It is empty.")
    assert code == 0
    assert "(It is empty.)" in out
    assert "not changed yet" not in out
    assert splits(capsys, table) == before | {"test": before["test"] - 1}


def test_accept_takes_the_proposals_that_are_still_open(capsys, workspace, table):
    dataset = import_data(str(table), workspace)
    first, second, third = dataset.rows("train")[:3].tolist()
    proposed = Decision("drop", (first, second, third), code="blank")
    suspicion = Suspicion(
        Finding("warn", "blank", "Three texts say nothing."), (first, second, third), proposed=(proposed,)
    )
    write_quality(workspace, dataset, QualityReport(dataset.fingerprint, dataset.version, "", (suspicion,), ("blank",)))
    names = dataset.items["id"]
    call(capsys, "decide", table, "keep", names[second], "--code", "blank")
    code, out, _ = call(capsys, "decide", table, "accept", "blank")
    assert code == 0
    assert "2 items left out" in out
    assert import_data(str(table), workspace).splits[[first, second, third]].tolist() == ["out", "train", "out"]
    code, _, err = call(capsys, "decide", table, "accept", "blank")
    assert code == 2
    assert "Nothing is proposed under 'blank'" in err


def test_check_prints_how_to_accept_its_proposals(capsys, workspace, table):
    dataset = import_data(str(table), workspace)
    row = int(dataset.rows("train")[0])
    other = dataset.classes[1 - dataset.labels[row]]
    finding = Finding("warn", "label-suspect", "One text seems to have the wrong label.")
    suspicion = Suspicion(finding, (row,), suggested=(other,), proposed=(Decision("relabel", (row,), other),))
    write_quality(
        workspace, dataset, QualityReport(dataset.fingerprint, dataset.version, "", (suspicion,), ("labels",))
    )
    code, out, _ = call(capsys, "check", table, "--quick")
    assert code == 0
    assert "proposed: give it the suggested label (decide DATA accept label-suspect)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("drop",), "needs items"),
        (("drop", "row 999"), "There is no item 'row 999'"),
        (("relabel", "row 2"), "`relabel` needs one"),
        (("relabel", "row 2", "--label", "c"), "'c' is not a class"),
        (("drop", "row 2", "--label", "a"), "belongs to `relabel`"),
        (("undo", "first"), "'first' is not the number"),
        (("undo", "4"), "no decision number 4"),
        (("confirm", "--reason", "x"), "is waiting to be confirmed"),
        (("accept", "blank"), "was not checked yet"),
        (("forget",), "invalid choice: 'forget'"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, workspace, table, arguments, message):
    code, out, err = call(capsys, "decide", table, *arguments)
    assert code == 2
    assert message in err
    assert not out
