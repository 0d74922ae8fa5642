"""Models for export tests; a head with random weights serves as well as a trained one."""

import numpy as np
import torch

from tl_core.backbones.catalogue import find_backbone
from tl_core.backbones.preprocess import preprocessor
from tl_core.data.dataset import Dataset
from tl_core.evaluation.predict import PreparedItems, predict
from tl_core.evaluation.report import make_report
from tl_core.export import TrainedModel
from tl_core.export.bundle import dataset_items
from tl_core.plan import Head, Phase, TransferPlan
from tl_core.training.model import build_model


def trained_model(dataset: Dataset, backbone: str, head: Head | None = None) -> TrainedModel:
    """Return a model with varied predictions, and its report."""
    spec = find_backbone(backbone)
    plan = TransferPlan(
        backbone, "feature_extraction", (Phase("head", 1, {"head": 1.0}, optimizer="lbfgs"),), head=head or Head()
    )
    model = build_model(spec, plan, len(dataset.classes), seed=3)
    items = dataset_items(dataset, dataset.rows("test"))
    prepare = preprocessor(spec)
    with torch.no_grad():
        prepared = [prepare.prepare(item) for item in dataset_items(dataset, np.arange(len(dataset.labels)))]
        model.head.standardise(model.features(prepare.collate(prepared, torch.device("cpu"))))
    probabilities = predict(model, spec, PreparedItems(items, prepare), dataset.multilabel)
    assert np.ptp(probabilities, axis=0).max() > 0.05
    return TrainedModel(model, spec, dataset, make_report("run-1", dataset, plan, probabilities, {"accuracy": 0.5}))
