"""`curve`: print the data-efficiency curve, accuracy over the number of labels."""

import argparse
from typing import TYPE_CHECKING

from tl_core.cli.advise import ensure_probe
from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone, open_data
from tl_core.cli.running import run_to_end
from tl_core.errors import RunError
from tl_core.evaluation.result_files import read_curve
from tl_core.runs.task import Task
from tl_core.types import dump
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.evaluation.results import Curve


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the data-efficiency curve: transfer, a classical model and the same network from scratch."""
    from tl_core.evaluation.curve import scratch_counts, sizes

    workspace = Workspace.default()
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    spec = choose_backbone(arguments.backbone, dataset)
    ensure_probe(dataset, spec, workspace, console)
    task = Task(
        "curve",
        spec.name,
        dataset.fingerprint,
        dataset.split,
        name=f"Curve of {dataset.name}",
        decisions=dataset.pin_decisions(),
    )
    curve = read_curve(workspace, task)
    if curve is None or not curve.whole("scratch", len(scratch_counts(sizes(dataset)))):
        run_to_end(workspace, task, console)
        curve = read_curve(workspace, task)
    if curve is None:
        raise RunError("The curve was not written.", "Run the command again.")
    if arguments.json:
        console.json(dump(curve))
    else:
        _print(curve, console)
    return 0


def _print(curve: "Curve", console: Console) -> None:
    console.line(f"{curve.metric[0].upper()}{curve.metric[1:]} on {curve.n_test} fixed test items, {curve.backbone}\n")
    counts = sorted({point.labels for arm in curve.arms for point in arm.points})
    cells = {(arm.name, point.labels): point.accuracy for arm in curve.arms for point in arm.points}
    rows = []
    for count in counts:
        estimates = [cells.get((arm.name, count)) for arm in curve.arms]
        rows.append((f"{count:,}", *(f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" if e else "" for e in estimates)))
    console.table(("labels", *(arm.name for arm in curve.arms)), rows)
    console.line()
    for arm in curve.arms:
        console.line(f"{arm.name}: {arm.title}; {arm.budget}")
