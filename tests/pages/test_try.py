import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.pages import scripted
from tests.pages.conftest import said
from tl_core.errors import DataError, RunError
from tl_core.runs.store import RunStore
from ui import predict

pytestmark = pytest.mark.usefixtures("tiny_backbones")
TABLE = pd.DataFrame({"item": ["x.png"], "predicted": ["b"], "a": [0.1], "b": [0.7], "c": [0.2]})


@pytest.fixture
def store(workspace):
    return RunStore(workspace)


def with_bundle(store, dataset, text=False):
    run = scripted.finished(store, dataset)
    bundle = store.folder(run) / "bundle"
    bundle.mkdir()
    names = ["weights.safetensors", "predict.py", "preprocessing.json", *(["tokenizer.json"] if text else [])]
    for name in names:
        (bundle / name).write_bytes(b"{}" * 10)
    (bundle / "README.md").write_text("---\nlicense: mit\n---\n# The card\nWhat it is for.\n")
    return run


def open_try(app, workspace, dataset, run):
    app.query_params["project"] = scripted.project(workspace, dataset, run=run)
    app.run()
    app.switch_page("../pages/6_try.py").run()
    assert not app.exception
    return app


def test_without_a_model_the_page_leads_to_training(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 5)], alive=True)
    open_try(app, workspace, tiny_images, run)
    assert "No model to try yet" in said(app)


def test_a_test_item_is_classified_beside_its_label(app, workspace, tiny_images, store, monkeypatch):
    asked = []
    monkeypatch.setattr(predict, "predict", lambda bundle, source, tell: asked.append(source) or TABLE)
    run = with_bundle(store, tiny_images)
    open_try(app, workspace, tiny_images, run)
    app.button(key="try_pick").click().run()
    assert not app.exception
    assert asked[0].is_relative_to(tiny_images.folder)
    words = said(app)
    assert "### b" in words
    assert "70% sure; the label says" in words
    app.run()
    assert len(asked) == 1


def test_a_text_is_classified(app, workspace, tiny_texts, store, monkeypatch):
    asked = []
    monkeypatch.setattr(predict, "predict_text", lambda bundle, text, tell: asked.append(text) or TABLE)
    run = with_bundle(store, tiny_texts, text=True)
    open_try(app, workspace, tiny_texts, run)
    assert app.button(key="try_go").disabled
    app.text_area(key="try_text").set_value("rain and fog").run()
    app.button(key="try_go").click().run()
    assert asked == ["rain and fog"]
    assert "### b" in said(app)


def test_a_mistake_is_one_sentence(app, workspace, tiny_texts, store, monkeypatch):
    def fail(bundle, text, tell):
        raise DataError("This text is empty.", "Type some words.")

    monkeypatch.setattr(predict, "predict_text", fail)
    open_try(app, workspace, tiny_texts, with_bundle(store, tiny_texts, text=True))
    app.text_area(key="try_text").set_value("rain").run()
    app.button(key="try_go").click().run()
    assert "This text is empty." in app.error[0].value


def test_the_bundle_says_what_is_in_it_and_can_be_had(app, workspace, tiny_images, store):
    run = with_bundle(store, tiny_images)
    open_try(app, workspace, tiny_images, run)
    words = said(app)
    assert "what the network has learned" in words
    assert "##### The card" not in words
    assert "#### The card" in words or "### The card" in words
    assert "license: mit" not in words
    assert len(app.get("download_button")) == 1


def script(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "child.py"
    path.write_text(body)
    return [sys.executable, str(path)]


def test_a_child_tells_how_far_it_is(tmp_path):
    told = []
    body = "import sys\nfor n in (1, 2): print(f'Testing: {n} of 2', file=sys.stderr)"
    assert predict._run(script(tmp_path, body), lambda done, text: told.append((done, text))) == (0, "Testing: 2 of 2")
    assert told == [(0.5, "Testing: 1 of 2"), (1.0, "Testing: 2 of 2")]


def test_a_child_ends_with_the_page(tmp_path):
    body = "import sys, time\nprint('1 of 9', file=sys.stderr, flush=True)\ntime.sleep(60)"

    def leave(done, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict._run(script(tmp_path, body), leave)


@pytest.mark.parametrize(("code", "kind"), [(2, DataError), (1, RunError)])
def test_a_childs_failure_becomes_a_sentence(monkeypatch, tmp_path, code, kind):
    monkeypatch.setattr(predict, "_run", lambda command, report: (code, "This file is not a picture."))
    with pytest.raises(kind, match=r"not a picture|broke off"):
        predict.predict(tmp_path, tmp_path / "x", lambda done, text: None)


def test_probabilities_are_sorted():
    assert predict.probabilities(TABLE) == {"b": 0.7, "c": 0.2, "a": 0.1}
