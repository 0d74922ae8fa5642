"""How the pictures of a data set look, measured once and kept beside the manifest: whoever needs it reads the file."""

import io
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tl_core.data.dataset import Dataset
from tl_core.data.looks import LOOKS, measure_all
from tl_core.workspace import write_bytes

FILE = "looks.parquet"
"""Columns `row` (of the manifest) and LOOKS, one line a picture that was measured."""
_BATCH = 64
_SAVE_EVERY = 200  # batches: what a killed process loses


def read_looks(dataset: Dataset) -> np.ndarray | None:
    """Return how each picture looks, float32 `[N, 4]` in the order of LOOKS, nan where it cannot be read.

    None where not every picture was measured yet.
    """
    known = _read(dataset)
    if known is None or len(known) < len(dataset.items):
        return None
    return known[list(LOOKS)].to_numpy(dtype=np.float32)


def measure_looks(dataset: Dataset) -> Iterator[tuple[int, int]]:
    """Measure every picture that was not measured yet; yields (done, total) pictures.

    Pictures are read in small batches, identical ones once. Closing the generator keeps what was measured. Raises
    WorkspaceError where the result cannot be written.
    """
    total = len(dataset.items)
    known = _read(dataset)
    tables = [] if known is None else [known]
    paths = dataset.items["path"]
    missing = np.setdiff1d(np.arange(total), tables[0]["row"].to_numpy() if tables else [])
    by_path = pd.Series(missing).groupby(paths.iloc[missing].to_numpy(), sort=False).indices
    names = list(by_path)
    done, changed = total - len(missing), False
    yield done, total
    try:
        for number, start in enumerate(range(0, len(names), _BATCH), 1):
            batch = names[start : start + _BATCH]
            found = measure_all(dataset.folder / name for name in batch)
            copies = [len(by_path[name]) for name in batch]
            rows = np.concatenate([missing[by_path[name]] for name in batch])
            table = pd.DataFrame(np.repeat(found, copies, axis=0), columns=list(LOOKS))
            table.insert(0, "row", rows)
            tables.append(table)
            done, changed = done + len(rows), True
            if number % _SAVE_EVERY == 0:
                tables, changed = [_write(dataset, tables)], False
            yield done, total
    finally:
        if changed:
            _write(dataset, tables)


def _read(dataset: Dataset) -> pd.DataFrame | None:
    try:
        return pd.read_parquet(dataset.folder / FILE).sort_values("row", ignore_index=True)
    except (OSError, ValueError):
        return None


def _write(dataset: Dataset, tables: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(tables).sort_values("row", ignore_index=True)
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes(dataset.folder / FILE, buffer.getvalue())
    return table
