import sys
from dataclasses import replace

import pandas as pd
import pytest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tl_core.errors import DataError, RunError
from tl_core.evaluation.result_files import read_report, write_report
from tl_core.runs.store import RunStore
from tl_core.types import Finding
from ui.try_out import batch, predictor

pytestmark = pytest.mark.usefixtures("tiny_backbones")
TABLE = pd.DataFrame({"item": ["x.png"], "predicted": ["b"], "a": [0.1], "b": [0.7], "c": [0.2]})
ANSWER = predictor.Predictions(TABLE)


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
    assert "No model to try yet" in page_text(app)


def test_a_test_item_is_classified_beside_its_label(app, workspace, tiny_images, store, monkeypatch):
    calls = []
    monkeypatch.setattr(predictor, "predict", lambda bundle, source, on_progress: calls.append(source) or ANSWER)
    run = with_bundle(store, tiny_images)
    open_try(app, workspace, tiny_images, run)
    app.button(key="try_pick").click().run()
    assert not app.exception
    assert calls[0].is_relative_to(tiny_images.folder)
    words = page_text(app)
    assert ":material/close:] b" in words
    assert "70% confident; the true label is" in words
    app.run()
    assert len(calls) == 1


def test_a_text_is_classified(app, workspace, tiny_texts, store, monkeypatch):
    calls = []
    monkeypatch.setattr(predictor, "predict_text", lambda bundle, text, on_progress: calls.append(text) or ANSWER)
    run = with_bundle(store, tiny_texts, text=True)
    open_try(app, workspace, tiny_texts, run)
    assert app.button(key="try_go").disabled
    app.text_area(key="try_text").set_value("rain and fog").run()
    app.button(key="try_go").click().run()
    assert calls == ["rain and fog"]
    assert "### b" in page_text(app)


def test_an_error_is_one_sentence(app, workspace, tiny_texts, store, monkeypatch):
    def fail(bundle, text, on_progress):
        raise DataError("This text is empty.", "Type some words.")

    monkeypatch.setattr(predictor, "predict_text", fail)
    open_try(app, workspace, tiny_texts, with_bundle(store, tiny_texts, text=True))
    app.text_area(key="try_text").set_value("rain").run()
    app.button(key="try_go").click().run()
    assert "This text is empty." in app.error[0].value


def test_the_bundle_lists_its_contents_and_can_be_downloaded(app, workspace, tiny_images, store):
    run = with_bundle(store, tiny_images)
    open_try(app, workspace, tiny_images, run)
    words = page_text(app)
    assert "what the network has learned" in words
    assert "##### The card" not in words
    assert "#### The card" in words or "### The card" in words
    assert "license: mit" not in words
    assert len(app.get("download_button")) == 1


def test_the_ensemble_can_be_downloaded_once_the_baseline_was_measured(app, workspace, tiny_images, store):
    run = with_bundle(store, tiny_images)
    folder = store.folder(run) / "ensemble"
    (folder / "1-full").mkdir(parents=True)
    report = read_report(store.folder(run))
    finding = Finding(
        "info", "ensemble", "Averaging the probabilities of this model and the one from scratch: right 9%."
    )
    write_report(store.folder(run), replace(report, findings=(finding,)))
    open_try(app, workspace, tiny_images, run)
    assert [button.proto.label for button in app.get("download_button")] == [
        "Download the model",
        "Download the ensemble",
    ]
    assert "from scratch: right 9%" in page_text(app).replace("\\", "")


@pytest.fixture
def helper(monkeypatch, tmp_path):
    """Replace the helper process by a script of the test; return the list of its starts."""
    started = []

    def use(body):
        path = tmp_path / "child.py"
        path.write_text(f"import json, sys, time\ndef say(**answer): print(json.dumps(answer), flush=True)\n{body}")
        monkeypatch.setattr(predictor, "_helpers", {})
        monkeypatch.setattr(predictor, "command", lambda bundle: started.append(bundle) or [sys.executable, str(path)])
        return started

    yield use
    for process in predictor._helpers.values():
        process.end()


ANSWERING = """
for line in sys.stdin:
    with open(json.loads(line)["out"], "w") as table: table.write("item,predicted,a,b\\nx.png,b,0.2,0.8\\n")
    say(done=1, total=2)
    say(items=1, skipped=[["notes.txt", "not a picture"]])
"""


