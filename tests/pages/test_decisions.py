"""The section of the data page on items that look wrong."""

import numpy as np
import pytest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import LEFT_OUT, Decision
from tl_core.data.quality.checks import Suspicion
from tl_core.data.quality.quality_report import QualityReport, write_quality
from tl_core.evaluation.cleaning_effect import CleaningEffect, write_cleaning_effect
from tl_core.runs.events import RunEnded
from tl_core.runs.store import RunStore
from tl_core.types import Estimate, Finding
from ui import rail
from ui.data import quality
from ui.session import Session

pytestmark = pytest.mark.usefixtures("tiny_backbones")


@pytest.fixture
def data(workspace) -> Dataset:
    return scripted.images(workspace)


def open_data(app, workspace, data):
    app.query_params["project"] = scripted.project(workspace, data)
    app.run()
    app.switch_page("../pages/1_data.py").run()
    assert not app.exception, app.exception
    return app


def suspicion(data, rows, code="label-suspect", **more) -> Suspicion:
    """A finding whose items are proposed to be given the next class."""
    rows = tuple(int(row) for row in rows)
    names = tuple(data.classes[(data.labels[row] + 1) % 3] for row in rows)
    proposed = tuple(
        Decision("relabel", tuple(row for row, name in zip(rows, names, strict=True) if name == one), one, code)
        for one in dict.fromkeys(names)
    )
    fields = {"suggested": names, "proposed": proposed} | more
    return Suspicion(Finding("warn", code, f"{len(rows)} pictures seem wrong.", "Look at them."), rows, **fields)


def checked(workspace, data, *suspicions) -> None:
    report = QualityReport(data.fingerprint, data.version, "tiny_image", suspicions, ("labels",))
    write_quality(workspace, data, report)


def keys(app):
    return {button.key for button in app.button}


def click(app, key):
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def now(data) -> Dataset:
    return Dataset.open(data.folder)


def test_unchecked_items_are_not_called_right(app, workspace, data, monkeypatch):

    monkeypatch.setattr(quality, "INSTANT", 3)  # more items than the page looks at by itself
    open_data(app, workspace, data)
    assert "Nothing looks wrong" not in page_text(app)
    assert "decide_check_go" in keys(app)


def test_without_suspicions_there_is_one_line(app, workspace, data):
    open_data(app, workspace, data)
    assert "Nothing looks wrong so far." in page_text(app)
    assert {key for key in keys(app) if key.startswith("decide")} == {"decide_check_go"}
    assert "Decisions so far" not in page_text(app)


def test_a_proposal_is_accepted_and_undone_with_a_button_each(app, workspace, data):
    rows = data.rows("train")[:5]
    checked(workspace, data, suspicion(data, rows))
    open_data(app, workspace, data)
    assert "5 pictures seem wrong." in page_text(app)
    assert app.button(key="decide_all_label-suspect").label == "Accept 5 suggested labels"
    click(app, "decide_all_label-suspect")
    assert now(data).labels[rows].tolist() == ((data.labels[rows] + 1) % 3).tolist()
    assert "5 pictures seem wrong." not in page_text(app)
    click(app, "decide_undo_0")
    assert now(data).decisions_digest == ""
    assert "5 pictures seem wrong." in page_text(app)


def test_the_rail_counts_what_was_left_out(app, workspace, data):
    draft = Session("0123abcd", dataset=data.fingerprint)
    assert f"{len(data.items)} images" in rail.choices(draft)["data"]
    data.decide(Decision("drop", tuple(data.rows("train")[:2].tolist()), "", "label-suspect"))
    assert f"{len(data.items) - 2} images" in rail.choices(draft)["data"]


def test_a_check_is_read_once_and_a_newer_one_is_seen(app, workspace, data, monkeypatch):
    checked(workspace, data, suspicion(data, data.rows("train")[:5]))
    open_data(app, workspace, data)
    with monkeypatch.context() as patched:
        patched.setattr(quality, "read_quality", None)  # a second read would fail
        assert not app.run().exception
    assert "5 pictures seem wrong." in page_text(app)
    checked(workspace, data, suspicion(data, data.rows("train")[:3]))
    assert not app.run().exception
    assert "3 pictures seem wrong." in page_text(app)


def test_items_can_be_decided_one_by_one(app, workspace, data):
    rows = data.rows("train")[:4].tolist()
    checked(workspace, data, suspicion(data, rows))
    click(open_data(app, workspace, data), "decide_look_label-suspect")
    boxes = {box.key: box for box in app.selectbox if box.key.startswith("decide_item_")}
    assert set(boxes) == {f"decide_item_{row}" for row in rows}
    boxes[f"decide_item_{rows[0]}"].select(("drop", ""))
    boxes[f"decide_item_{rows[1]}"].select(("keep", ""))
    boxes[f"decide_item_{rows[2]}"].select((None, ""))
    click(app, "decide_page_go_label-suspect")
    after = now(data)
    assert after.splits[rows].tolist() == [LEFT_OUT, "train", "train", "train"]
    assert after.labels[rows[3]] == (data.labels[rows[3]] + 1) % 3
    assert (after.labels[rows[:3]] == data.labels[rows[:3]]).all()
    left = {box.key for box in app.selectbox if box.key.startswith("decide_item_")}
    assert left == {f"decide_item_{rows[2]}"}


