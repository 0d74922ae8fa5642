"""Arrays that are filled in step by step and stored in a file, so that nothing is measured twice."""

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
"""Seconds between two writes while work goes on: a killed process loses no more than that."""

_DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)
Measure = Callable[[np.ndarray, OnProgress], np.ndarray]
"""Returns the measurements of rows `[R]` of a data set, `[R, ...]`: stored ones, or made now with progress reported."""


class MeasurementCache:
    """Named arrays from the file `path`, or `blank` arrays where it holds none of the same shapes.

    Fill them inside a `with` block and call `mark_changed`. The file is written when the block ends, also by an
    exception, and at most every EVERY seconds before. A full disk only means measuring again next time.
    """

    def __init__(self, path: Path, **blank: np.ndarray) -> None:
        self._path, self._arrays = path, blank
        self._changed, self._written = False, time.monotonic()
        with suppress(*_DAMAGE), open(path, "rb") as file, np.load(file) as stored:
            arrays = {name: stored[name] for name in blank}
            if all(arrays[name].shape == blank[name].shape for name in blank):
                self._arrays = arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._changed:
            self._write()

    def mark_changed(self) -> None:
        """Note that values were filled in, and write the file if it is time."""
        self._changed = True
        if time.monotonic() - self._written > EVERY:
            self._write()

    def _write(self) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **self._arrays)
        with suppress(WorkspaceError):
            write_bytes(self._path, buffer.getvalue())
        self._changed, self._written = False, time.monotonic()
