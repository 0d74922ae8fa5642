"""`layers`: find out by trying which layer groups are worth training."""

import argparse

from tl_core.cli.console import Console
from tl_core.cli.trial import run_trial
from tl_core.evaluation.result_files import read_layers
from tl_core.evaluation.results import LayerSweep


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Train each layer group alone for a few steps, and print what each reached."""
    return run_trial("layers", arguments, console, lambda task, *_: task, read_layers, _print)


def _print(sweep: LayerSweep, console: Console) -> None:
    console.line(
        f"Validation {sweep.score}, on {sweep.baseline.accuracy.n} items with one layer group trained for "
        f"{sweep.steps} steps at {sweep.rate:g}, {sweep.backbone}\n"
    )
    scores = [("none (the head alone)", sweep.baseline), *((score.group, score) for score in sweep.groups)]
    rows = [
        (name, *(f"{x:.3f}" for x in (s.accuracy.value, s.accuracy.low, s.accuracy.high, s.loss))) for name, s in scores
    ]
    console.table(("layer group", "score" if sweep.multilabel else "accuracy", "low", "high", "loss"), rows)
