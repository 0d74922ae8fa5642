"""`rates`: find out by trying which learning rates suit a plan (the learning-rate range test)."""

import argparse
from dataclasses import replace

from tl_core.backbones.catalogue import find_backbone
from tl_core.cli.console import Console
from tl_core.cli.plan_checks import check_plan
from tl_core.cli.train import strategy_plan, with_extra_inputs
from tl_core.cli.trial import run_trial
from tl_core.data.dataset import Dataset
from tl_core.errors import PlanError
from tl_core.evaluation.result_files import read_rates
from tl_core.runs.task import Task
from tl_core.training.lr_curve import RateCurve, phase_of
from tl_core.workspace import Workspace

LINES = 12
FINE_TUNING = "partial"
"""The strategy whose rate is looked for where the advised plan is solved exactly and has none."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Try growing rates on the plan's first phase of fine-tuning, and print the curve and what it suggests."""

    def prepare(task: Task, dataset: Dataset, workspace: Workspace) -> Task:
        assert task.plan is not None
        plan = task.plan
        try:
            phase_of(plan)
        except PlanError:
            if arguments.plan or arguments.strategy:
                raise
            console.note(f"The advised plan is solved exactly and needs no rate; the strategy {FINE_TUNING} is tried.")
            spec = find_backbone(plan.backbone)
            plan = strategy_plan(FINE_TUNING, arguments, dataset, spec, workspace, console)
        check_plan(plan, arguments, console, dataset)
        return with_extra_inputs(replace(task, plan=plan), arguments, dataset, workspace, console)

    return run_trial("rates", arguments, console, prepare, read_rates, _print)


def _print(curve: RateCurve, console: Console) -> None:
    console.line(f"Loss over a growing learning rate, {curve.backbone}, phase {curve.name!r}\n")
    every = max(1, -(-len(curve.rates) // LINES))
    rows = [(f"{r:.1e}", f"{s:.3f}") for r, s in zip(curve.rates[::every], curve.smoothed[::every], strict=True)]
    console.table(("rate", "loss, smoothed"), rows)
    if curve.suggestion is None:
        console.line("\nNo rate made the loss fall clearly, so none is suggested.")
    else:
        console.line(f"\nSuggested: {curve.suggestion:g} ({curve.rule}); the plan has {curve.present:g}.")
