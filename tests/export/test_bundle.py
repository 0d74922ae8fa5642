"""The bundle: complete, exact, written atomically, and refused if it is damaged."""

import json
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from markdown_it import MarkdownIt

from tests.export.made import trained_model
from tests.tiny import make_texts
from tl_core.data.decisions import Decision
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError, ExportError
from tl_core.export.archive import zip_bundle
from tl_core.export.bundle import dataset_items, load_bundle, replaced, write_bundle
from tl_core.export.bundle_metrics import evaluate_bundle
from tl_core.export.model_card import model_card
from tl_core.plan import Head


@pytest.fixture
def texts(tiny_texts, tiny_backbones):
    return trained_model(tiny_texts, "tiny_text")


@pytest.fixture
def images(tiny_images, tiny_backbones):
    return trained_model(tiny_images, "tiny_image", Head(tap="middle", pool="mean_std", kind="mlp", hidden=8))


@pytest.mark.parametrize("kind", ["texts", "images"])
def test_a_loaded_bundle_predicts_like_the_saved_model(kind, request, tmp_path):
    trained = request.getfixturevalue(kind)
    result = write_bundle(tmp_path / "out" / "model", trained)
    assert result.path == tmp_path / "out" / "model"
    assert result.n_compared > 0
    assert result.max_abs_diff <= 1e-6
    bundle = load_bundle(result.path)
    assert (bundle.classes, bundle.report, bundle.plan) == (
        trained.dataset.classes,
        trained.report,
        trained.report.plan,
    )
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(tensor, bundle.model.state_dict()[name])
    assert [p.name for p in result.path.parent.iterdir()] == ["model"]


def test_a_bundle_has_all_its_files(texts, tmp_path):
    folder = write_bundle(tmp_path / "model", texts).path
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("weights.safetensors", "plan.yaml", "report.json", "predict.py", "README.md", "labels.json"),
        *("preprocessing.json", "config.json", "requirements.txt", "tokenizer.json"),
    }
    packed = zip_bundle(folder, tmp_path / "graft-model.zip")
    with zipfile.ZipFile(packed) as archive:
        assert {name.removeprefix("graft-model/") for name in archive.namelist()} == names
        assert archive.testzip() is None


def test_an_older_bundle_is_replaced_but_other_files_are_not(texts, tmp_path):
    folder = write_bundle(tmp_path / "model", texts).path
    (folder / "left-over.txt").write_text("old")
    write_bundle(folder, texts)
    assert not (folder / "left-over.txt").exists()
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "photo.jpg").write_bytes(b"x")
    with pytest.raises(ExportError, match="holds other files"):
        write_bundle(other, texts)
    assert [p.name for p in other.iterdir()] == ["photo.jpg"]
    with pytest.raises(ExportError, match="is a file"):
        write_bundle(other / "photo.jpg", texts)


