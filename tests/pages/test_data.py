import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Image, Value
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from tests.pages import scripted
from tests.pages.conftest import csv_bytes, page_text, upload, zip_bytes
from tl_core import background, import_jobs, import_worker
from tl_core.data.dataset import Dataset
from tl_core.data.holdout_log import record_holdout_use
from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources import TablePreview, list_datasets
from tl_core.data.sources.hub_columns import preview_hub_rows
from tl_core.errors import DataError
from tl_core.evaluation.leakage import LeakageBias, write_leakage
from tl_core.types import Estimate, load
from tl_core.workspace import Workspace, read_json
from ui import session
from ui.data import gallery, import_progress, receipt


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def box(app: AppTest, name: str) -> Selectbox:
    """The list of columns for `name`."""
    return next(box for box in app.selectbox if box.key.startswith("data_") and box.key.endswith(f"_{name}"))


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


def test_the_chosen_columns_are_shown_first(app: AppTest) -> None:
    rows = b"".join(b"%d,north,letter number %d,%s\n" % (i, i, (b"a", b"b")[i % 2]) for i in range(30))
    upload(app, "letters.csv", b"nr,place,text,label\n" + rows)
    assert list(app.dataframe[0].proto.column_order) == ["text", "label", "nr", "place"]
    box(app, "label").select("place").run()
    assert list(app.dataframe[0].proto.column_order) == ["text", "place", "nr", "label"]


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
    assert "No column" in page_text(app)
    assert app.button(key="data_import").disabled
    box(app, "label").select("channel").run()
    assert "No column" not in page_text(app)
    assert not app.button(key="data_import").disabled


def test_the_findings_are_about_the_chosen_label_column(app: AppTest) -> None:
    rows = b"".join(b"%d,letter number %d,%s\n" % (i, i, (b"a", b"b")[i % 2]) for i in range(30))
    upload(app, "letters.csv", b"nr,note,label\n" + rows)
    box(app, "label").select("nr").run()
    assert "'nr' has 30 different" in page_text(app)


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
    assert "Traceback" not in page_text(app)
    assert app.button(key="rail_next").disabled


def test_a_good_upload_after_a_bad_one_works(app: AppTest) -> None:
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
    assert metrics(app)["Test"] == "40"


def repeated(times: int) -> bytes:
    """A table of letters, each `times` times in another case."""
    lines = csv_bytes().decode().splitlines()
    more = [line[:1] + line[1:-6].upper() + line[-6:] for line in lines[1:]]
    return "\n".join(lines + more * (times - 1)).encode()


def test_near_duplicates_stay_together_unless_switched_off(app: AppTest) -> None:
    upload(app, "letters.csv", repeated(2))
    app.button(key="data_import").click().run()
    dataset = session.open_dataset(next(path.name for path in (session.workspace().root / "datasets").iterdir()))
    pairs = dataset.splits.reshape(2, -1)
    assert (pairs[0] == pairs[1]).all()
    assert "nearly identical items stay in the same part" in page_text(app)
    app.toggle(key="data_near").set_value(False)
    app.button(key="data_split_apply").click().run()
    pairs = session.open_dataset(dataset.fingerprint).splits.reshape(2, -1)
    assert (pairs[0] != pairs[1]).any()
    assert "nearly identical" not in page_text(app)
    assert app.toggle(key="data_by_time").disabled


@pytest.mark.usefixtures("tiny_backbones")
def test_the_inflation_by_duplicates_and_the_uses_of_the_test_items_are_shown(
    app: AppTest, workspace: Workspace
) -> None:
    dataset = scripted.images(workspace)
    score = LeakageBias(
        *(dataset.fingerprint, scripted.PLAN.backbone, Estimate(0.88, 0.8, 0.9, 60, "x")),
        *(Estimate(0.93, 0.9, 0.95, 60, "x"), Estimate(0.05, 0.02, 0.08, 60, "x"), 60, 30, False),
    )
    write_leakage(workspace, dataset, score)
    record_holdout_use(dataset, "run-1", "report")
    app.query_params["project"] = scripted.project(workspace, dataset)
    app.run()
    assert "would have shown 93.0% instead of 88.0%: 5.0 points too good (between 2.0 and 8.0)" in page_text(app)
    assert "The test items were used once." in page_text(app)
    for number in range(6):
        record_holdout_use(dataset, f"another-{number}", "report")
    app.run()
    assert "This test set has been used 7 times" in page_text(app)


