"""Predictions as a table: item, predicted, then one probability column per class."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tl_core.workspace import write_bytes


def predictions_csv(items: Sequence[str], probabilities_NC: np.ndarray, classes: Sequence[str]) -> str:
    """Return the table as CSV text, probabilities to six places."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item", "predicted", *classes])
    for item, row in zip(items, probabilities_NC, strict=True):
        writer.writerow([item, classes[int(np.argmax(row))], *(f"{value:.6f}" for value in row)])
    return text.getvalue()


def write_predictions(path: Path, items: Sequence[str], probabilities_NC: np.ndarray, classes: Sequence[str]) -> None:
    """Write the table in UTF-8, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_bytes(path, predictions_csv(items, probabilities_NC, classes).encode())
