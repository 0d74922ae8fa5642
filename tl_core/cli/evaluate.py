"""`evaluate`: measure a trained model on labelled data and print its metrics."""

import argparse
from typing import Any

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import open_data
from tl_core.evaluation.results import Slices
from tl_core.types import Estimate, load
from tl_core.workspace import Workspace

ONE = (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("auc", "AUC"), ("log_loss", "log loss"))
SEVERAL = (
    *(("auc", "mean AUC"), ("accuracy", "right answers"), ("exact", "all labels right")),
    *(("macro_f1", "macro-F1"), ("micro_f1", "micro-F1"), ("log_loss", "log loss")),
)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print accuracy, macro-F1 and the rest, each with its interval."""
    from tl_core.export.bundle_metrics import evaluate_bundle
    from tl_core.export.ensemble import open_bundle

    bundle = open_bundle(arguments.bundle)
    dataset = open_data(arguments.data, Workspace.default(), console, column_options(arguments))
    measured = evaluate_bundle(bundle, dataset)
    if arguments.json:
        console.json(measured)
    else:
        _print(measured, console)
    return 0


def _print(measured: dict[str, Any], console: Console) -> None:
    console.line(f"Measured on {measured['measured']} (n = {measured['accuracy']['n']:,})\n")
    rows = []
    for key, title in SEVERAL if measured["multilabel"] else ONE:
        if measured[key]:
            rows.append((title, *(f"{measured[key][part]:.3f}" for part in ("value", "low", "high"))))
    console.table(("", "value", "low", "high"), rows)
    console.line()
    area = ("auc",) if measured["multilabel"] else ()
    scores = [
        (
            score["name"],
            *(f"{score[key]['value']:.3f}" if score[key] else "" for key in ("precision", "recall", "f1", *area)),
        )
        for score in measured["per_class"]
    ]
    titles = ("label", "precision", "recall", "F1", "AUC") if area else ("class", "precision", "recall", "F1")
    console.table(titles, scores)
    print_slices(load(Slices, measured["slices"]) if measured["slices"] else None, console)
    for finding in measured["findings"]:
        console.line(f"{finding['level']}: {finding['message']} {finding['hint']}".rstrip())
    if n := measured["left_out"]:
        items = "1 item" if n == 1 else f"{n:,} items"
        console.line(f"\nLeft out: {items} with a label that the model does not know.")


def print_slices(slices: "Slices | None", console: Console) -> None:
    """Print the score of each subgroup, if there are any."""
    if slices is None:
        return
    console.line(f"\nBy {slices.column}:")
    rows = [
        (subgroup.name, f"{subgroup.n:,}", *numbers(subgroup.score), *numbers(subgroup.gap, "+.3f"))
        for subgroup in slices.slices
    ]
    console.table((slices.column, "items", slices.metric, "low", "high", "against the rest", "low", "high"), rows)
    if slices.worst:
        console.line(f"The lowest is where {slices.column} is {slices.worst}.")
    if slices.without:
        console.line(f"{slices.without:,} items have no value for {slices.column}.")


def numbers(estimate: "Estimate | None", form: str = ".3f") -> tuple[str, str, str]:
    """Return a value and its limits as text, empty for None."""
    if estimate is None:
        return "", "", ""
    return format(estimate.value, form), format(estimate.low, form), format(estimate.high, form)
