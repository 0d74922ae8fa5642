"""`rates`: which learning rates a plan can bear, found by trying."""

import argparse

from tl_core.cli.checks import check_plan
from tl_core.cli.console import Console
from tl_core.cli.running import run_whole
from tl_core.cli.train import check_names, planned, with_others
from tl_core.errors import RunError
from tl_core.evaluation.saved import read_rates
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.training.rates import RateCurve, phase_of
from tl_core.types import dump
from tl_core.workspace import Workspace

LINES = 12


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Try growing rates on the plan's first phase of fine-tuning, and print the curve and what it suggests."""
    check_names(arguments)
    workspace = Workspace.default()
    dataset, plan = planned(arguments, workspace, console)
    phase_of(plan)
    check_plan(plan, arguments, console, dataset.multilabel)
    name = f"Rates for {dataset.name}"
    task = Task(
        "rates",
        plan.backbone,
        dataset.fingerprint,
        dataset.split,
        plan,
        arguments.seed,
        name=name,
        decisions=dataset.pin(),
    )
    task = with_others(task, arguments, dataset, workspace, console)
    state = run_whole(workspace, task, console)
    curve = read_rates(RunStore(workspace).folder(state.id))
    if curve is None:
        raise RunError("The curve was not written.", "Run the command again.")
    if arguments.json:
        console.json(dump(curve))
    else:
        _print(curve, console)
    return 0


def _print(curve: RateCurve, console: Console) -> None:
    console.line(f"Loss over a growing learning rate, {curve.backbone}, phase {curve.name!r}\n")
    every = max(1, -(-len(curve.rates) // LINES))
    rows = [(f"{r:.1e}", f"{s:.3f}") for r, s in zip(curve.rates[::every], curve.smoothed[::every], strict=True)]
    console.table(("rate", "loss, smoothed"), rows)
    if curve.suggestion is None:
        console.line("\nNo rate made the loss fall clearly, so none is suggested.")
    else:
        console.line(f"\nSuggested: {curve.suggestion:g} ({curve.rule}); the plan has {curve.present:g}.")
