"""Ensemble bundles: they average the probabilities of their members, in the app and in predict.py."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from tests.export.made import trained_model
from tests.export.test_predict_script import pictures, run, table
from tests.tiny import make_images, make_multilabel, make_texts
from tl_core.backbones.preprocess import preprocessor
from tl_core.cli import main
from tl_core.data.prediction_items import read_prediction_items
from tl_core.errors import DataError, ExportError
from tl_core.evaluation.predict import PreparedItems, predict
from tl_core.evaluation.report import make_report
from tl_core.export import TrainedModel
from tl_core.export.archive import zip_bundle
from tl_core.export.bundle import dataset_items, load_bundle, write_bundle
from tl_core.export.bundle_metrics import evaluate_bundle
from tl_core.export.ensemble import load_ensemble, open_bundle, write_ensemble
from tl_core.plan import Head
from tl_core.training.model import build_model


def scratch(of: TrainedModel) -> TrainedModel:
    """Return the same network with random weights and varied predictions, on the same data."""
    plan = replace(of.report.plan, strategy="from_scratch", init="random", head=Head())
    model = build_model(of.spec, plan, len(of.dataset.classes), seed=11)
    model.head.standardise(_features(model, of))
    probabilities = _probabilities(replace(of, model=model), dataset_items(of.dataset, of.dataset.rows("test")))
    assert np.ptp(probabilities, axis=0).max() > 0.05
    return TrainedModel(model, of.spec, of.dataset, make_report("run-2", of.dataset, plan, probabilities, {}))


def _features(model, of: TrainedModel):
    prepare = preprocessor(of.spec)
    prepared = [prepare.prepare(item) for item in dataset_items(of.dataset, np.arange(len(of.dataset.labels)))]
    return model.features(prepare.collate(prepared, model.head.mean.device)).detach()


def _probabilities(of: TrainedModel, items) -> np.ndarray:
    return predict(of.model, of.spec, PreparedItems(items, preprocessor(of.spec)), of.dataset.multilabel)


def averaged(both, items) -> np.ndarray:
    """Return the mean of the two models' probabilities."""
    first, other = (_probabilities(member, items) for member in both)
    assert np.abs(first - other).max() > 0.05, "two models that agree would prove nothing"
    return (first + other) / 2


@pytest.fixture
def two_members(request, tmp_path, tiny_backbones):
    """Two models of one data set, and the paths of their bundles; single-label texts unless parametrized."""
    kind = getattr(request, "param", "texts")
    dataset = request.getfixturevalue(f"tiny_{kind}")
    first = trained_model(dataset, "tiny_image" if kind == "images" else "tiny_text")
    both = (first, scratch(first))
    bundles = tuple(write_bundle(tmp_path / f"bundle-{n}", member).path for n, member in enumerate(both))
    return both, bundles


@pytest.mark.parametrize("two_members", ["texts", "images", "multilabel"], indirect=True)
def test_a_loaded_ensemble_averages_its_members(two_members, tmp_path):
    both, bundles = two_members
    report = write_ensemble(tmp_path / "both", bundles)
    ensemble = open_bundle(tmp_path / "both")
    dataset = both[0].dataset
    items = dataset_items(dataset, dataset.rows("test"))
    expected = averaged(both, items)
    np.testing.assert_allclose(ensemble.predict(items), expected, atol=1e-6)
    assert ensemble.classes == dataset.classes
    assert ensemble.multilabel == dataset.multilabel
    assert ensemble.report == report
    np.testing.assert_allclose([item.probabilities for item in report.predictions], expected, atol=2e-6)
    truth = dataset.truth[dataset.rows("test")]
    if dataset.multilabel:
        assert report.auc.value == pytest.approx(roc_auc_score(truth, expected))
    else:
        assert report.accuracy.value == accuracy_score(truth, expected.argmax(axis=1))
        assert [item.predicted for item in report.predictions] == expected.argmax(axis=1).tolist()
    again = evaluate_bundle(ensemble, dataset)
    assert again["accuracy"]["value"] == report.accuracy.value
    assert again["accuracy"]["n"] == len(items)


def test_an_ensemble_contains_complete_members_and_its_own_card(two_members, tmp_path):
    both, bundles = two_members
    folder = tmp_path / "both"
    report = write_ensemble(folder, bundles)
    packed = zip_bundle(folder, tmp_path / "graft-both.zip")
    own = {"config.json", "labels.json", "report.json", "predict.py", "README.md", "requirements.txt"}
    member_files = {f"{name}/{path.name}" for name, bundle in zip(("1-feature_extraction", "2-from_scratch"), bundles,
                                                            strict=True) for path in bundle.iterdir()}  # fmt: skip
    with zipfile.ZipFile(packed) as archive:
        assert {name.removeprefix("graft-both/") for name in archive.namelist()} == own | member_files
        archive.extractall(tmp_path / "out")
    alone = load_bundle(tmp_path / "out" / "graft-both" / "2-from_scratch")
    items = dataset_items(both[0].dataset, both[0].dataset.rows("test"))
    np.testing.assert_allclose(alone.predict(items), _probabilities(both[1], items), atol=1e-6)
    card = (folder / "README.md").read_text(encoding="utf-8")
    for report_ in (*(one.report for one in both), report):
        assert f"{report_.accuracy.value * 100:.1f}% ({report_.accuracy.low * 100:.1f} to" in card
    assert "probabilities are averaged" in card.replace("\n", " ")


