"""Measure a bundle on labelled data, its own test items or new data."""

from dataclasses import replace
from typing import Any

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.holdout_log import record_holdout_use
from tl_core.errors import DataError
from tl_core.evaluation import metrics, multilabel
from tl_core.evaluation.holdout import EVALUATE, JOINED
from tl_core.evaluation.slices import measure_slices, slice_findings
from tl_core.export.bundle import dataset_items
from tl_core.export.ensemble import Ensemble, Predictor
from tl_core.statistics.roc import mean_auc
from tl_core.types import Estimate, dump, noun


def evaluate_bundle(bundle: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return the metrics of a bundle on a data set, as plain JSON types.

    If the bundle was trained on this data set, only its test items are measured, with the labels of its report, and
    their use is recorded. Otherwise the test part that the source names is measured, or else all items. Items with a
    label that the bundle does not know are left out and counted. For multilabel data, labels that the data do not have
    are not measured. Raises DataError if the modality differs, if only one of the two is multilabel, or if they share
    no label.
    """
    if dataset.modality != bundle.spec.modality:
        raise DataError(
            f"This model reads {noun(bundle.spec.modality)}, but {dataset.name} holds {noun(dataset.modality)}."
        )
    if bundle.multilabel and not dataset.multilabel:
        raise DataError(
            f"This model gives an item several labels, but the items of {dataset.name} have one each.",
            "Name the column with all labels of an item, and the separator between them.",
        )
    if dataset.multilabel and not bundle.multilabel:
        raise DataError(
            f"This model gives an item one label, but the items of {dataset.name} may have several.",
            "Measure it on items with one label each.",
        )
    if dataset.fingerprint == bundle.report.fingerprint:
        dataset = replace(dataset, split=bundle.split, decisions=bundle.decisions)
    rows, measured = _rows(bundle, dataset)
    # the bundle's index of each class of the data; -1: the bundle does not have it
    class_index = np.array([_index(bundle.classes, name) for name in dataset.classes])
    truth = dataset.truth[rows]
    known = (truth[:, class_index < 0] < 0.5).all(axis=1) if truth.ndim == 2 else class_index[truth] >= 0
    rows, truth, left_out = rows[known], truth[known], int((~known).sum())
    if len(rows) == 0 or (class_index < 0).all():
        raise DataError(
            f"No item of {dataset.name} has a label that this model knows.",
            f"It knows {', '.join(bundle.classes[:8])}; the data have {', '.join(dataset.classes[:8])}.",
        )
    probabilities = bundle.predict(dataset_items(dataset, rows))
    if dataset.fingerprint == bundle.report.fingerprint:
        record_holdout_use(dataset, _run_of(bundle), EVALUATE)
    if bundle.multilabel:
        shared = np.sort(class_index[class_index >= 0])
        truth = truth[:, [dataset.classes.index(bundle.classes[label]) for label in shared]]
        probabilities, names = probabilities[:, shared], tuple(bundle.classes[label] for label in shared)
        scores, predicted = _multilabel(truth, probabilities, names), probabilities
    else:
        truth, names, predicted = class_index[truth], bundle.classes, probabilities.argmax(axis=1)
        scores = _single_label(truth, probabilities, names)
    slices = measure_slices(dataset, rows, truth, predicted)
    return scores | {
        "classes": list(names),
        "measured": measured,
        "left_out": left_out,
        "multilabel": bundle.multilabel,
        "slices": dump(slices) if slices else None,
        "findings": [dump(finding) for finding in slice_findings(slices)],
    }


def _run_of(bundle: Predictor) -> str:
    """Return the run that made a model; of an ensemble those of its members, so that two ensembles are told apart."""
    if isinstance(bundle, Ensemble):
        return JOINED.join(sorted(member.report.run for member in bundle.members))
    return bundle.report.run


def _single_label(truth_N: np.ndarray, probabilities_NC: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    predicted = probabilities_NC.argmax(axis=1)
    confusion = metrics.confusion_matrix(truth_N, predicted, len(classes))
    return {
        "accuracy": dump(metrics.accuracy(truth_N, predicted)),
        "macro_f1": dump(metrics.macro_f1(confusion)),
        "auc": _dumped(metrics.auc(truth_N, probabilities_NC)),
        "log_loss": dump(metrics.log_loss(truth_N, probabilities_NC)),
        "per_class": [dump(score) for score in metrics.per_class(confusion, classes)],
        "confusion": confusion.tolist(),
    }


def _multilabel(truth_NK: np.ndarray, probabilities_NK: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    macro, micro = multilabel.f1(truth_NK, probabilities_NK)
    return {
        "accuracy": dump(multilabel.accuracy(truth_NK, probabilities_NK)),
        "exact": dump(multilabel.exact(truth_NK, probabilities_NK)),
        "macro_f1": dump(macro),
        "micro_f1": dump(micro),
        "auc": _dumped(mean_auc(truth_NK, probabilities_NK)),
        "log_loss": dump(multilabel.log_loss(truth_NK, probabilities_NK)),
        "per_class": [dump(score) for score in multilabel.per_label(truth_NK, probabilities_NK, classes)],
        "confusion": [],
    }


def _dumped(estimate: Estimate | None) -> Any:
    return dump(estimate) if estimate else None


def _rows(bundle: Predictor, dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return the rows to measure on, and a description of them."""
    if dataset.fingerprint == bundle.report.fingerprint:
        return dataset.rows("test"), "the test items of the data it was trained on"
    test_part = np.flatnonzero((dataset.items["given"] == "test").to_numpy() & dataset.included)
    if len(test_part):
        return test_part, "the test part named by the data"
    return np.flatnonzero(dataset.included), "all items"


def _index(classes: tuple[str, ...], name: str) -> int:
    """Return the index of a label among the bundle's classes, -1 if it is not one of them."""
    return classes.index(name) if name in classes else -1
