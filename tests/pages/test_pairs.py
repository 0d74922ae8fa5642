"""Items with a picture and a text on every page that shows or asks for both parts."""

import io
import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from tests.data.files import pictures
from tests.pages import scripted
from tests.pages.conftest import PAGES, page_text, upload
from tests.pages.test_try import ANSWER, open_try, with_bundle
from tl_core.data.sources import list_datasets
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.store import RunStore
from tl_core.workspace import write_json
from ui.try_out import predictor

pytestmark = pytest.mark.usefixtures("tiny_backbones")
PLAN = TransferPlan("tiny_image+tiny_text", "full", (Phase("head", 2, {"head": 1e-2}, schedule="constant"),))


def zipped() -> bytes:
    """A table of 12 pictures with a text each, in one zip with them."""
    rows = [
        {"photo": f"p/{n}.png", "notes": f"we saw number {n} on the way home", "kind": "ab"[n % 2]} for n in range(12)
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("items.csv", pd.DataFrame(rows).to_csv(index=False))
        for name, data in pictures(*(f"p/{n}.png" for n in range(12))).items():
            archive.writestr(name, data)
    return buffer.getvalue()


def item(app):
    [control] = [control for control in app.button_group if control.label == "Each item is"]
    return control


def columns(app):
    return {box.label: box.value for box in app.selectbox if box.label.endswith("are in")}


def test_the_preview_asks_what_an_item_is(app, workspace):
    upload(app, "items.zip", zipped())
    assert not app.exception
    both = {"File names are in": "photo", "Texts are in": "notes", "Labels are in": "kind"}
    assert columns(app) == both
    item(app).set_value("text").run()
    assert columns(app) == {"Texts are in": "notes", "Labels are in": "kind"}
    item(app).set_value("picture").run()
    assert columns(app) == {"File names are in": "photo", "Labels are in": "kind"}
    item(app).set_value("text").run()
    item(app).set_value("both").run()
    assert columns(app) == both
    next(button for button in app.button if button.label == "Import").click().run()
    assert not app.exception
    [dataset] = list_datasets(workspace)
    assert (dataset.modality, dataset.path_column, dataset.text_column) == ("multimodal", "photo", "notes")
    assert "we saw number" in page_text(app), "the text stands beside its picture"
    assert "12" in page_text(app)


@pytest.mark.parametrize(("answer", "modality"), [("picture", "image"), ("text", "text")])
def test_one_of_the_two_can_be_imported_alone(answer, modality, app, workspace):
    upload(app, "items.zip", zipped())
    item(app).set_value(answer).run()
    next(button for button in app.button if button.label == "Import").click().run()
    assert not app.exception
    assert [dataset.modality for dataset in list_datasets(workspace)] == [modality]


def test_a_backbone_is_chosen_for_each_part(app, workspace, tiny_pairs):
    app.query_params["project"] = scripted.project(workspace, tiny_pairs, None)
    app.run()
    app.switch_page(PAGES["backbone"]).run()
    assert not app.exception
    app.selectbox(key="backbone_pair_image").set_value("tiny_image")
    app.selectbox(key="backbone_pair_text").set_value("tiny_text").run()
    app.button(key="backbone_use_tiny_image+tiny_text").click().run()
    assert not app.exception
    app.switch_page(PAGES["plan"]).run()
    assert not app.exception
    assert "tiny_image + tiny_text" in page_text(app)


def test_the_other_pages_show_both_parts(app, workspace, tiny_pairs):
    store = RunStore(workspace)
    run = scripted.write_run(store, scripted.task(tiny_pairs, PLAN), [*scripted.script(PLAN, 3)], alive=True)
    app.query_params["project"] = scripted.project(workspace, tiny_pairs, PLAN, run)
    app.run()
    for page in ("plan", "train", "runs"):
        app.switch_page(PAGES[page]).run()
        assert not app.exception, page


def test_a_picture_is_tried_with_its_text(app, workspace, tiny_pairs, monkeypatch):
    calls = []
    monkeypatch.setattr(
        predictor, "predict_pair", lambda bundle, path, text, progress: calls.append((path, text)) or ANSWER
    )
    store = RunStore(workspace)
    run = with_bundle(store, tiny_pairs, text=True)
    write_json(store.folder(run) / "bundle" / "config.json", {"modality": "multimodal", "path_column": "photo"})
    open_try(app, workspace, tiny_pairs, run)
    assert app.button(key="try_pair_go").disabled
    assert "items.csv" in app.code[0].value
    app.button(key="try_pick").click().run()
    assert not app.exception
    [(path, text)] = calls
    row = int((tiny_pairs.items["text"] == text).to_numpy().nonzero()[0][0])
    assert path == tiny_pairs.folder / tiny_pairs.items["path"].iloc[row]
    app.text_area(key="try_pair_text").set_value("only other words").run()
    app.button(key="try_pair_go").click().run()
    assert calls[1] == (path, "only other words")


def test_a_pair_is_asked_as_a_table_of_one_row(tmp_path, monkeypatch, tiny_pairs):
    seen = {}

    def ask(bundle, source, on_progress):
        seen.update(pd.read_csv(source).iloc[0], there=(source.parent / "picture.png").is_file())
        return replace(ANSWER)

    monkeypatch.setattr(predictor, "predict", ask)
    write_json(tmp_path / "config.json", {"modality": "multimodal", "path_column": "photo", "text_column": "words"})
    picture = tiny_pairs.folder / tiny_pairs.items["path"].iloc[0]
    predictor.predict_pair(tmp_path, picture, "a, b\nc", lambda done, text: None)
    assert seen == {"photo": "picture.png", "words": "a, b\nc", "there": True}
