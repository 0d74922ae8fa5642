"""Predictions as a table: item, predicted, then one probability column per class."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tl_core.evaluation.results import HALF
from tl_core.workspace import write_bytes

BETWEEN = "|"
"""Stands between the labels of an item that has several."""


def predictions_csv(
    items: Sequence[str], probabilities_NC: np.ndarray, classes: Sequence[str], multilabel: bool = False
) -> str:
    """Return the table as CSV text, probabilities to six places.

    Where items may have `several` labels, all that are above one half are predicted, perhaps none.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item", "predicted", *classes])
    for item, row in zip(items, probabilities_NC, strict=True):
        said = np.flatnonzero(row > HALF).tolist() if multilabel else [int(np.argmax(row))]
        names = BETWEEN.join(classes[label] for label in said)
        writer.writerow([item, names, *(f"{value:.6f}" for value in row)])
    return text.getvalue()


def write_predictions(
    path: Path, items: Sequence[str], probabilities_NC: np.ndarray, classes: Sequence[str], multilabel: bool = False
) -> None:
    """Write the table in UTF-8, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_bytes(path, predictions_csv(items, probabilities_NC, classes, multilabel).encode())