def test_other_data_and_back(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="data_other").click().run()
    assert app.title[0].value == "Bring your data"
    app.button(key="data_keep").click().run()
    assert metrics(app)["Images"] == "24"


def test_reload_restores_the_project(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    reloaded = AppTest.from_file(app._script_path, default_timeout=60).run()
    assert metrics(reloaded)["Images"] == "24"


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
    assert r"\*b\*" in page_text(app) or r"\*b\*" in str(list(metrics(app)))


def test_a_project_outlives_a_broken_draft(workspace: Workspace) -> None:
    (workspace.folder("projects") / "0123abcd.json").write_text("{broken")
    assert session._read("0123abcd") is None


def many(rows: int, line: str) -> bytes:
    return "".join(line.format(i=i, ab="ab"[i % 2], xyz="xyz"[i % 3], day=1 + i % 28) for i in range(rows)).encode()


def test_several_labels_in_a_cell_are_offered_and_accepted(app: AppTest, workspace: Workspace) -> None:
    upload(app, "tags.csv", b"text,tags\n" + many(40, "a note on the garden {i},{ab};{xyz}\n"))
    assert "several labels" in page_text(app)
    app.button(key="data_offer_separator").click().run()
    assert box(app, "separator").value == ";"
    assert "Labels in these rows: a, x, b, y, z" in page_text(app)
    app.button(key="data_import").click().run()
    assert metrics(app)["Classes"] == "5"
    (dataset,) = list_datasets(workspace)
    assert dataset.multilabel
    assert dataset.targets.sum(axis=1).tolist() == [2] * 40


def test_columns_of_yes_and_no_become_labels(app: AppTest, workspace: Workspace) -> None:
    lines = "".join(f"a note on the garden {i},{i % 2},{int(i % 3 == 0)}\n" for i in range(40))
    upload(app, "wide.csv", b"text,red,round\n" + lines.encode())
    app.button(key="data_offer_label_columns").click().run()
    assert app.multiselect[0].value == ["red", "round"]
    app.button(key="data_import").click().run()
    (dataset,) = list_datasets(workspace)
    assert dataset.classes == ("red", "round")
    assert dataset.targets[:4].tolist() == [[0, 1], [1, 0], [0, 0], [1, 1]]


def test_group_subgroup_and_date_can_be_named(app: AppTest, workspace: Workspace) -> None:
    lines = many(60, "a letter about {i},{ab},case {xyz},2024-03-{day:02d},ward {xyz}\n")
    upload(app, "letters.csv", b"text,label,case,written,ward\n" + lines)
    box(app, "group_column").select("case").run()
    box(app, "subgroup_column").select("ward").run()
    box(app, "time_column").select("written").run()
    app.button(key="data_import").click().run()
    (dataset,) = list_datasets(workspace)
    assert dataset.subgroup_column == "ward"
    assert set(dataset.items["group"]) == {"case x", "case y", "case z"}
    assert dataset.items["time"].nunique() == 28


def test_the_labels_of_the_chosen_column_are_listed(app: AppTest) -> None:
    upload(app, "letters.csv", b"text,teacher,label\n" + many(40, "a letter about {i},Ms {xyz},{ab}\n"))
    assert "Labels in these rows: a, b" in page_text(app)
    app.selectbox[1].select("teacher").run()
    assert "Labels in these rows: Ms x, Ms y, Ms z" in page_text(app)


def test_a_group_that_was_found_is_switched_off(app: AppTest, workspace: Workspace) -> None:
    upload(app, "letters.csv", b"text,label,group\n" + many(40, "a letter about {i},{ab},{xyz}\n"))
    assert box(app, "group_column").value == "group"
    box(app, "group_column").select_index(0).run()
    app.run()
    assert (box(app, "group_column").value, box(app, "group_column").options[0]) == (NONE, "None")
    app.button(key="data_import").click().run()
    (dataset,) = list_datasets(workspace)
    assert set(dataset.items["group"]) == {""}


def test_a_table_is_read_another_way_on_request(app: AppTest) -> None:
    upload(app, "letters.csv", b"text,more;label\n" + many(30, "a note on the weather, or two {i};{ab}\n"))
    assert box(app, "delimiter").value == ";"
    assert box(app, "text").options == ["text,more", "label"]
    box(app, "delimiter").select(",").run()
    assert box(app, "text").options == ["text", "more;label"]
    box(app, "delimiter").select(";").run()
    assert (box(app, "text").value, box(app, "label").value) == ("text,more", "label")
    app.toggle(key="data_header").set_value(False).run()
    assert "label" not in box(app, "text").options


def test_a_wrong_encoding_is_reported_and_undone_by_a_retry(app: AppTest) -> None:
    upload(app, "letters.csv", b"text;label\n" + many(30, "a note, or two, on {i};{ab}\n"))
    box(app, "encoding").select("utf-16").run()
    assert app.error
    app.button(key="data_retry").click().run()
    assert (box(app, "text").value, box(app, "encoding").value) == ("text", "utf-8")


def test_a_sheet_of_a_spreadsheet_is_chosen(app: AppTest) -> None:
    book = io.BytesIO()
    with pd.ExcelWriter(book, engine="openpyxl") as writer:
        for sheet in ("letters", "notes"):
            frame = pd.DataFrame({"text": [f"one of the {sheet} {i}" for i in range(30)], "label": ["a", "b"] * 15})
            frame.to_excel(writer, sheet_name=sheet, index=False)
    upload(app, "book.xlsx", book.getvalue())
    box(app, "sheet").select("notes").run()
    assert "one of the notes 0" in app.dataframe[0].value["text"].tolist()
    app.button(key="data_import").click().run()
    assert metrics(app)["Texts"] == "30"
    assert "notes" in page_text(app)


def test_a_table_preview_survives_a_reload_and_can_be_cancelled(app: AppTest, workspace: Workspace) -> None:
    upload(app, "letters.csv", csv_bytes())
    reloaded = AppTest.from_file(app._script_path, default_timeout=60)
    reloaded.query_params["project"] = app.query_params["project"][0]
    reloaded.run()
    assert box(reloaded, "text").value == "text"
    reloaded.button(key="data_cancel").click().run()
    assert reloaded.title[0].value == "Bring your data"
    assert list(workspace.folder("imports").iterdir()) == []


def test_folders_that_could_be_splits_or_classes_are_asked_about(app: AppTest, workspace: Workspace) -> None:
    names = tuple(f"{folder}/{label}" for folder in ("train", "extra") for label in ("daisy", "tulip"))
    upload(app, "flowers.zip", zip_bytes(classes=names))
    assert "extra beside the folder train has the same folders inside" in app.warning[0].value
    assert app.button(key="data_import").disabled
    app.radio(key="data_folders").set_value(0).run()
    app.button(key="data_import").click().run()
    (dataset,) = list_datasets(workspace)
    assert dataset.classes == ("daisy", "tulip")
    assert dict(dataset.items["given"].value_counts()) == {"train": 24, "test": 24}
    assert any("split from the outermost folders: extra" in c.value for c in app.caption)


def test_a_label_that_is_not_clear_is_left_open(app: AppTest) -> None:
    rows = [f"a text with number {i} about parcels,{'ab'[i % 2]},{'pq'[i // 2 % 2]}" for i in range(40)]
    upload(app, "letters.csv", "\n".join(["said,alpha,beta", *rows]).encode())
    assert box(app, "label").value is None
    assert app.button(key="data_import").disabled
    box(app, "label").select("beta").run()
    app.button(key="data_import").click().run()
    assert metrics(app)["Classes"] == "2"
    assert any("label from the column 'beta'" in caption.value for caption in app.caption)


def test_a_receipt_counts_by_reason_and_names_every_item(app: AppTest, workspace: Workspace) -> None:
    buffer = io.BytesIO(zip_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        for index in range(7):
            archive.writestr(f"daisy/broken {index}.png", b"x" * index)
    upload(app, "flowers.zip", buffer.getvalue())
    (dataset,) = list_datasets(workspace)
    assert any("24 images taken, 8 skipped" in expander.label for expander in app.expander)
    counts = receipt.reasons(receipt.table(dataset))
    assert counts["Items"].sum() == 8
    assert counts["Items"].tolist() == sorted(counts["Items"], reverse=True)
    lines = pd.read_csv(io.BytesIO(receipt.csv(dataset)))
    assert len(lines) == 32
    assert (lines["What"] == receipt.TAKEN).sum() == 24
    app.selectbox(key="data_receipt_reason").set_value(counts["Kind"][0] + counts["What"][0]).run()
    listed = next(frame.value for frame in app.dataframe if list(frame.value.columns) == ["Item", "What", "Why"])
    assert len(listed) == counts["Items"][0]


def test_reasons_that_differ_by_a_number_are_one() -> None:
    lines = [(f"{i}.png", "converted", f"shrunk from {1000 + i:,} by 3,000 pixels") for i in range(5)]
    lines += [("x.png", "converted", "shrunk twice"), ("y.png", "skipped", "the file is empty")]
    counts = receipt.reasons(pd.DataFrame(lines, columns=["Item", "What", "Why"]))
    assert counts["Items"].tolist() == [1, 5, 1]
    assert counts["Why"].tolist() == ["the file is empty", "shrunk from … by … pixels", "shrunk twice"]


def test_a_gallery_shows_every_item_of_a_class_once(workspace: Workspace, tiny_images: Dataset) -> None:
    everything = np.flatnonzero(tiny_images.labels == 1)
    name = tiny_images.classes[1]
    first = gallery.pick(tiny_images, name, 1, 0)
    shown = [gallery.pick(tiny_images, name, page, 0).rows[name] for page in range(1, first.pages + 1)]
    assert sorted(np.concatenate(shown)) == everything.tolist()
    sampled = gallery.pick(tiny_images, gallery.ALL, 1, 3)
    assert set(sampled.rows) == set(tiny_images.classes)
    assert all(len(rows) <= gallery.PER_CLASS["image"] for rows in sampled.rows.values())


def test_an_import_in_progress_is_shown_and_cancelled(
    app: AppTest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_process(folder: Path) -> None:
        background.write_owner(folder, os.getpid())
        import_jobs.write_state(folder, import_jobs.ImportState("working", "Reading pictures", 3, 12))

    monkeypatch.setattr(import_jobs, "start_process", start_process)
    monkeypatch.setattr(import_progress, "AT_ONCE", 0.0)
    upload(app, "flowers.zip", zip_bytes())
    assert app.get("progress")[0].proto.text == "Reading pictures: 3 of 12"
    assert app.button(key="rail_next").disabled
    app.button(key="data_stop").click().run()
    assert "progress" not in [element.type for element in app.main]
    assert list(workspace.folder("imports").iterdir()) == []
    assert [path for path in workspace.folder("uploads").rglob("*") if path.name == "flowers.zip"] == []


def test_a_failed_import_can_be_tried_again(app: AppTest, tmp_path: Path) -> None:
    app.run()
    app.text_input(key="data_path").input(str(tmp_path / "flowers.zip"))
    app.button(key="data_path_open").click().run()
    assert app.error
    (tmp_path / "flowers.zip").write_bytes(zip_bytes())
    app.button(key="data_retry").click().run()
    assert metrics(app)["Images"] == "24"


def test_an_unused_data_set_can_be_deleted(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="data_other").click().run()
    upload(app, "animals.zip", zip_bytes(15))
    app.button(key="data_other").click().run()
    animals, flowers = (dataset.fingerprint for dataset in list_datasets(workspace))
    assert f"data_throw_{animals}" not in [button.key for button in app.button]
    app.button(key=f"data_throw_{flowers}").click().run()
    assert [dataset.fingerprint for dataset in list_datasets(workspace)] == [animals]


def test_the_split_can_be_made_by_time_and_apart_from_near_duplicates(app: AppTest, workspace: Workspace) -> None:
    lines = "".join(
        f"a letter about the garden {i},{'ab'[i % 2]},2024-{1 + i // 5:02d}-{1 + i % 5:02d}\n" for i in range(60)
    )
    upload(app, "letters.csv", b"text,label,date\n" + lines.encode())
    app.button(key="data_offer_time_column").click().run()
    app.button(key="data_import").click().run()
    app.toggle(key="data_by_time").set_value(True)
    app.toggle(key="data_near").set_value(False)
    app.button(key="data_split_apply").click().run()
    (dataset,) = list_datasets(workspace)
    assert (dataset.split.by, dataset.split.keep_near) == ("time", False)
    times = dataset.items["time"].to_numpy()
    assert times[dataset.splits == "train"].max() < times[dataset.splits == "test"].min()
    assert "The latest items are the test items" in page_text(app)


def test_without_dates_there_is_no_split_by_time(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    assert app.toggle(key="data_by_time").disabled
    assert "nearly identical items stay in the same part" in page_text(app)


def test_a_second_data_set_is_added_to_the_first(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    first = session_of(workspace).dataset
    upload(app, "new ones.zip", zip_bytes(5, ("anything",)), "second_target")
    assert not app.error
    pool = session_of(workspace).target
    assert pool not in ("", first)
    assert session_of(workspace).dataset == first
    assert any("5 images without labels" in text.value for text in app.markdown)
    assert list(workspace.folder("uploads").rglob("*.zip")) == []
    app.button(key="second_target_remove").click().run()
    assert session_of(workspace).target == ""
    app.selectbox(key="second_target_known").set_value(pool).run()
    assert session_of(workspace).target == pool
    app.get("button_group")[0].set_value("source").run()
    upload(app, "others.zip", zip_bytes(7, ("x", "y")), "second_source")
    assert len(list_datasets(workspace)) == 3
    assert session_of(workspace).source not in ("", first, pool)


def test_a_second_data_set_that_does_not_fit_is_refused(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    upload(app, "letters.csv", csv_bytes(), "second_target")
    assert "CSV" in app.error[0].value or "picture" in app.error[0].value or "image" in app.error[0].value
    assert session_of(workspace).target == ""
    app.button(key="second_target_away").click().run()
    assert not app.error
    app.get("button_group")[0].set_value("source").run()
    upload(app, "flowers.zip", zip_bytes(), "second_source")
    assert "the same as your first data set" in app.error[0].value
    assert session_of(workspace).source == ""


def session_of(workspace: Workspace) -> session.Session:
    """The newest project as it lies on disk."""
    drafts = sorted(workspace.folder("projects").glob("*.json"), key=lambda path: path.stat().st_mtime)
    return load(session.Session, read_json(drafts[-1]))


def test_the_hub_is_asked_by_name_and_configuration(
    app: AppTest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def refuse(source: str, *more: object) -> None:
        calls.append(source)
        raise DataError("The hub cannot be reached.", "Check the connection.")

    monkeypatch.setattr(import_worker, "preview_source", lambda source, *more: None)
    monkeypatch.setattr(import_worker, "import_data", refuse)
    app.run()
    assert "the data set is downloaded" in page_text(app)
    app.text_input(key="data_hub").input("owner/flowers")
    app.text_input(key="data_hub_part").input("small")
    app.button(key="data_hub_open").click().run()
    assert calls == ["hub:owner/flowers:small"]
    assert "cannot be reached" in app.error[0].value


def test_the_columns_of_a_hub_data_set_are_chosen_before_the_import(
    app: AppTest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[ImportOptions] = []

    def refuse(source: str, workspace: Workspace, options: ImportOptions, progress: object) -> None:
        calls.append(options)
        raise DataError("The hub cannot be reached.", "Check the connection.")

    def look(source: str, options: ImportOptions, limits: object) -> TablePreview:
        features = {"photo": Image(), "kind": ClassLabel(names=["a", "b"]), "place": Value("string")}
        rows = [{"photo": {"bytes": b"", "path": "x/1.png"}, "kind": 1, "place": "here"}]
        return preview_hub_rows(features, rows, options, "owner/flowers", 1)

    monkeypatch.setattr(import_worker, "preview_source", look)
    monkeypatch.setattr(import_worker, "import_data", refuse)
    app.run()
    app.text_input(key="data_hub").input("owner/flowers")
    app.button(key="data_hub_open").click().run()
    assert [box.label for box in app.selectbox][:2] == ["Pictures are in", "Labels are in"]
    assert "Labels in these rows: b" in page_text(app)
    assert not [expander for expander in app.expander if "read wrongly" in expander.label], (
        "the hub says how it is read"
    )
    app.selectbox[1].select("place").run()
    app.button(key="data_import").click().run()
    assert [(options.path_column, options.label_column) for options in calls] == [("photo", "place")]
    assert "cannot be reached" in app.error[0].value
