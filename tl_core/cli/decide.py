"""`decide`: leave items out, correct labels, confirm items as right, and undo decisions."""

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone, open_data
from tl_core.errors import DataError, UsageError
from tl_core.types import dump
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.data.dataset import Dataset
    from tl_core.data.decision_log import DecisionEntry
    from tl_core.data.decisions import Decision

CONFIRM = "To change the test set: decide DATA confirm --reason TEXT (and --test as before, if it was given)."


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Import a data set, record the decision, and print all decisions."""
    from tl_core.data.decision_log import history

    workspace = Workspace.default()
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    dataset = _decided(arguments, dataset, workspace)
    entries = history(dataset.folder)
    if arguments.json:
        console.json({"entries": [dump(e) for e in entries], "waiting": [dump(w) for w in dataset.unconfirmed]})
    else:
        _print(dataset, entries, console)
    return 0


def _decided(arguments: argparse.Namespace, dataset: "Dataset", workspace: Workspace) -> "Dataset":
    what, items = arguments.what, arguments.items
    if what in ("list", "confirm") and items:
        raise UsageError(f"`{what}` takes no items.", "See: python -m tl_core decide --help")
    if what == "list":
        return dataset
    if what == "confirm":
        if not dataset.unconfirmed:
            raise DataError("No decision about the test set is waiting to be confirmed.")
        return dataset.confirm(dataset.unconfirmed, arguments.reason)
    if not items:
        raise UsageError(f"`{what}` needs items.", "Name items as `check` names them.")
    if what == "undo":
        return dataset.undo(*_numbers(items))
    if what == "accept":
        return dataset.decide(*_proposed(items, dataset, workspace))
    return dataset.decide(_decision(arguments, dataset))


def _decision(arguments: argparse.Namespace, dataset: "Dataset") -> "Decision":
    from tl_core.data.decisions import Decision

    if bool(arguments.label) != (arguments.what == "relabel") and not (dataset.multilabel and not arguments.label):
        raise UsageError(
            "A --label belongs to `relabel`, and `relabel` needs one.", "See: python -m tl_core decide --help"
        )
    label = tuple(arguments.label) if dataset.multilabel or len(arguments.label) != 1 else arguments.label[0]
    rows = _rows(arguments.items, dataset)
    return Decision(arguments.what, rows, label if arguments.what == "relabel" else "", arguments.code)


def _rows(names: list[str], dataset: "Dataset") -> tuple[int, ...]:
    place = {name: row for row, name in enumerate(dataset.items["id"])}
    for name in names:
        if name not in place:
            raise DataError(f"There is no item {name!r} in {dataset.name}.", "Name items as `check` names them.")
    return tuple(place[name] for name in names)


def _numbers(words: list[str]) -> list[int]:
    for word in words:
        if not word.isdecimal():
            raise UsageError(f"{word!r} is not the number of a decision.", "`decide DATA` lists them.")
    return [int(word) for word in words]


def _proposed(codes: list[str], dataset: "Dataset", workspace: Workspace) -> list["Decision"]:
    """Return the proposals of the last check under some codes that are still open."""
    from tl_core.data.quality.open_suspicions import open_part
    from tl_core.data.quality.quality_report import latest_quality

    backbone = choose_backbone("", dataset).name
    report = latest_quality(workspace, dataset, backbone) or latest_quality(workspace, dataset)
    if report is None:
        raise DataError(f"{dataset.name} was not checked yet.", "Run `check` first.")
    proposals: list[Decision] = []
    for code in codes:
        suspicion = report.suspicion(code)
        remaining = open_part(suspicion, dataset) if suspicion else None
        if remaining is None or not remaining.proposed:
            proposed_codes = ", ".join(s.code for s in report.suspicions if s.proposed) or "none"
            raise DataError(f"Nothing is proposed under {code!r}.", f"There are proposals under: {proposed_codes}.")
        proposals += remaining.proposed
    return proposals


def _print(dataset: "Dataset", entries: tuple["DecisionEntry", ...], console: Console) -> None:
    entries_in_force = [entry for entry in entries if not entry.undone]
    if not entries_in_force:
        console.line(f"There are no decisions about the items of {dataset.name}.")
    for entry in entries_in_force:
        when = datetime.fromtimestamp(entry.decisions[0].when).strftime("%d %b %Y, %H:%M") if entry.decisions else ""
        for decision in entry.decisions:
            why = f" ({decision.reason})" if decision.reason else ""
            console.line(f"{entry.number:4}  {when}  {decision.summary}{why}")
            for row in decision.rows[:5]:
                console.line(f"        {dataset.items['id'].iloc[row]}")
            if len(decision.rows) > 5:
                console.line(f"        and {len(decision.rows) - 5:,} more (all of them with --json)")
    tested = sum(len(decision.rows) for decision in dataset.unconfirmed)
    if tested:
        it = (
            "1 of these items is in the test set and is"
            if tested == 1
            else f"{tested:,} of these items are in the test set and are"
        )
        console.line(f"\n{it} not changed yet. {CONFIRM}")
