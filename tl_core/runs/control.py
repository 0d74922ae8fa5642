"""Requests to a run to stop, pause, or change its phase: in memory, or as files in its folder."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tl_core.types import dump, load

STOP_REQUEST = "stop.request"
PAUSE_REQUEST = "pause.request"
EDITS = "edits.jsonl"

Action = Literal["rate", "freeze", "skip"]


@dataclass(frozen=True)
class Edit:
    """A change to the phase that runs, asked for as number `number` (from 1) of its run.

    "rate": `group` learns at `rate` from now on; "freeze": it learns no more; "skip": the phase ends.
    """

    number: int
    action: Action
    group: str = ""
    rate: float | None = None


class RunControl(Protocol):
    """The requests that a run checks before every step."""

    @property
    def stopped(self) -> bool:
        """Whether the run should keep its best weights and end."""
        ...

    @property
    def paused(self) -> bool:
        """Whether the run should save its state and pause."""
        ...

    def edits(self, after: int) -> Sequence[Edit]:
        """Return the requested edits after number `after`, in order."""
        ...


class MemoryControl:
    """Requests to a run in the same process."""

    def __init__(self) -> None:
        self._stopped = self._paused = False
        self._edits: list[Edit] = []

    @property
    def stopped(self) -> bool:
        """Whether stop() was called."""
        return self._stopped

    @property
    def paused(self) -> bool:
        """Whether pause() was called and resume() was not, since."""
        return self._paused

    def edits(self, after: int) -> Sequence[Edit]:
        """Return the edits since number `after`."""
        return self._edits[after:]

    def stop(self) -> None:
        """Ask the run to end after its current step."""
        self._stopped = True

    def pause(self) -> None:
        """Ask the run to wait after its current step."""
        self._paused = True

    def resume(self) -> None:
        """Ask a waiting run to go on."""
        self._paused = False

    def edit(self, group: str, rate: float | None) -> None:
        """Ask that a layer group learns at `rate` from the next step on; None freezes it."""
        self._ask("freeze" if rate is None else "rate", group, rate)

    def skip_phase(self) -> None:
        """Ask that the phase ends after the current step."""
        self._ask("skip")

    def _ask(self, action: Action, group: str = "", rate: float | None = None) -> None:
        self._edits.append(Edit(len(self._edits) + 1, action, group, rate))


class FileControl:
    """Requests as files in the run's folder, obeyed by whatever process executes the run.

    A signal handler may call stop() and close().
    """

    def __init__(self, folder: Path) -> None:
        self._stop, self._pause, self._file = folder / STOP_REQUEST, folder / PAUSE_REQUEST, folder / EDITS
        self._stopped = False
        self.closing = False
        self._known: list[Edit] = []
        self._size = 0

    @property
    def stopped(self) -> bool:
        """Whether this process or any other one asked to stop."""
        self._stopped = self._stopped or self._stop.exists()
        return self._stopped

    @property
    def paused(self) -> bool:
        """Whether any process asked to wait, or this one is about to end."""
        return self.closing or self._pause.exists()

    def edits(self, after: int) -> Sequence[Edit]:
        """Return the edits after number `after`; costs one stat call if nothing is new."""
        try:
            size = self._file.stat().st_size
        except FileNotFoundError:
            return ()
        if size != self._size:
            complete_lines = self._file.read_bytes().rpartition(b"\n")[0]
            self._size = len(complete_lines) + 1 if complete_lines else 0
            self._known = []
            for line in complete_lines.splitlines():
                with contextlib.suppress(ValueError):  # an unfinished line of a killed process
                    fields = json.loads(line)
                    if isinstance(fields, dict):
                        self._known.append(load(Edit, {**fields, "number": len(self._known) + 1}))
        return self._known[after:]

    def stop(self) -> None:
        """Ask the run to end after its current step; every process sees it."""
        self._stopped = True
        self._stop.touch()

    def pause(self) -> None:
        """Ask the run to wait after its current step."""
        self._pause.touch()

    def close(self) -> None:
        """Ask the run to pause because this process is about to end; other processes do not see this request."""
        self.closing = True

    def resume(self) -> None:
        """Ask a waiting run to go on."""
        self._pause.unlink(missing_ok=True)

    def edit(self, group: str, rate: float | None) -> None:
        """Ask that a layer group learns at `rate` from the next step on; None freezes it."""
        self._ask("freeze" if rate is None else "rate", group, rate)

    def skip_phase(self) -> None:
        """Ask that the phase ends after the current step."""
        self._ask("skip")

    def _ask(self, action: Action, group: str = "", rate: float | None = None) -> None:
        line = json.dumps(dump(Edit(0, action, group, rate))) + "\n"
        with open(self._file, "ab") as file:  # a single write in append mode, so that requests of two tabs do not mix
            file.write(line.encode())
