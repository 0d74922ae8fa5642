"""Arrays that are filled in little by little and kept in a file, so that nothing is measured twice."""

import io
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np

from tl_core.data.options import OnProgress
from tl_core.errors import WorkspaceError
from tl_core.workspace import write_bytes

EVERY = 30.0
"""Seconds after which a file is written in between: a process that is killed loses no more of its work."""

_DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)
Measure = Callable[[np.ndarray, OnProgress], np.ndarray]
"""What is known of rows `[R]` of a data set, `[R, ...]`: looked up, or measured now while a Progress is told."""


class MeasurementCache:
    """Named arrays: those in the file at `path`, or `blank` where none of the same shapes can be read there.

    Fill them in inside a `with` block and call `filled`. The file is written as the block ends, however it ends, and
    at most every EVERY seconds before, so that its growing costs no more than its writing; a full disk costs the time
    again, no more.
    """

    def __init__(self, path: Path, **blank: np.ndarray) -> None:
        self._path, self._arrays = path, blank
        self._dirty, self._written = False, time.monotonic()
        with suppress(*_DAMAGE), open(path, "rb") as file, np.load(file) as stored:
            found = {name: stored[name] for name in blank}
            if all(found[name].shape == blank[name].shape for name in blank):
                self._arrays = found

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._dirty:
            self._write()

    def filled(self) -> None:
        """Say that something was filled in."""
        self._dirty = True
        if time.monotonic() - self._written > EVERY:
            self._write()

    def _write(self) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **self._arrays)
        with suppress(WorkspaceError):
            write_bytes(self._path, buffer.getvalue())
        self._dirty, self._written = False, time.monotonic()
