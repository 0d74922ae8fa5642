"""Decisions on disk: a log that is only ever added to, and the states that it went through, each under its digest."""

import json
import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from tl_core.data.decisions import Decision, effective_decisions
from tl_core.errors import DataError, WorkspaceError
from tl_core.types import dump, load
from tl_core.workspace import read_json, write_json

LOG = "decisions.jsonl"
STATES = "decisions"


@dataclass(frozen=True)
class DecisionEntry:
    """What was decided at one time, under the number that takes it back; `undone` says when that was, 0 if never."""

    number: int
    decisions: tuple[Decision, ...]
    undone: float = 0.0


def history(folder: Path) -> tuple[DecisionEntry, ...]:
    """Return everything that was ever decided about the data set in `folder`, the first first."""
    try:
        about = (folder / LOG).stat()
    except OSError:
        return ()
    return _history(folder, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=16)
def _history(folder: Path, size: int, time_ns: int) -> tuple[DecisionEntry, ...]:
    """Read the log once for each state of its file: a page asks for it at every turn."""
    entries: dict[int, DecisionEntry] = {}
    for number, line in enumerate(_lines(folder / LOG)):
        if "undo" in line:
            for gone in entries.keys() & set(line["undo"]):
                entries[gone] = DecisionEntry(gone, entries[gone].decisions, line["when"])
        elif line:
            entries[number] = DecisionEntry(number, load(tuple[Decision, ...], line["decide"]))
    return tuple(entries.values())


def current(folder: Path, without: Collection[int] = ()) -> tuple[Decision, ...]:
    """Return the decisions that hold: all but those that were taken back, and those of the numbers in `without`."""
    standing = (entry for entry in history(folder) if not entry.undone and entry.number not in without)
    return tuple(decision for entry in standing for decision in entry.decisions)


def decide(folder: Path, decisions: Iterable[Decision]) -> None:
    """Add decisions as one entry, under the present time. Raises WorkspaceError where they cannot be written."""
    now = time.time()
    _append(folder / LOG, {"decide": [dump(each) | {"when": now} for each in decisions]})


def undo(folder: Path, numbers: Iterable[int]) -> None:
    """Take entries back; the log keeps them. Raises DataError where there is no such, or it was taken back already."""
    numbers, standing = sorted(set(numbers)), {entry.number for entry in history(folder) if not entry.undone}
    for number in numbers:
        if number not in standing:
            raise DataError(f"There is no decision number {number} to take back.", "List the decisions that hold.")
    if numbers:
        _append(folder / LOG, {"undo": numbers, "when": time.time()})


def save_state(folder: Path, name: str, decisions: Iterable[Decision], splits: np.ndarray) -> None:
    """Write down what decisions do under `splits`, with the digest `name`, once. Raises WorkspaceError."""
    path = folder / STATES / f"{name}.json"
    if path.is_file():
        return
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritten(error) from error
    write_json(path, [dump(each) for each in effective_decisions(decisions, splits)])


def read_state(folder: Path, name: str) -> tuple[Decision, ...]:
    """Return the decisions of a state. Raises DataError where it is gone."""
    if not name:
        return ()
    try:
        return load(tuple[Decision, ...], read_json(folder / STATES / f"{Path(name).name}.json"))
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(
            "The decisions about items that this was made with can no longer be read.", "Start it anew."
        ) from error


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read the log; a line that a crash cut off counts as an empty one, so that the numbers of the others stay."""
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({})
    return found


def _append(path: Path, value: dict[str, Any]) -> None:
    line = json.dumps(value, ensure_ascii=False) + "\n"
    try:
        with open(path, "a+b") as file:
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritten(error) from error


def _unwritten(error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"The decision could not be written ({error.strerror}).", "Check the free space of the workspace folder."
    )
