"""`predict`: classify images or texts with a trained model and write a table."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tl_core.cli.console import Console
from tl_core.errors import UsageError
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.data.prediction_items import PredictionItems
    from tl_core.export.ensemble import Predictor

CHUNK = 256


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Write one row an item: the item, the predicted class or labels, and every class's probability."""
    out: Path = arguments.out.expanduser()
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError(f"{out} cannot be written.", "Name a file in a folder that exists.")
    source = Path(arguments.input).expanduser().resolve()
    if out.resolve() == source:
        raise UsageError(f"{out} is the input file.", "Name another file for --out.")
    if out.exists() and out.resolve().is_relative_to(source):  # it may be a table of the data
        raise UsageError(f"{out} exists already, in the input folder.", "Name a file outside the input for --out.")
    from tl_core.export.ensemble import open_bundle

    bundle = open_bundle(arguments.bundle.expanduser())
    inputs = classify(bundle, arguments.input, out, lambda done, total: console.stage("Classifying", done, total))
    if inputs.text_column != bundle.text_column and inputs.text_column:
        console.note(f"The texts were read from the column {inputs.text_column!r}.")
    if inputs.path_column != bundle.path_column and inputs.path_column:
        console.note(f"The pictures were read from the column {inputs.path_column!r}.")
    for item, reason in inputs.skipped:
        console.note(f"Skipped {item}: {reason}")
    n = len(inputs.ids)
    console.line(f"{n:,} predictions are in {out}" if n > 1 else f"1 prediction is in {out}")
    return 0


def classify(bundle: "Predictor", source: str, out: Path, on_progress: Callable[[int, int], None]) -> "PredictionItems":
    """Write the predictions for a source; return its items, with those that were skipped.

    `on_progress(done, total)` is called before every chunk. Raises DataError if nothing can be read.
    """
    import numpy as np

    from tl_core.data.prediction_items import read_prediction_items
    from tl_core.evaluation.prediction_table import write_predictions

    columns = bundle.text_column, bundle.path_column
    inputs = read_prediction_items(source, bundle.spec.modality, Workspace.default(), *columns)
    items = inputs.items
    blocks = []
    for start in range(0, len(items), CHUNK):
        on_progress(start, len(items))
        blocks.append(bundle.predict(items[start : start + CHUNK]))
    write_predictions(out, inputs.ids, np.concatenate(blocks), bundle.classes, bundle.multilabel)
    return inputs
