"""The console: results on one stream, progress on the other."""

import json
from collections.abc import Sequence
from time import monotonic
from typing import Any, TextIO

MIN_STAGE_SECONDS = 1.0  # shorter stages are not shown
UPDATE_SECONDS = 0.2, 10.0  # between updates, on a terminal and elsewhere


class Console:
    """Tables, JSON and one line of progress that updates itself where the stream is a terminal."""

    def __init__(self, out: TextIO, progress: TextIO) -> None:
        self._out = out
        self._progress = progress
        self._terminal = progress.isatty()
        self._stage = ""
        self._began = self._shown = monotonic()
        self._width = 0

    def stage(self, stage: str, done: int, total: int) -> None:
        """Show the progress of a stage; a very short stage is not shown."""
        self.moving(stage, f"{stage}: {done:,} of {total:,}" if total else stage, last=total > 0 and done >= total)

    def moving(self, stage: str, text: str, last: bool = False) -> None:
        """Show a line about `stage` that replaces the line before it; updates are throttled."""
        now = monotonic()
        if stage != self._stage:
            self._close()
            self._stage, self._began, self._shown = stage, now, 0.0
        if now - self._began < MIN_STAGE_SECONDS:
            return
        if last or now - self._shown >= UPDATE_SECONDS[not self._terminal]:
            self._shown = now
            self._write(text, keep=not self._terminal)

    def note(self, text: str) -> None:
        """Print a lasting line on stderr."""
        self._write(text, keep=True)

    def end(self, text: str) -> None:
        """Print the one sentence with which a failed command ends."""
        self._write(" ".join(text.split()), keep=True)

    def line(self, text: str = "") -> None:
        """Print a line of the result."""
        self._close()
        print(text, file=self._out)

    def json(self, value: Any) -> None:
        """Print the result as one JSON document."""
        self._close()
        print(json.dumps(value, ensure_ascii=False, indent=2), file=self._out)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; columns of numbers are right-aligned."""
        self._close()
        columns = list(zip(header, *rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        right = [bool(rows) and all(_numeric(cell) for cell in column[1:]) for column in columns]
        for row in (header, ["-" * width for width in widths], *rows):
            cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
            print("  ".join(cells).rstrip(), file=self._out)

    def flush(self) -> None:
        """Finish the progress line and flush the results."""
        self._close()
        self._out.flush()

    def _write(self, text: str, keep: bool) -> None:
        padding = " " * max(0, self._width - len(text))
        start = "\r" if self._width else ""
        self._progress.write(f"{start}{text}{padding}" + ("\n" if keep else ""))
        self._progress.flush()
        self._width = 0 if keep else len(text)

    def _close(self) -> None:
        """End the updating progress line, if there is one."""
        if self._width:
            self._progress.write("\n")
            self._progress.flush()
            self._width = 0


def duration(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours, as fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _numeric(cell: str) -> bool:
    return (
        cell.replace(",", "").replace(".", "").replace("%", "").replace("-", "").replace(" ", "").isdigit() or not cell
    )
