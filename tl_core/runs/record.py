"""Drain a run into its folder: whatever happens, its log ends with exactly one RunEnded."""

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from tl_core.runs import log
from tl_core.runs.events import RunEnded, RunEvent
from tl_core.runs.failure import LOG, explain, unexpected

EVENTS_FILE = "events.jsonl"


def record(events: Iterable[RunEvent], folder: Path) -> Iterator[RunEvent]:
    """Append every event to the folder's log and pass it on; an exception becomes RunEnded("failed").

    The traceback of an error that its sentence does not explain goes to the folder's worker.log.
    """
    path = folder / EVENTS_FILE
    for event in _closed(events, folder):
        log.append(path, event)
        yield event


def _closed(events: Iterable[RunEvent], folder: Path) -> Iterator[RunEvent]:
    """Pass events on up to the first RunEnded, and make one where there is none."""
    try:
        for event in events:
            yield event
            if isinstance(event, RunEnded):
                return
        ended = RunEnded("failed", "The run stopped without saying why.", f"The details are in {LOG}.")
    except Exception as error:
        if unexpected(error):
            with open(folder / LOG, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
        ended = explain(error)
    yield ended
