"""`layers`: which layer groups are worth training, found by trying."""

import argparse

from tl_core.cli.console import Console
from tl_core.cli.running import run_whole
from tl_core.cli.train import check_names, planned
from tl_core.errors import RunError
from tl_core.evaluation.saved import read_layers
from tl_core.evaluation.values import LayerSweep
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.types import dump
from tl_core.workspace import Workspace


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Train each layer group alone for a few steps, and print what each reached."""
    check_names(arguments)
    workspace = Workspace.default()
    dataset, plan = planned(arguments, workspace, console)
    name = f"Layers for {dataset.name}"
    task = Task(
        "layers",
        plan.backbone,
        dataset.fingerprint,
        dataset.split,
        plan,
        arguments.seed,
        name=name,
        decisions=dataset.pin(),
    )
    state = run_whole(workspace, task, console)
    sweep = read_layers(RunStore(workspace).folder(state.id))
    if sweep is None:
        raise RunError("The comparison was not written.", "Run the command again.")
    if arguments.json:
        console.json(dump(sweep))
    else:
        _print(sweep, console)
    return 0


def _print(sweep: LayerSweep, console: Console) -> None:
    console.line(
        f"Validation accuracy on {sweep.baseline.accuracy.n} items with one layer group trained for {sweep.steps} "
        f"steps at {sweep.rate:g}, {sweep.backbone}\n"
    )
    scores = [("none (the head alone)", sweep.baseline), *((score.group, score) for score in sweep.groups)]
    rows = [
        (name, *(f"{x:.3f}" for x in (s.accuracy.value, s.accuracy.low, s.accuracy.high, s.loss))) for name, s in scores
    ]
    console.table(("layer group", "accuracy", "low", "high", "loss"), rows)
