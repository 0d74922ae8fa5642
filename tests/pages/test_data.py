import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from tests.pages import scripted
from tests.pages.conftest import csv_bytes, said, upload, zip_bytes
from tl_core.data.looked import record_look
from tl_core.evaluation.inflation import HonestScore, write_honest
from tl_core.types import Estimate
from tl_core.workspace import Workspace
from ui import session


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def box(app: AppTest, name: str) -> Selectbox:
    """The list of columns for `name`."""
    return next(each for each in app.selectbox if each.key.startswith("data_") and each.key.endswith(f"_{name}"))


def test_first_visit_offers_every_way_in(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert app.title[0].value == "Bring your data"
    assert {button.key for button in app.button} >= {"data_sample_bbc_news", "data_sample_digits", "rail_next"}
    assert app.button(key="rail_next").disabled


def test_zip_of_pictures_becomes_a_data_set(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    assert not app.exception
    assert not app.error
    assert metrics(app)["Images"] == "24"
    assert metrics(app)["Classes"] == "2"
    assert not app.button(key="rail_next").disabled


def test_upload_is_not_kept_twice(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    assert list(workspace.folder("uploads").rglob("*.zip")) == []
    assert list(workspace.folder("imports").iterdir()) == []


def test_table_is_shown_before_it_is_imported(app: AppTest) -> None:
    upload(app, "letters.csv", csv_bytes())
    assert box(app, "text").value == "text"
    assert box(app, "label").value == "label"
    assert "Texts" not in metrics(app)
    app.button(key="data_import").click().run()
    assert metrics(app)["Texts"] == "40"


def test_columns_can_be_corrected(app: AppTest) -> None:
    upload(app, "letters.csv", b"topic;body\n" + b"sport;a late goal in the match\nnews;a vote in the house\n" * 10)
    box(app, "text").select("topic")
    box(app, "label").select("topic")
    app.run()
    assert app.button(key="data_import").disabled
    box(app, "text").select("body").run()
    assert not app.button(key="data_import").disabled


def test_a_label_that_was_not_found_is_asked_for(app: AppTest) -> None:
    rows = b"".join(b"%d,letter number %d,web\n" % (i, i) for i in range(30))
    upload(app, "letters.csv", b"nr,note,channel\n" + rows)
    assert box(app, "label").value is None
    assert "No column" in said(app)
    assert app.button(key="data_import").disabled
    box(app, "label").select("channel").run()
    assert "No column" not in said(app)
    assert not app.button(key="data_import").disabled


def test_what_is_said_of_the_label_is_said_of_the_chosen_column(app: AppTest) -> None:
    rows = b"".join(b"%d,letter number %d,%s\n" % (i, i, (b"a", b"b")[i % 2]) for i in range(30))
    upload(app, "letters.csv", b"nr,note,label\n" + rows)
    box(app, "label").select("nr").run()
    assert "'nr' has 30 different" in said(app)


def test_cancelled_table_is_gone(app: AppTest, workspace: Workspace) -> None:
    upload(app, "letters.csv", csv_bytes())
    app.button(key="data_cancel").click().run()
    assert app.title[0].value == "Bring your data"
    assert list(workspace.folder("uploads").rglob("*.csv")) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.zip", b"this is not a zip"), ("empty.zip", b""), ("empty.csv", b""), ("one.zip", zip_bytes(3, ("a",)))],
)
def test_bad_upload_ends_in_a_sentence(app: AppTest, name: str, content: bytes) -> None:
    upload(app, name, content)
    assert not app.exception
    assert app.error
    assert "Traceback" not in said(app)
    assert app.button(key="rail_next").disabled


def test_a_good_upload_after_a_bad_one_is_taken(app: AppTest) -> None:
    upload(app, "empty.csv", b"")
    assert app.error
    upload(app, "letters.csv", csv_bytes())
    assert not app.error
    assert box(app, "text").value == "text"


def test_path_on_the_server(app: AppTest, tmp_path) -> None:
    (tmp_path / "flowers.zip").write_bytes(zip_bytes())
    app.run()
    app.text_input(key="data_path").input(str(tmp_path / "flowers.zip"))
    app.button(key="data_path_open").click().run()
    assert metrics(app)["Images"] == "24"
    assert (tmp_path / "flowers.zip").exists()


def test_missing_path_says_so(app: AppTest) -> None:
    app.run()
    app.text_input(key="data_path").input("/no/such/place")
    app.button(key="data_path_open").click().run()
    assert "/no/such/place" in app.error[0].value


def test_split_can_be_changed(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes(50))
    app.slider(key="data_test").set_value(40)
    app.button(key="data_split_apply").click().run()
    assert metrics(app)["Test: is judged by"] == "40"


def repeated(times: int) -> bytes:
    """A table of letters, each `times` times in another case."""
    lines = csv_bytes().decode().splitlines()
    more = [line[:1] + line[1:-6].upper() + line[-6:] for line in lines[1:]]
    return "\n".join(lines + more * (times - 1)).encode()


def test_look_alikes_stay_together_unless_told_otherwise(app: AppTest) -> None:
    upload(app, "letters.csv", repeated(2))
    app.button(key="data_import").click().run()
    dataset = session.open_dataset(next(path.name for path in (session.workspace().root / "datasets").iterdir()))
    pairs = dataset.splits.reshape(2, -1)
    assert (pairs[0] == pairs[1]).all()
    assert "nearly identical items stay on the same side" in said(app)
    app.toggle(key="data_near").set_value(False)
    app.button(key="data_split_apply").click().run()
    pairs = session.open_dataset(dataset.fingerprint).splits.reshape(2, -1)
    assert (pairs[0] != pairs[1]).any()
    assert "nearly identical" not in said(app)
    assert app.toggle(key="data_by_time").disabled


@pytest.mark.usefixtures("tiny_backbones")
def test_what_copies_feign_and_looks_at_the_test_items_are_said(app: AppTest, workspace: Workspace) -> None:
    dataset = scripted.images(workspace)
    score = HonestScore(
        *(dataset.fingerprint, scripted.PLAN.backbone, Estimate(0.88, 0.8, 0.9, 60, "x")),
        *(Estimate(0.93, 0.9, 0.95, 60, "x"), Estimate(0.05, 0.02, 0.08, 60, "x"), 60, 30, False),
    )
    write_honest(workspace, dataset, score)
    record_look(dataset, "run-1", "report")
    app.query_params["project"] = scripted.project(workspace, dataset)
    app.run()
    assert "would have shown 93.0% instead of 88.0%: 5.0 points too good (between 2.0 and 8.0)" in said(app)
    assert "The test items were looked at once." in said(app)
    for number in range(6):
        record_look(dataset, f"another-{number}", "report")
    app.run()
    assert "This test set has been looked at 7 times" in said(app)


def test_other_data_and_back(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="data_other").click().run()
    assert app.title[0].value == "Bring your data"
    app.button(key="data_keep").click().run()
    assert metrics(app)["Images"] == "24"


def test_reload_restores_the_project(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    fresh = AppTest.from_file(app._script_path, default_timeout=60).run()
    assert metrics(fresh)["Images"] == "24"


def test_earlier_import_can_be_opened_again(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="data_other").click().run()
    upload(app, "animals.zip", zip_bytes(15))
    assert metrics(app)["Images"] == "30"
    app.button(key="data_other").click().run()
    openers = [button for button in app.button if button.key.startswith("data_open_")]
    assert len(openers) == 2
    openers[1].click().run()
    assert metrics(app)["Images"] == "24"


def test_class_names_are_not_markup(app: AppTest) -> None:
    upload(app, "odd.zip", zip_bytes(12, ("$a$ *b*", "Ünïcode :red[x]")))
    assert not app.exception
    assert r"\*b\*" in said(app) or r"\*b\*" in str(list(metrics(app)))


def test_a_project_outlives_a_broken_draft(workspace: Workspace) -> None:
    (workspace.folder("projects") / "0123abcd.json").write_text("{broken")
    assert session._read("0123abcd") is None
