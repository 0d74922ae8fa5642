"""Probabilities from a trained model in memory. (cli/predict.py: the command; export/templates: the script.)"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tl_core.backbones.preprocess import Preprocessor, preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.label_task import label_task
from tl_core.layers import HEAD
from tl_core.plan import TransferPlan
from tl_core.training.model import TransferModel

CHUNK = 1024
"""Items prepared at a time. This bounds memory; within a chunk texts are sorted by length."""


@torch.inference_mode()
def predict(
    model: TransferModel,
    spec: BackboneSpec,
    prepared: Sequence[torch.Tensor],
    multilabel: bool = False,
    batch: int = 32,
) -> np.ndarray:
    """Return probabilities `[N, C]` of prepared items, in their order; leave the model in evaluation mode.

    If `multilabel`, each label has an independent probability. `prepared` may be lazy: each item is read once.
    """
    model.eval()
    task = label_task(multilabel)
    collate, device = preprocessor(spec).collate, model.head.mean.device
    probabilities = np.empty((len(prepared), model.head.out.out_features), np.float32)
    for start in range(0, len(prepared), CHUNK):
        items = [prepared[row] for row in range(start, min(start + CHUNK, len(prepared)))]
        order = np.argsort([len(item) for item in items], kind="stable")
        for first in range(0, len(order), batch):
            rows = order[first : first + batch]
            logits = model(collate([items[row] for row in rows], device))
            probabilities[start + rows] = task.probabilities(logits).cpu().numpy()
    return probabilities


@torch.inference_mode()
def predict_features(model: TransferModel, features_ND: np.ndarray, multilabel: bool = False) -> np.ndarray:
    """Return probabilities `[N, C]` from pooled features `[N, D]`, by running the head alone."""
    features = torch.from_numpy(np.ascontiguousarray(features_ND, np.float32)).to(model.head.mean.device)
    return label_task(multilabel).probabilities(model.eval().head(features)).cpu().numpy()


def keeps_backbone(plan: TransferPlan) -> bool:
    """Return whether a plan leaves the pretrained backbone unchanged, so that stored features stay valid."""
    return plan.init == "pretrained" and all(set(phase.lr) <= {HEAD} for phase in plan.phases)


class PreparedItems(Sequence[torch.Tensor]):
    """Image files, texts, or tuples of both, each prepared when it is read."""

    def __init__(self, items: Sequence[Any], prepare: Preprocessor) -> None:
        self._items, self._prepare = items, prepare

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        return self._prepare.prepare(self._items[index])


class PreparedRows(Sequence[torch.Tensor]):
    """Some rows of a lazy sequence of prepared items."""

    def __init__(self, prepared: Sequence[torch.Tensor], rows: np.ndarray) -> None:
        self._prepared, self._rows = prepared, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        return self._prepared[int(self._rows[index])]


def predict_rows(
    model: TransferModel,
    spec: BackboneSpec,
    plan: TransferPlan,
    dataset: Dataset,
    rows: np.ndarray,
    store: FeatureStore,
) -> np.ndarray:
    """Return probabilities `[len(rows), C]` of rows of a data set, from stored features where these are valid."""
    if keeps_backbone(plan) and store.has(dataset, spec):
        features = store.features(dataset, spec, plan.head.tap, plan.head.pool)[rows]
        return predict_features(model, features, dataset.multilabel)
    return predict(model, spec, PreparedRows(store.prepared(dataset, spec), rows), dataset.multilabel)