def test_never_more_than_a_page_of_items_is_drawn(app, workspace, data):
    rows = np.setdiff1d(data.rows("train"), [0])[:60]
    checked(workspace, data, suspicion(data, rows))
    click(open_data(app, workspace, data), "decide_look_label-suspect")

    def shown():
        return {int(box.key.rpartition("_")[2]) for box in app.selectbox if box.key.startswith("decide_item_")}

    first = shown()
    assert first == set(rows[:24].tolist())
    app.pagination(key="decide_page_label-suspect").set_value(3).run()
    assert shown() == set(rows[48:].tolist())


def test_a_suspicion_with_a_decision_does_not_come_back(app, workspace, data):
    checked(workspace, data, suspicion(data, data.rows("train")[:3]))
    click(open_data(app, workspace, data), "decide_keep_label-suspect")
    assert "3 pictures seem wrong." not in page_text(app)
    assert now(data).decisions_digest == ""
    assert "kept as they are" in page_text(app)


def test_a_change_of_the_test_set_must_be_confirmed(app, workspace, data):
    rows = data.rows("test")[:2]
    drop = Decision("drop", tuple(rows.tolist()), code="blank")
    checked(workspace, data, suspicion(data, rows, "blank", suggested=(), proposed=(drop,)))
    click(open_data(app, workspace, data), "decide_all_blank")
    assert now(data).splits[rows].tolist() == ["test", "test"]
    assert "2 test items need your confirmation" in page_text(app)
    assert app.button(key="decide_confirm").disabled
    app.text_input(key="decide_reason").input("They are empty.").run()
    click(app, "decide_confirm")
    assert now(data).splits[rows].tolist() == [LEFT_OUT, LEFT_OUT]
    assert "need your confirmation" not in page_text(app)
    assert "They are empty." in page_text(app)


def test_the_test_set_can_be_left_as_it_is(app, workspace, data):
    rows = data.rows("test")[:2]
    data.decide(Decision("drop", tuple(rows.tolist()), code="blank"))
    click(open_data(app, workspace, data), "decide_refuse")
    assert now(data).unconfirmed == ()
    assert "your confirmation" not in page_text(app)


def test_a_class_keeps_its_last_item(app, workspace, data):
    rows = [row for row in data.rows("train").tolist() if data.labels[row] == 0]
    drop = Decision("drop", tuple(rows), code="blank")
    checked(workspace, data, suspicion(data, rows, "blank", suggested=(), proposed=(drop,)))
    click(open_data(app, workspace, data), "decide_all_blank")
    assert "would lose its last training item" in page_text(app)
    assert now(data).decisions == ()


def test_the_check_is_started_with_the_standing_decisions(app, workspace, data):
    data = data.decide(Decision("drop", (int(data.rows("train")[0]),)))
    click(open_data(app, workspace, data), "decide_check_go")
    (state,) = RunStore(workspace).list()
    assert (state.kind, state.task.backbone, state.task.fingerprint) == ("check", "tiny_image", data.fingerprint)
    assert (
        data.with_decisions(state.task.decisions).decisions_digest
        == data.decisions_digest
        == state.task.decisions
        != ""
    )
    assert "decide_check_go" not in keys(app)


def test_a_check_that_failed_says_why_and_is_offered_again(app, workspace, data):
    click(open_data(app, workspace, data), "decide_check_go")
    store = RunStore(workspace)
    (state,) = store.list()
    scripted.event_log.append(
        store.folder(state.id) / scripted.EVENTS_FILE, RunEnded("failed", "The disk is full.", "Free some space.")
    )
    app.run()
    assert "The disk is full" in page_text(app)
    assert "decide_check_go" in keys(app)


def test_the_effect_of_the_decisions_is_one_sentence(app, workspace, data):
    data = data.decide(Decision("drop", (int(data.rows("train")[0]),)))
    gain = Estimate(0.03, -0.01, 0.07, 90, "x")
    effect = CleaningEffect(data.fingerprint, data.version, "tiny_image", 0, 1, 0.83, 0.86, gain, "cannot tell")
    write_cleaning_effect(workspace, data, effect)
    open_data(app, workspace, data)
    assert "With your 1 item left out: 86.0% right instead of 83.0%" in page_text(app).replace("\\", "")


def test_everything_can_be_undone_at_once(app, workspace, data):
    one, two = data.rows("train")[:2].tolist()
    data.decide(Decision("drop", (one,))).decide(Decision("drop", (two,)))
    click(open_data(app, workspace, data), "decide_undo_all")
    assert now(data).decisions == ()


def test_duplicates_are_found_without_a_check(app, workspace, tmp_path):
    from tl_core.data.sources import import_data

    lines = [f'"notice {i} of the {"ab"[i % 2]} office about opening hours",{"ab"[i % 2]}' for i in range(40)]
    path = tmp_path / "notes.csv"
    path.write_text("\n".join(["text,label", *lines, *lines[:3]]))
    data = import_data(str(path), workspace)
    open_data(app, workspace, data)
    assert "exact copies" in page_text(app)
    click(app, "decide_all_duplicates")
    after = now(data)
    assert int((~after.included).sum()) == 3 - len(after.unconfirmed)
    assert not after.items["digest"][after.splits == "train"].duplicated().any()
