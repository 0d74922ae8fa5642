"""Decisions on disk: an append-only log, and states of it that runs were made under, each stored by its digest."""

import json
import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tl_core.data.decisions import Decision, effective_decisions
from tl_core.errors import DataError, WorkspaceError
from tl_core.types import dump, load
from tl_core.workspace import read_json, write_json

LOG = "decisions.jsonl"
STATES = "decisions"


@dataclass(frozen=True)
class DecisionEntry:
    """The decisions of one moment, with the number that undoes them; `undone` is when they were undone, 0 if never."""

    number: int
    decisions: tuple[Decision, ...]
    undone: float = 0.0


def history(folder: Path) -> tuple[DecisionEntry, ...]:
    """Return every entry of the log of the data set in `folder`, oldest first."""
    try:
        about = (folder / LOG).stat()
    except OSError:
        return ()
    return _history(folder, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=16)
def _history(folder: Path, size: int, time_ns: int) -> tuple[DecisionEntry, ...]:
    """Read the log once per state of its file, because a page asks for it on every rerun."""
    entries: dict[int, DecisionEntry] = {}
    for number, line in enumerate(_lines(folder / LOG)):
        if isinstance(line, _Undone):
            for undone in entries.keys() & set(line.undo):
                entries[undone] = DecisionEntry(undone, entries[undone].decisions, line.when)
        elif line:
            entries[number] = DecisionEntry(number, line.decide)
    return tuple(entries.values())


def current(folder: Path, without: Collection[int] = ()) -> tuple[Decision, ...]:
    """Return the decisions in effect: all except those undone, and those of the entries `without`."""
    in_effect = (entry for entry in history(folder) if not entry.undone and entry.number not in without)
    return tuple(decision for entry in in_effect for decision in entry.decisions)


def decide(folder: Path, decisions: Iterable[Decision]) -> None:
    """Append decisions as one entry with the present time. Raises WorkspaceError where they cannot be written."""
    now = time.time()
    _append(folder / LOG, {"decide": [dump(decision) | {"when": now} for decision in decisions]})


def undo(folder: Path, numbers: Iterable[int]) -> None:
    """Undo entries; the log keeps them. Raises DataError where an entry does not exist or was undone before."""
    numbers, in_effect = sorted(set(numbers)), {entry.number for entry in history(folder) if not entry.undone}
    for number in numbers:
        if number not in in_effect:
            raise DataError(f"There is no decision number {number} to undo.", "List the decisions in effect.")
    if numbers:
        _append(folder / LOG, {"undo": numbers, "when": time.time()})


def save_state(folder: Path, name: str, decisions: Iterable[Decision], splits: np.ndarray) -> None:
    """Store the effect of decisions under `splits` by its digest `name`, once. Raises WorkspaceError if it cannot."""
    path = folder / STATES / f"{name}.json"
    if path.is_file():
        return
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _write_error(error) from error
    write_json(path, [dump(decision) for decision in effective_decisions(decisions, splits)])


def read_state(folder: Path, name: str) -> tuple[Decision, ...]:
    """Return the decisions of a stored state; "" has none. Raises DataError where the state cannot be read."""
    if not name:
        return ()
    try:
        return load(tuple[Decision, ...], read_json(folder / STATES / f"{Path(name).name}.json"))
    except (OSError, ValueError) as error:
        raise DataError(
            "The decisions about items that this was made with can no longer be read.", "Start it again."
        ) from error


@dataclass(frozen=True)
class _Decided:
    """A line of the log that adds an entry."""

    decide: tuple[Decision, ...]


@dataclass(frozen=True)
class _Undone:
    """A line of the log that undoes entries."""

    undo: tuple[int, ...]
    when: float


def _lines(path: Path) -> list[_Decided | _Undone | None]:
    """Read the log. A damaged line, as a crash cuts one off, counts as None, so that the others keep their numbers."""
    lines: list[_Decided | _Undone | None] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            record = json.loads(line)
            lines.append(load(_Undone, record) if "undo" in record else load(_Decided, record))
        except (ValueError, TypeError, RecursionError):  # pydantic's ValidationError is a ValueError
            lines.append(None)
    return lines


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
        raise _write_error(error) from error


def _write_error(error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"The decision could not be written ({error.strerror}).", "Check the free space of the workspace folder."
    )
