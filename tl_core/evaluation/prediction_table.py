"""Predictions as a table: item, predicted, then one probability column per class."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tl_core.evaluation.results import HALF
from tl_core.workspace import write_bytes

LABEL_SEPARATOR = "|"
"""Separates the labels of a multilabel item."""


def predictions_csv(
    items: Sequence[str], probabilities_NC: np.ndarray, classes: Sequence[str], multilabel: bool = False
) -> str:
    """Return the table as CSV text, probabilities to six decimal places.

    If `multilabel`, an item's predicted labels are all those above 0.5, perhaps none.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item", "predicted", *classes])
    for item, row in zip(items, probabilities_NC, strict=True):
        predicted = np.flatnonzero(row > HALF).tolist() if multilabel else [int(np.argmax(row))]
        names = LABEL_SEPARATOR.join(classes[label] for label in predicted)
        writer.writerow([item, names, *(f"{value:.6f}" for value in row)])
    return text.getvalue()


def write_predictions(
    path: Path, items: Sequence[str], probabilities_NC: np.ndarray, classes: Sequence[str], multilabel: bool = False
) -> None:
    """Write the table in UTF-8, atomically. Raises WorkspaceError if it cannot be written."""
    write_bytes(path, predictions_csv(items, probabilities_NC, classes, multilabel).encode())