def test_a_helper_is_reused_and_reports_its_progress(helper, tmp_path):
    reports, started = [], helper(ANSWERING)
    for _ in range(3):
        predictions = predictor.predict(tmp_path, tmp_path / "x", lambda done, text: reports.append((done, text)))
    assert len(started) == 1
    assert reports == [(0.5, "Classifying: 1 of 2")] * 3
    assert predictions.table["predicted"].tolist() == ["b"]
    assert predictions.skipped == (("notes.txt", "not a picture"),)


def test_a_helper_that_ended_is_started_again(helper, tmp_path):
    started = helper(ANSWERING + "    break")
    for _ in range(2):
        predictor.predict(tmp_path, tmp_path / "x", lambda done, text: None)
    assert len(started) == 2


def test_another_bundle_ends_the_helper(helper, tmp_path):
    helper(ANSWERING)
    predictor._helper(tmp_path / "one")
    first = next(iter(predictor._helpers.values()))
    predictor._helper(tmp_path / "two")
    assert not first.alive
    assert [key[0].name for key in predictor._helpers] == ["two"]


def test_a_helper_ends_with_the_page(helper, tmp_path):
    helper("sys.stdin.readline(); say(done=1, total=9); time.sleep(60)")

    def leave(done, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor.predict(tmp_path, tmp_path / "x", leave)
    assert not any(process.alive for process in predictor._helpers.values())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("sys.stdin.readline(); say(mistake='Not a picture.', hint='Give one.')", DataError),
        ("sys.stdin.readline(); say(failure='Not a bundle.', hint='')", RunError),
        ("", RunError),
    ],
)
def test_a_helpers_failure_becomes_a_sentence(helper, tmp_path, body, kind):
    helper(body)
    with pytest.raises(kind, match=r"Not a|failed"):
        predictor.predict(tmp_path, tmp_path / "x", lambda done, text: None)


def test_the_real_helper_starts_and_answers(monkeypatch, tmp_path):
    monkeypatch.setattr(predictor, "_helpers", {})
    with pytest.raises(RunError, match="not a complete bundle"):
        predictor.predict(tmp_path, tmp_path / "x", lambda done, text: None)
    for process in predictor._helpers.values():
        process.end()


def test_what_a_batch_leaves_out_is_listed(app, workspace, tiny_images, store, monkeypatch):
    run = with_bundle(store, tiny_images)
    app.session_state["try_table"] = ("batch", predictor.Predictions(TABLE, (("notes.txt", "not a picture"),)))
    open_try(app, workspace, tiny_images, run)
    words = page_text(app)
    assert "**1 item classified**" in words
    assert "- notes.txt: not a picture" in words


def test_a_batch_of_texts_shows_how_each_begins(app, workspace, tiny_texts, store):
    table = pd.DataFrame({"item": ["row 2", "row 3"], "predicted": ["a", "b"], "a": [0.9, 0.2], "b": [0.1, 0.8]})
    app.session_state["try_table"] = ("letters", predictor.Predictions(table, (), ("The parcel never", "Thank you")))
    open_try(app, workspace, tiny_texts, with_bundle(store, tiny_texts, text=True))
    shown = app.dataframe[0].value
    assert list(shown.columns) == ["item", batch.BEGINS, "predicted", "a", "b"]
    assert list(shown[batch.BEGINS]) == ["The parcel never", "Thank you"]


@pytest.mark.parametrize("name", ["letters.xlsx", "letters.jsonl", "letters.parquet"])
def test_a_batch_may_be_any_table_that_can_be_imported(app, workspace, tiny_texts, store, monkeypatch, name):
    calls = []

    def fake(bundle, source, on_progress):
        calls.append(source.name)
        return ANSWER

    monkeypatch.setattr(predictor, "predict", fake)
    open_try(app, workspace, tiny_texts, with_bundle(store, tiny_texts, text=True))
    app.file_uploader[-1].upload(name, b"x", "application/octet-stream").run()
    assert not app.exception
    assert calls == [name]


def test_probabilities_are_sorted():
    assert predictor.probabilities(TABLE) == {"b": 0.7, "c": 0.2, "a": 0.1}
