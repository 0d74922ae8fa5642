"""Writes the manifest (the items of a data set) and the receipt (what became of the others), part by part."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tl_core.data.dataset import FIRST_LINES, RECEIPT, Receipt, ReceiptLine
from tl_core.data.options import OnProgress, RawItem
from tl_core.errors import WorkspaceError
from tl_core.types import Modality

_ROWS = 8192  # most rows of one part
_CHARACTERS = 2**24  # most characters of the texts of one part
_TEXT = pa.large_string()
_REQUIRED = dict.fromkeys(("id", "path", "text", "label", "given", "group", "digest"), _TEXT)
_OPTIONAL = {
    **{"width": pa.int64(), "height": pa.int64(), "perceptual_hash": _TEXT},
    **{"labels": pa.list_(_TEXT), "subgroup": _TEXT, "time": pa.float64()},
}
"""Columns that a manifest has only where at least one item has a value."""


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what a full or failing disk raises into a WorkspaceError."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"The data could not be copied into the workspace ({error.strerror}).",
            "Check the free space of the workspace folder.",
        ) from error


def utf8(text: str) -> str:
    """Return a text that UTF-8 can encode: lone surrogates become question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


class ManifestWriter:
    """Writes a manifest in two passes, with one part of the rows in memory.

    The first pass writes rows with label names. Then all classes are known, and the second pass replaces the names by
    class indices and computes the fingerprint.
    """

    def __init__(self, first_pass: Path) -> None:
        self.count = 0
        self._file = first_pass
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[dict[str, Any]] = []
        self._characters = 0
        self._counts: Counter[str] = Counter()
        self._present: set[str] = set()

    def add(self, item: RawItem, values: dict[str, Any]) -> None:
        """Add an item with the `values` that reading it gave: text or path, digest, and sizes."""
        row: dict[str, Any] = {"id": item.id, "path": "", "text": "", "label": item.label}
        row |= {"given": item.given, "group": item.group}
        row = {name: utf8(value) for name, value in row.items()} | values
        if item.labels is not None:
            row["labels"] = [utf8(name) for name in dict.fromkeys(item.labels)]
        if item.subgroup:
            row["subgroup"] = utf8(item.subgroup)
        if not isnan(item.time):
            row["time"] = float(item.time)
        self._present.update(row.keys() & _OPTIONAL.keys())
        self._counts.update(row["labels"] if "labels" in row else [row["label"]])
        self._rows.append(row)
        self._characters += len(row["text"])
        self.count += 1
        if len(self._rows) >= _ROWS or self._characters >= _CHARACTERS:
            self._flush()

    @property
    def multilabel(self) -> bool:
        """Return whether any item so far may have several labels."""
        return "labels" in self._present

    def close(self) -> None:
        """Close the file of the first pass."""
        if self._writer:
            self._writer.close()
            self._writer = None

    def finish(self, path: Path, modality: Modality, progress: OnProgress) -> tuple[tuple[str, ...], str]:
        """Run the second pass, and return the classes and the fingerprint."""
        if self._rows:
            self._flush()
        self.close()
        classes = sort_classes(self._counts)
        index = {name: i for i, name in enumerate(classes)}
        schema = _schema(self._present, numbered=True)
        hasher = hashlib.sha256(repr((modality, classes)).encode())
        done = 0
        with disk_errors(), pq.ParquetFile(self._file) as parts, pq.ParquetWriter(path, schema) as writer:
            for number in range(parts.num_row_groups):
                progress("Writing the list of items", done, self.count)
                table = self._numbered(parts.read_row_group(number), index).select(schema.names).cast(schema)
                for row in _hashed(table):
                    hasher.update(row)
                writer.write_table(table)
                done += len(table)
        progress("Writing the list of items", done, done)
        self._file.unlink()
        return classes, hasher.hexdigest()[:20]

    def _flush(self) -> None:
        table = pa.Table.from_pylist(self._rows, _schema(_OPTIONAL.keys(), numbered=False))
        with disk_errors():
            self._writer = self._writer or pq.ParquetWriter(self._file, table.schema)
            self._writer.write_table(table)
        self._rows, self._characters = [], 0

    def _numbered(self, table: pa.Table, index: dict[str, int]) -> pa.Table:
        """Replace label names by class indices.

        In a multilabel data set, `label` becomes the rarest label of the item, or the number of classes if it has none.
        """
        names = table["label"].to_pylist()
        if not self.multilabel:
            return _with(table, "label", pa.array([index[name] for name in names], pa.int64()))
        several = [
            [name] if labels is None else labels
            for name, labels in zip(names, table["labels"].to_pylist(), strict=True)
        ]
        none = len(index)
        rarest = [min(labels, key=lambda n: (self._counts[n], index[n]), default=None) for labels in several]
        table = _with(table, "label", pa.array([none if n is None else index[n] for n in rarest], pa.int64()))
        numbers = [sorted(index[name] for name in labels) for labels in several]
        return _with(table, "labels", pa.array(numbers, pa.list_(pa.int64())))


class ReceiptWriter:
    """Collects receipt lines. The first FIRST_LINES stay in memory; if there are more, all go to a file."""

    def __init__(self, folder: Path) -> None:
        self.first: list[ReceiptLine] = []
        self._path = folder / RECEIPT
        self._more: Counter[str] = Counter()
        self._last = ""

    def take(self, lines: list[ReceiptLine]) -> None:
        """Move all lines out of a list."""
        room = FIRST_LINES - len(self.first)
        new, rest = lines[:room], lines[room:]
        self.first += new
        self._last = new[-1].item if new else self._last
        if rest:
            if not self._more:
                self._write(self.first, "w")
            self._write(rest, "a")
            for line in rest:
                same_item = line.action == "converted" and line.item == self._last
                self._more[line.action] += not same_item
                self._last = line.item
        lines.clear()

    def receipt(self, source: str, taken: int) -> Receipt:
        """Return the counts and the first lines."""
        return Receipt(source, taken, tuple(self.first), self._more["skipped"], self._more["converted"])

    def _write(self, lines: Iterable[ReceiptLine], mode: str) -> None:
        with disk_errors(), open(self._path, mode, encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file).writerows((line.item, line.action, line.reason) for line in lines)


def sort_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in natural order: numbers by value, words alphabetically."""
    names = list(names)
    with suppress(ValueError):
        if all(isfinite(float(name)) for name in names):  # "nan" has no place in an order
            return tuple(sorted(names, key=lambda n: (float(n), n)))
    return tuple(sorted(names, key=lambda n: (n.casefold(), n)))


def _schema(present: Iterable[str], numbered: bool) -> pa.Schema:
    optional = set(present)
    columns = _REQUIRED | {name: kind for name, kind in _OPTIONAL.items() if name in optional}
    if numbered:
        columns |= {"label": pa.int64()} | ({"labels": pa.list_(pa.int64())} if "labels" in optional else {})
    return pa.schema(list(columns.items()))


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _hashed(table: pa.Table) -> Iterator[bytes]:
    """Yield, item by item, everything that a split or a feature can depend on."""
    required = zip(*(table[name].to_pylist() for name in ("digest", "label", "given", "group")), strict=True)
    optional = [table[name].to_pylist() for name in ("labels", "subgroup", "time") if name in table.column_names]
    others: Iterable[tuple] = zip(*optional, strict=True) if optional else ((),) * len(table)
    for row, rest in zip(required, others, strict=True):
        yield repr((*row, *(value for value in rest if value is not None))).encode()
