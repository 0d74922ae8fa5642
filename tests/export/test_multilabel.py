"""Multilabel bundles: probabilities, model card, predict.py, and evaluation on other data."""

import importlib.util
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tests.export.made import trained_model
from tests.export.test_predict_script import run, table
from tests.tiny import make_multilabel, make_texts
from tl_core.cli.console import Console
from tl_core.cli.evaluate import _print as print_measured
from tl_core.errors import DataError
from tl_core.export.bundle import TEMPLATE, dataset_items, load_bundle, write_bundle
from tl_core.export.bundle_metrics import evaluate_bundle
from tl_core.export.model_card import model_card


@pytest.fixture
def multilabel(tiny_multilabel, tiny_backbones):
    return trained_model(tiny_multilabel, "tiny_text")


def test_a_multilabel_bundle_predicts_independent_probabilities(multilabel, tmp_path):
    result = write_bundle(tmp_path / "model", multilabel)
    assert result.max_abs_diff <= 1e-6
    bundle = load_bundle(result.path)
    assert bundle.multilabel
    rows = multilabel.dataset.rows("test")
    items = dataset_items(multilabel.dataset, rows)
    probabilities = bundle.predict(items)
    assert np.ptp(probabilities.sum(axis=1)) > 0.01, "they do not sum to one"
    np.testing.assert_allclose(probabilities, [item.probabilities for item in multilabel.report.predictions], atol=1e-5)


def test_the_card_lists_labels_and_subgroups(multilabel):
    card = model_card(multilabel)
    report = multilabel.report
    assert "(mean AUC)" in card
    assert "above 0.5" in card.replace("\n", " ")
    assert "| label | items | test |" in card
    assert "By length:" in card
    counts = multilabel.dataset.targets.sum(axis=0)
    for score, count in zip(report.per_class, counts, strict=True):
        assert f"| {score.name} | {count:.0f} | {score.recall.n} |" in card
    assert "confidently wrong" in card
    assert "one of its classes" not in card


def test_other_data_are_evaluated_over_the_shared_labels(multilabel, tmp_path, workspace):
    bundle = load_bundle(write_bundle(tmp_path / "model", multilabel).path)
    same = evaluate_bundle(bundle, multilabel.dataset)
    assert same["auc"]["value"] == pytest.approx(multilabel.report.auc.value, abs=1e-6)
    assert [score["name"] for score in same["per_class"]] == list(bundle.classes)
    other = replace(make_multilabel(workspace, 90), classes=("kitchen", "sport", "weather"))
    measured = evaluate_bundle(bundle, other)
    known_labels = other.targets[:, 1] == 0
    rows = np.flatnonzero(known_labels)
    probabilities = bundle.predict(dataset_items(other, rows))[:, [0, 2]]
    assert measured["classes"] == ["kitchen", "weather"]
    assert measured["left_out"] == int((~known_labels).sum())
    assert measured["auc"]["value"] == pytest.approx(roc_auc_score(other.targets[rows][:, [0, 2]], probabilities))
    assert measured["slices"]["column"] == "length"
    json.dumps(measured, allow_nan=False)


def test_the_command_prints_labels_and_slices(multilabel, tmp_path, workspace, capsys):
    bundle = load_bundle(write_bundle(tmp_path / "model", multilabel).path)
    print_measured(evaluate_bundle(bundle, make_multilabel(workspace, 90)), Console(sys.stdout, sys.stderr))
    output = capsys.readouterr().out
    for word in ("mean AUC", "micro-F1", "label", "kitchen", "By length:", "short", "long", "against the rest"):
        assert word in output


def test_single_label_and_multilabel_do_not_mix(multilabel, tmp_path, workspace):
    bundle = load_bundle(write_bundle(tmp_path / "model", multilabel).path)
    with pytest.raises(DataError, match="have one each"):
        evaluate_bundle(bundle, make_texts(workspace))
    single = load_bundle(write_bundle(tmp_path / "single", trained_model(make_texts(workspace), "tiny_text")).path)
    with pytest.raises(DataError, match="may have several"):
        evaluate_bundle(single, multilabel.dataset)


def test_the_script_predicts_every_label_above_one_half():
    spec = importlib.util.spec_from_file_location("bundle_predict", TEMPLATE)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    model = object.__new__(script.Model)
    model.classes, model.multilabel = ["a", "b", "c"], True
    assert [model.predicted(np.array(row)) for row in ([0.6, 0.2, 0.9], [0.5, 0.1, 0.2])] == ["a|c", ""]
    model.multilabel = False
    assert model.predicted(np.array([0.3, 0.4, 0.3])) == "b"


@pytest.mark.slow
def test_the_script_agrees_with_the_app(workspace, tmp_path):
    trained = trained_model(make_multilabel(workspace), "all_minilm_l6_v2")
    with torch.no_grad():
        trained.model.head.out.weight.mul_(5)
    folder = write_bundle(tmp_path / "bundle", trained).path
    texts = trained.dataset.items["text"].iloc[:20].tolist()
    rows = tmp_path / "rows.csv"
    rows.write_text("text\n" + "\n".join(f'"{text}"' for text in texts), encoding="utf-8")
    done = run(folder, rows, "--out", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    header, _, predicted, values = table(tmp_path / "out.csv")
    bundle = load_bundle(folder)
    expected = bundle.predict(texts)
    assert header == ["item", "predicted", *bundle.classes]
    assert np.abs(values - expected).max() <= 1e-4
    expected_labels = ["|".join(np.array(bundle.classes)[row > 0.5]) for row in expected]
    assert predicted == expected_labels
    assert len(set(expected_labels)) > 1
