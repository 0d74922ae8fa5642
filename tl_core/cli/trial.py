"""What `rates` and `layers` share: run a tuning task on a data set and a plan, and print its result."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import open_data
from tl_core.cli.running import run_to_end
from tl_core.cli.train import check_names, choose_plan, read_plan
from tl_core.data.dataset import Dataset
from tl_core.errors import RunError
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.types import dump
from tl_core.workspace import Workspace

Prepare = Callable[[Task, Dataset, Workspace], Task]
"""Checks a task and completes it. Raises GraftError if it cannot be run."""

_JSON_KEYS = {"multilabel": "several"}
"""Keys of the output that differ from the field, because scripts have always read them."""


def run_trial(
    kind: Literal["layers", "rates"],
    arguments: argparse.Namespace,
    console: Console,
    prepare: Prepare,
    read: Callable[[Path], Any],
    show: Callable[[Any, Console], None],
) -> int:
    """Run a tuning task, and print the result that `read` finds in its folder. Raises RunError if there is none."""
    check_names(arguments)
    workspace = Workspace.default()
    written = read_plan(arguments.plan)
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    plan = choose_plan(written, arguments, dataset, workspace, console)
    task = Task(
        kind,
        plan.backbone,
        dataset.fingerprint,
        dataset.split,
        plan,
        arguments.seed,
        name=f"{kind.capitalize()} for {dataset.name}",
        decisions=dataset.pin_decisions(),
    )
    state = run_to_end(workspace, prepare(task, dataset, workspace), console)
    outcome = read(RunStore(workspace).folder(state.id))
    if outcome is None:
        raise RunError("What was measured was not written.", "Run the command again.")
    if arguments.json:
        console.json({_JSON_KEYS.get(key, key): value for key, value in dump(outcome).items()})
    else:
        show(outcome, console)
    return 0
