"""`evaluate`: measure a trained model on labelled data."""

import argparse
from typing import Any

from tl_core.cli.console import Console
from tl_core.cli.data import open_data
from tl_core.workspace import Workspace


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print accuracy, macro-F1 and the rest, each with its interval."""
    from tl_core.export.bundle import load_bundle
    from tl_core.export.measure import evaluate_bundle

    bundle = load_bundle(arguments.bundle)
    dataset = open_data(arguments.data, Workspace.default(), console)
    measured = evaluate_bundle(bundle, dataset)
    if arguments.json:
        console.json(measured)
    else:
        _print(measured, console)
    return 0


def _print(measured: dict[str, Any], console: Console) -> None:
    console.line(f"Measured on {measured['measured']} (n = {measured['accuracy']['n']:,})\n")
    rows = []
    for key, title in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("auc", "AUC"), ("log_loss", "log loss")):
        if measured[key]:
            rows.append((title, *(f"{measured[key][part]:.3f}" for part in ("value", "low", "high"))))
    console.table(("", "value", "low", "high"), rows)
    console.line()
    scores = [
        (score["name"], *(f"{score[key]['value']:.3f}" for key in ("precision", "recall", "f1")))
        for score in measured["per_class"]
    ]
    console.table(("class", "precision", "recall", "F1"), scores)
    if measured["left_out"]:
        console.line(f"\nLeft out: {measured['left_out']:,} items with a label that the model does not know.")
