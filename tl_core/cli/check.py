"""`check`: print which items of a data set look wrong, and what to do about them."""

import argparse
from typing import TYPE_CHECKING

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone, open_data, origins_json, print_origins
from tl_core.cli.running import run_to_end
from tl_core.errors import RunError
from tl_core.runs.task import Task
from tl_core.types import dump
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.data.dataset import Dataset
    from tl_core.data.quality.quality_report import QualityReport

SHOWN = 5
PROPOSED = {
    "drop": "drop {n}",
    "relabel": "give {n} the suggested label",
    "together": "keep {n} on one side of the split",
    "keep": "keep {n}",
}


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Check a data set, with a model unless --quick, and print what looks wrong."""
    from tl_core.data.quality.quality_report import read_quality

    workspace = Workspace.default()
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    backbone = "" if arguments.quick else choose_backbone("", dataset).name
    report = read_quality(workspace, dataset, backbone)
    if report is None:
        task = Task(
            *("check", backbone, dataset.fingerprint, dataset.split),
            name=f"Check of {dataset.name}",
            decisions=dataset.pin_decisions(),
        )
        run_to_end(workspace, task, console)
        report = read_quality(workspace, dataset, backbone)
    if report is None:
        raise RunError("The result of the check could not be read.", "Run the command again.")
    if arguments.json:
        console.json({**dump(report), **origins_json(dataset)})
    else:
        _print(dataset, report, console)
    return 0


def _print(dataset: "Dataset", report: "QualityReport", console: Console) -> None:
    """Print the findings, the most serious first, each with its first items."""
    ids = dataset.items["id"]
    print_origins(dataset, console)
    if not report.suspicions:
        console.line(f"Nothing in {dataset.name} looks wrong.")
    for suspicion in report.suspicions:
        console.line(f"{suspicion.finding.level:4}  {suspicion.finding.message} {suspicion.finding.hint}")
        for index, row in enumerate(suspicion.rows[:SHOWN]):
            suggested = suspicion.suggested[index] if suspicion.suggested else ()
            label_text = suggested if isinstance(suggested, str) else ", ".join(suggested)
            present = (
                "" if dataset.multilabel or not label_text else f"labelled {dataset.classes[dataset.labels[row]]}, "
            )
            console.line(f"        {ids.iloc[row]}{f'  ({present}perhaps {label_text})' if label_text else ''}")
        if len(suspicion.rows) > SHOWN:
            console.line(f"        and {len(suspicion.rows) - SHOWN:,} more (all of them with --json)")
        for action in dict.fromkeys(decision.action for decision in suspicion.proposed):
            rows = sum(len(d.rows) for d in suspicion.proposed if d.action == action)
            what = PROPOSED[action].format(n=f"{rows:,} items" if rows > 1 else "it")
            console.line(f"        proposed: {what} (decide DATA accept {suspicion.code})")
    for note in report.notes:
        console.line(f"note  {note}")
