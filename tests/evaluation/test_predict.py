"""Probabilities: the same whatever the batch, from features and from scratch, and as a table."""

import csv

import numpy as np
import pytest
import torch

from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES
from tl_core.evaluation.predict import PreparedRows, keeps_backbone, predict, predict_rows
from tl_core.evaluation.prediction_table import predictions_csv, write_predictions
from tl_core.features import FeatureStore
from tl_core.plan import Head, Phase, TransferPlan
from tl_core.training.model import build_model

HEAD_ONLY = TransferPlan("tiny_text", "x", (Phase("head", 1, {"head": 1.0}),), head=Head(pool="mean_std"))


@pytest.fixture
def model(tiny_backbones):
    return build_model(BACKBONES["tiny_text"], HEAD_ONLY, 2, seed=1)


def test_order_and_batch_size_do_not_matter(model, tiny_texts):
    spec = BACKBONES["tiny_text"]
    prepare = preprocessor(spec).prepare
    items = [prepare(text) for text in tiny_texts.items["text"]]
    together = predict(model.train(), spec, items)
    assert not model.training
    with torch.inference_mode():
        alone = [torch.softmax(model(preprocessor(spec).collate([i], torch.device("cpu"))), 1).numpy() for i in items]
    assert np.abs(together - np.concatenate(alone)).max() < 1e-5
    assert np.abs(together.sum(axis=1) - 1).max() < 1e-5
    assert predict(model, spec, []).shape == (0, 2)


def test_an_item_is_prepared_once_and_late(model, tiny_texts):
    prepared = []

    class Watched(PreparedRows):
        def __getitem__(self, index):
            prepared.append(index)
            return super().__getitem__(index)

    spec = BACKBONES["tiny_text"]
    items = [preprocessor(spec).prepare(text) for text in tiny_texts.items["text"]]
    predict(model, spec, Watched(items, np.array([3, 1, 2])))
    assert prepared == [0, 1, 2]


def test_stored_features_replace_the_forward_pass_of_a_frozen_backbone(model, tiny_texts, workspace, monkeypatch):
    spec, store, rows = BACKBONES["tiny_text"], FeatureStore(workspace), np.array([5, 2, 9])
    slow = predict_rows(model, spec, HEAD_ONLY, tiny_texts, rows, store)
    list(store.probe(tiny_texts, spec))
    monkeypatch.setattr(model, "forward", None)  # the backbone must rest now
    assert np.abs(predict_rows(model, spec, HEAD_ONLY, tiny_texts, rows, store) - slow).max() < 1e-5


def test_which_plans_keep_the_backbone():
    tune = Phase("tune", 1, {"head": 1.0, "layer.1": 1e-4})
    assert keeps_backbone(HEAD_ONLY)
    assert not keeps_backbone(TransferPlan("b", "x", (tune,)))
    assert not keeps_backbone(TransferPlan("b", "x", HEAD_ONLY.phases, init="random"))


def test_the_table_quotes_all_kinds_of_names(tmp_path):
    items, classes = ["a,b", 'say "x"', "Ünï\nline"], ["cat", "dog, wet"]
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    write_predictions(tmp_path / "out.csv", items, probabilities, classes)
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["item", "predicted", "cat", "dog, wet"]
    assert [row[0] for row in rows[1:]] == items
    assert [row[1] for row in rows[1:]] == ["cat", "dog, wet", "cat"]
    assert [float(row[2]) for row in rows[1:]] == [0.9, 0.2, 0.5]
    assert predictions_csv([], np.empty((0, 2)), classes) == 'item,predicted,cat,"dog, wet"\n'