def test_models_of_other_data_or_classes_are_refused(two_members, tmp_path):
    both, bundles = two_members
    folder = tmp_path / "both"
    dataset = both[0].dataset
    other = replace(dataset, split=replace(dataset.split, seed=7))
    other_split = write_bundle(tmp_path / "apart", trained_model(other, "tiny_text")).path
    with pytest.raises(DataError, match="different test items"):
        write_ensemble(folder, (bundles[0], other_split))
    renamed = write_bundle(tmp_path / "renamed", trained_model(replace(dataset, classes=("x", "y")), "tiny_text")).path
    with pytest.raises(DataError, match="different classes"):
        write_ensemble(folder, (bundles[0], renamed))
    with pytest.raises(ExportError, match="at least two models"):
        write_ensemble(folder, bundles[:1])
    assert not folder.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_ensemble_is_refused_where_a_single_model_is_needed(two_members, tmp_path):
    write_ensemble(tmp_path / "both", two_members[1])
    with pytest.raises(ExportError, match="a single model is needed") as caught:
        load_bundle(tmp_path / "both")
    assert "1-feature_extraction" in caught.value.hint


@pytest.mark.parametrize("damage", ["report.json", "1-feature_extraction/weights.safetensors", "elsewhere"])
def test_a_damaged_ensemble_is_refused(two_members, tmp_path, damage):
    folder = tmp_path / "both"
    write_ensemble(folder, two_members[1])
    if damage == "elsewhere":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"members": ["..", "../bundle-0"]}))
    else:
        (folder / damage).write_bytes(b"{}")
    with pytest.raises(ExportError) as caught:
        load_ensemble(folder)
    assert caught.value.hint


def test_ensemble_and_predict_on_the_command_line(two_members, tmp_path, workspace, capsys):
    both, bundles = two_members
    out, table_ = tmp_path / "both", tmp_path / "rows-out.csv"
    assert main(["ensemble", *map(str, bundles), "--out", str(out)]) == 0
    assert "2 models averaged" in capsys.readouterr().out
    rows = tmp_path / "rows.csv"
    texts = both[0].dataset.items["text"].iloc[:6].tolist()
    rows.write_text("text\n" + "\n".join(f'"{text}"' for text in texts), encoding="utf-8")
    assert main(["predict", str(out), str(rows), "--out", str(table_)]) == 0
    *_, values = table(table_)
    np.testing.assert_allclose(values, averaged(both, texts), atol=2e-6)
    assert main(["ensemble", str(bundles[0]), str(tmp_path / "nowhere"), "--out", str(out)]) == 2


def without_the_app(first: TrainedModel, source, tmp_path, workspace) -> None:
    """Zip an ensemble, unpack it, run its script in another process, and compare with the two models."""
    both = (first, scratch(first))
    write_ensemble(tmp_path / "both", [write_bundle(tmp_path / f"{n}", m).path for n, m in enumerate(both)])
    with zipfile.ZipFile(zip_bundle(tmp_path / "both", tmp_path / "down.zip")) as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / "down"
    done = run(folder, source, "--out", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    header, items, predicted, values = table(tmp_path / "out.csv")
    inputs = read_prediction_items(str(source), first.spec.modality, workspace, "text")
    expected = averaged(both, inputs.paths or inputs.texts)
    classes = np.array(first.dataset.classes)
    assert header == ["item", "predicted", *classes]
    assert items == list(inputs.ids)
    assert np.abs(values - expected).max() <= 1e-4
    if first.dataset.multilabel:
        assert predicted == ["|".join(classes[row > 0.5]) for row in expected]
    else:
        assert predicted == classes[expected.argmax(axis=1)].tolist()
    (folder / "labels.json").write_text(json.dumps([*classes[::-1]]))
    done = run(folder, source, "--out", tmp_path / "never.csv")
    assert "have different classes" in done.stderr
    assert not (tmp_path / "never.csv").exists()


@pytest.mark.parametrize("place", ["", "both", "deep/both"])
def test_an_ensemble_is_never_written_over_or_into_a_member(two_members, place):
    _, bundles = two_members
    before = {path: path.read_bytes() for path in bundles[0].rglob("*")}
    with pytest.raises(ExportError, match="a model of the ensemble"):
        write_ensemble(bundles[0] / place, bundles)
    assert {path: path.read_bytes() for path in bundles[0].rglob("*")} == before


def test_a_failed_copy_is_a_readable_error(two_members, tmp_path, monkeypatch):
    def full(*args):
        raise shutil.Error([("a", "b", "no space")])

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(ExportError, match="could not be copied"):
        write_ensemble(tmp_path / "both", two_members[1])
    assert not (tmp_path / "both").exists()


def test_a_member_replaced_by_one_with_other_classes_is_refused(two_members, tmp_path):
    write_ensemble(tmp_path / "both", two_members[1])
    labels = next((tmp_path / "both").glob("2-*")) / "labels.json"
    labels.write_text(json.dumps(json.loads(labels.read_text())[::-1]))
    with pytest.raises(ExportError, match="have different classes"):
        open_bundle(tmp_path / "both")


@pytest.mark.slow
def test_images_without_the_app(workspace, tmp_path):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in pictures().items():
            packed.writestr(name, data)
    # a member of its own depth, so that the two are prepared alike and built otherwise
    first = trained_model(make_images(workspace), "efficientnet_lite0", Head(tap="blocks.4", pool="mean_std"))
    without_the_app(first, archive, tmp_path, workspace)


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_texts, make_multilabel], ids=["one label", "several"])
def test_texts_without_the_app(make, workspace, tmp_path):
    first = trained_model(make(workspace), "all_minilm_l6_v2", Head(tap="layer.3"))
    rows = tmp_path / "rows.csv"
    texts = first.dataset.items["text"].iloc[:30]
    rows.write_text("text\n" + "\n".join(f'"{text}"' for text in texts), encoding="utf-8")
    without_the_app(first, rows, tmp_path, workspace)
