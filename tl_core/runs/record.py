"""Record the events of a run in its folder: whatever happens, the log ends with exactly one RunEnded."""

import contextlib
import traceback
from collections.abc import Generator, Iterable
from pathlib import Path

from tl_core.errors import RunError
from tl_core.runs import event_log
from tl_core.runs.events import RunEnded, RunEvent
from tl_core.runs.failure import GONE, GONE_HINT, LOG, NO_SPACE, NO_SPACE_HINT, disk_full, explain, unexpected

EVENTS_FILE = "events.jsonl"


def record(events: Iterable[RunEvent], folder: Path) -> Generator[RunEvent, None, None]:
    """Append every event to the folder's log and pass it on; an exception becomes RunEnded("failed").

    The traceback of an unexpected error goes to the folder's worker.log. Raises RunError if not even the end can be
    written, because the folder is gone or the disk is full.
    """
    path, stream = folder / EVENTS_FILE, _closed(events, folder)
    for event in stream:
        try:
            event_log.append(path, event)
        except OSError as error:
            stream.close()
            if isinstance(events, Generator):
                events.close()  # ends the work, which may free enough space for the last event
            last = event if isinstance(event, RunEnded) else explain(error)
            _last_word(path, last)
            yield last
            return
        yield event


def _last_word(path: Path, ended: RunEnded) -> None:
    """Write the RunEnded of a run after an earlier event could not be written."""
    try:
        event_log.append(path, ended)
    except OSError as error:
        if disk_full(error):
            raise RunError(NO_SPACE, NO_SPACE_HINT) from error
        if not path.parent.exists():
            raise RunError(GONE, GONE_HINT) from error
        raise RunError(f"The run could not be recorded ({error.strerror}).", "Check the workspace folder.") from error


def _closed(events: Iterable[RunEvent], folder: Path) -> Generator[RunEvent, None, None]:
    """Yield events up to the first RunEnded, and add one if there is none."""
    try:
        for event in events:
            yield event
            if isinstance(event, RunEnded):
                return
        ended = RunEnded("failed", "The run stopped without saying why.", f"The details are in {LOG}.")
    except Exception as error:
        if unexpected(error):
            with contextlib.suppress(OSError), open(folder / LOG, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
        ended = explain(error)
    yield ended
