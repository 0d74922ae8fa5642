"""`predict`: classify images or texts with a trained model."""

import argparse
from pathlib import Path

from tl_core.cli.console import Console
from tl_core.errors import UsageError
from tl_core.workspace import Workspace

CHUNK = 256


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Write one row an item: the item, the predicted class, and every class's probability."""
    out: Path = arguments.out.expanduser()
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError(f"{out} cannot be written.", "Name a file in a folder that exists.")
    from tl_core.data.inputs import read_inputs
    from tl_core.evaluation.table import write_predictions
    from tl_core.export.bundle import load_bundle

    bundle = load_bundle(arguments.bundle.expanduser())
    inputs = read_inputs(arguments.input, bundle.spec.modality, Workspace.default(), bundle.text_column)
    items = inputs.paths or inputs.texts
    import numpy as np

    found = []
    for start in range(0, len(items), CHUNK):
        console.stage("Classifying", start, len(items))
        found.append(bundle.predict(items[start : start + CHUNK]))
    write_predictions(out, inputs.ids, np.concatenate(found), bundle.classes)
    skipped = [line for line in inputs.receipt.lines if line.action == "skipped"]
    for line in skipped:
        console.note(f"Skipped {line.item}: {line.reason}")
    console.line(f"{len(items):,} predictions are in {out}")
    return 0
