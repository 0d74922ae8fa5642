"""`check`: print which items of a data set look wrong, and what to do about them."""

import argparse
from typing import TYPE_CHECKING

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone, open_data
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
    backbone = "" if arguments.quick else choose_backbone("", dataset.modality).name
    found = read_quality(workspace, dataset, backbone)
    if found is None:
        task = Task(
            *("check", backbone, dataset.fingerprint, dataset.split),
            name=f"Check of {dataset.name}",
            decisions=dataset.pin_decisions(),
        )
        run_to_end(workspace, task, console)
        found = read_quality(workspace, dataset, backbone)
    if found is None:
        raise RunError("The result of the check could not be read.", "Run the command again.")
    if arguments.json:
        console.json(dump(found))
    else:
        _print(dataset, found, console)
    return 0


def _print(dataset: "Dataset", found: "QualityReport", console: Console) -> None:
    """Print the findings, the most serious first, each with its first items."""
    ids = dataset.items["id"]
    if not found.suspicions:
        console.line(f"Nothing in {dataset.name} looks wrong.")
    for one in found.suspicions:
        console.line(f"{one.finding.level:4}  {one.finding.message} {one.finding.hint}")
        for place, row in enumerate(one.rows[:SHOWN]):
            suggested = one.suggested[place] if one.suggested else ()
            words = suggested if isinstance(suggested, str) else ", ".join(suggested)
            given = "" if dataset.multilabel or not words else f"labelled {dataset.classes[dataset.labels[row]]}, "
            console.line(f"        {ids.iloc[row]}{f'  ({given}perhaps {words})' if words else ''}")
        if len(one.rows) > SHOWN:
            console.line(f"        and {len(one.rows) - SHOWN:,} more (all of them with --json)")
        for action in dict.fromkeys(decision.action for decision in one.proposed):
            rows = sum(len(d.rows) for d in one.proposed if d.action == action)
            what = PROPOSED[action].format(n=f"{rows:,} items" if rows > 1 else "it")
            console.line(f"        proposed: {what} (decide DATA accept {one.code})")
    for note in found.notes:
        console.line(f"note  {note}")