def test_a_folder_with_a_network_of_ones_own_is_no_older_bundle(tmp_path):
    files = {"config.json": '{"model_type": "bert"}', "model.safetensors": "weights", "notes.md": "notes"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ExportError, match="holds other files"), replaced(tmp_path):
        pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_a_failed_write_leaves_the_older_bundle_and_no_temporary_files(texts, tmp_path, monkeypatch):
    folder = write_bundle(tmp_path / "model", texts).path
    monkeypatch.setattr("tl_core.export.bundle.model_card", lambda trained_model: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_bundle(folder, texts)
    assert load_bundle(folder).classes == texts.dataset.classes
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_bundle_with_different_predictions_is_not_written(texts, tmp_path, monkeypatch):
    real = load_bundle

    def wrong(folder):
        bundle = real(folder)
        with torch.no_grad():
            bundle.model.head.out.bias.add_(torch.tensor([1.0, 0.0]))
        return bundle

    monkeypatch.setattr("tl_core.export.bundle.load_bundle", wrong)
    with pytest.raises(ExportError, match="probabilities differ from the model"):
        write_bundle(tmp_path / "model", texts)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "plan.yaml", "report.json", "labels.json", "config.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_damaged_file_is_named_in_the_error(texts, tmp_path, name, damage):
    folder = write_bundle(tmp_path / "model", texts).path
    path = folder / name
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    else:
        path.write_text(json.dumps({"a": 1}))
    with pytest.raises(ExportError, match="model") as caught:
        load_bundle(folder)
    assert caught.value.hint
    if damage == "missing":
        assert name in caught.value.message


def test_a_missing_folder_and_weights_of_another_model_are_errors(texts, images, tmp_path):
    with pytest.raises(ExportError, match="not a complete bundle"):
        load_bundle(tmp_path / "nowhere")
    a, b = write_bundle(tmp_path / "a", texts).path, write_bundle(tmp_path / "b", images).path
    shutil.copyfile(b / "weights.safetensors", a / "weights.safetensors")
    with pytest.raises(ExportError, match="damaged"):
        load_bundle(a)


def test_evaluation_uses_the_corrected_labels_of_the_report(tiny_images, tiny_backbones, tmp_path):
    rows = tiny_images.rows("test")
    other = tiny_images.classes[(tiny_images.labels[rows[0]] + 1) % 3]
    decision = Decision("relabel", (int(rows[0]),), other, confirmed=True, reason="It is one.")
    trained = trained_model(tiny_images.decide(decision), "tiny_image")
    bundle = load_bundle(write_bundle(tmp_path / "bundle", trained).path)
    again = evaluate_bundle(bundle, tiny_images.with_decisions(""))
    assert again["confusion"] == [list(line) for line in trained.report.confusion]


@pytest.mark.parametrize("by", ["time", "given"])
def test_the_card_says_how_the_data_were_split(by, tiny_images, tiny_backbones):
    given = tiny_images.splits
    columns = {"time": {"time": np.arange(len(given), dtype=float)}, "given": {"given": given}}[by]
    dataset = replace(tiny_images, split=SplitSpec(by="time" if by == "time" else "random"))
    vars(dataset)["items"] = tiny_images.items.assign(**columns)
    card = model_card(trained_model(dataset, "tiny_image"))
    assert ("the newest items for the test" in card) == (by == "time")
    assert ("as the source gives it" in card) == (by == "given")
    assert "stratified" not in card


def test_names_full_of_markup_stay_names_in_the_card(images):
    name = "![x](http://host.example/a.png) <b> | $a$ [l](http://host.example) `c`"
    report = images.report
    scores = tuple(replace(score, name=name) for score in report.per_class)
    report = replace(report, dataset=name, classes=(name,) * len(report.classes), per_class=scores)
    page = shown_card(replace(images, report=report))
    links = re.findall(r'href="([^"]*)"', page)
    assert "<img" not in page
    assert "<b>" not in page
    assert not [link for link in links if "host.example" in link]
    assert page.count("![x](http\u2060://host.example/a.png) &lt;b&gt; | $a$") >= len(report.classes) + 1
    assert len(re.findall(r"<td>", page)) == len(re.findall(r"<td>", shown_card(images))), "no cell was split"


def shown_card(trained) -> str:
    return MarkdownIt("commonmark").enable("table").render(model_card(trained).split("---", 2)[2])


def test_the_card_states_metrics_data_and_limits(images):
    card = model_card(images)
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "none"
    assert front["pipeline_tag"] == "image-classification"
    report = images.report
    assert f"{report.accuracy.value * 100:.1f}% ({report.accuracy.low * 100:.1f} to" in card
    assert images.dataset.fingerprint in card
    assert "cut after `middle`" in card
    assert "only 3 items" in card.replace("\n", " ") or "items: the true accuracy" in card
    for name in report.classes:
        assert f"| {name} |" in card


def test_evaluating_on_the_training_data_set_uses_only_its_test_items(texts, tmp_path):
    bundle = load_bundle(write_bundle(tmp_path / "model", texts).path)
    other_split = replace(texts.dataset, split=replace(texts.dataset.split, seed=5))
    measured = evaluate_bundle(bundle, other_split)
    assert measured["accuracy"]["n"] == texts.report.accuracy.n
    assert measured["accuracy"]["value"] == texts.report.accuracy.value
    assert measured["macro_f1"]["low"] == texts.report.macro_f1.low
    json.dumps(measured, allow_nan=False)


def test_evaluating_on_other_data(texts, tmp_path, workspace):
    bundle = load_bundle(write_bundle(tmp_path / "model", texts).path)
    other = make_texts(workspace, per_class=11)
    assert evaluate_bundle(bundle, other)["accuracy"]["n"] == 22
    half = replace(other, fingerprint="other", classes=("b", "unheard of"))
    measured = evaluate_bundle(bundle, half)
    assert (measured["accuracy"]["n"], measured["left_out"]) == (11, 11)
    probabilities = bundle.predict(dataset_items(half, np.flatnonzero(half.labels == 0)))
    assert measured["accuracy"]["value"] == pytest.approx(np.mean(probabilities.argmax(1) == 1))
    given = replace(other, fingerprint="given")
    given.__dict__["items"] = other.items.assign(given=["test"] * 5 + ["train"] * 17)
    assert evaluate_bundle(bundle, given)["accuracy"]["n"] == 5
    with pytest.raises(DataError, match="label that this model knows"):
        evaluate_bundle(bundle, replace(other, fingerprint="x", classes=("x", "y")))


def test_evaluating_on_the_wrong_modality_is_an_error(texts, images, tmp_path):
    bundle = load_bundle(write_bundle(tmp_path / "model", texts).path)
    with pytest.raises(DataError, match="reads texts"):
        evaluate_bundle(bundle, images.dataset)
