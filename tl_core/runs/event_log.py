"""The event log: one JSON object a line, append-only, with a single writer."""

import json
import os
from pathlib import Path

from tl_core.runs.events import EVENTS, RunEnded, RunEvent
from tl_core.types import dump, load

TAIL = 64 * 1024


def encode(event: RunEvent) -> bytes:
    """Return an event as one line; the key "event" names its class."""
    fields = {"event": type(event).__name__, **dump(event)}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> RunEvent | None:
    """Read one line; return None if it is damaged or has an event of a newer version."""
    try:
        fields = json.loads(line)
        event: RunEvent = load(EVENTS[fields.pop("event")], fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event


def append(path: Path, event: RunEvent) -> None:
    """Append one event. If a killed writer left a line unfinished, end that line first, so that only it is lost."""
    line = encode(event)
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)
        if isinstance(event, RunEnded):
            file.flush()
            os.fsync(file.fileno())


def read(path: Path, cursor: int = 0) -> tuple[list[RunEvent], int]:
    """Return the events after byte `cursor`, and the next cursor; an unfinished last line is left for the next call."""
    try:
        with open(path, "rb") as file:
            file.seek(cursor)
            data = file.read()
    except FileNotFoundError:
        return [], cursor
    complete_lines = data[: data.rfind(b"\n") + 1]
    events = [event for line in complete_lines.splitlines() if (event := decode(line)) is not None]
    return events, cursor + len(complete_lines)


def last_end(path: Path, start: int = 0) -> RunEnded | None:
    """Return the RunEnded of the last attempt, reading only the end of the file; None if it has not ended.

    `start` is the byte at which the last attempt begins; earlier endings do not count.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - TAIL))
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        if line.endswith(b"\n") and line.startswith(b'{"event":"RunEnded"'):
            event = decode(line)
            return event if isinstance(event, RunEnded) else None
    return None
