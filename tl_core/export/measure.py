"""How good a bundle is on labelled data, also on data that it has never seen."""

from dataclasses import replace
from typing import Any

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.evaluation import metrics
from tl_core.export.bundle import Bundle, dataset_items
from tl_core.types import dump


def evaluate_bundle(bundle: Bundle, dataset: Dataset) -> dict[str, Any]:
    """Return the metrics of a bundle on a data set, as plain JSON types.

    Measured are: of the data the bundle was trained on, its test items alone; else the part that the source names as
    test; else everything. Items whose label the bundle does not know are left out and counted. Raises DataError where
    the modality differs or no label is shared.
    """
    if dataset.modality != bundle.spec.modality:
        raise DataError(f"This model reads {bundle.spec.modality}s, and {dataset.name} holds {dataset.modality}s.")
    rows, measured = _rows(bundle, dataset)
    known = np.array([_index(bundle.classes, name) for name in dataset.classes])
    truth = known[dataset.labels[rows]]
    rows, truth, left_out = rows[truth >= 0], truth[truth >= 0], int((truth < 0).sum())
    if len(rows) == 0:
        raise DataError(
            f"No item of {dataset.name} has a label that this model knows.",
            f"It knows {', '.join(bundle.classes[:8])}; the data have {', '.join(dataset.classes[:8])}.",
        )
    probabilities = bundle.predict(dataset_items(dataset, rows))
    confusion = metrics.confusion_matrix(truth, probabilities.argmax(axis=1), len(bundle.classes))
    area = metrics.auc(truth, probabilities)
    return {
        "accuracy": dump(metrics.accuracy(truth, probabilities.argmax(axis=1))),
        "macro_f1": dump(metrics.macro_f1(confusion)),
        "auc": dump(area) if area else None,
        "log_loss": dump(metrics.log_loss(truth, probabilities)),
        "per_class": [dump(score) for score in metrics.per_class(confusion, bundle.classes)],
        "classes": list(bundle.classes),
        "confusion": confusion.tolist(),
        "measured": measured,
        "left_out": left_out,
    }


def _rows(bundle: Bundle, dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return the rows to measure on, and which they are in words."""
    if dataset.fingerprint == bundle.report.fingerprint:
        same = replace(dataset, split=bundle.split, decisions=bundle.decisions)
        return same.rows("test"), "the test items of the data it was trained on"
    given = np.flatnonzero((dataset.items["given"] == "test").to_numpy() & dataset.kept)
    if len(given):
        return given, "the test part that the data name"
    return np.flatnonzero(dataset.kept), "all items"


def _index(classes: tuple[str, ...], name: str) -> int:
    """Return the place of a label among the bundle's classes, -1 where it has none."""
    return classes.index(name) if name in classes else -1
