"""Parquet tables, streamed in batches of rows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tl_core.data.sources.tables.cell_text import cell_text
from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.tables.table_rows import Record, Table, check_width, unique_names
from tl_core.errors import DataError

_BATCH = 1000
_BATCH_CELLS = 100_000
_PROBE = 16  # rows whose size sets the batch size: a repeated long text is stored only once in the file
_SMALL = 2**20  # bytes up to which a row group needs no such probe
_BATCH_BYTES = 32 * 2**20
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


def open_parquet(file: TableFile) -> Table:
    """Open a Parquet table. Raises DataError where it is damaged, protected or empty."""
    with _opened(file) as parquet:
        names = list(parquet.schema_arrow.names)
        rows = parquet.metadata.num_rows
        classes = _class_names(parquet.schema_arrow)
        _check_texts(parquet.schema_arrow, file.name)
    check_width(file.name, len(names))
    if not names or not rows:
        raise DataError(f"{file.name} is empty.", "Give a table with one row per text, and a column with its label.")
    batch = max(1, min(_BATCH, _BATCH_CELLS // len(names)))

    def records() -> Iterator[Record]:
        number, left = 0, file.limits.unpacked
        with _opened(file) as parquet:
            for columns in _batches(parquet, batch, classes, file.name):
                left -= sum(len(cells) + sum(map(len, cells)) for cells in columns)
                if left < 0:  # repeated values are stored once, so a small file can hold any number of rows
                    raise DataError(
                        f"{file.name} would unpack to more than {file.limits.unpacked / 2**30:.1f} GB.",
                        "Give a part of it.",
                    )
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, list(cells)

    return Table(file.name, unique_names(names), records, n_rows=rows)


def _check_texts(schema: pa.Schema, name: str) -> None:
    """Raise DataError where a table holds pictures or sounds, and no texts."""
    packed = [f.name for f in schema if pa.types.is_struct(f.type) and any(_is_bytes(part.type) for part in f.type)]
    words = sum(pa.types.is_string(f.type) or pa.types.is_large_string(f.type) for f in schema)
    classes = any(pa.types.is_integer(f.type) or pa.types.is_dictionary(f.type) for f in schema)
    if packed and words < 2 - classes:
        raise DataError(
            f"{name} holds pictures or sounds inside its column {packed[0]!r}, where they cannot be read.",
            "Give the pictures as files, in one folder per class. Of a data set of the Hugging Face Hub, give "
            "hub:OWNER/NAME instead.",
        )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


@contextmanager
def _opened(file: TableFile) -> Iterator[pq.ParquetFile]:
    with file.open() as stream:
        try:
            parquet = pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
        except _DAMAGE as error:
            raise _damaged(file.name) from error
        yield parquet


def _damaged(name: str) -> DataError:
    return DataError(f"{name} cannot be read as Parquet: it is damaged, or protected.", "Make or download it again.")


def _batches(parquet: pq.ParquetFile, size: int, classes: dict[str, list[str]], name: str) -> Iterator[list[list[str]]]:
    try:
        for group in range(parquet.num_row_groups):
            rows = min(size, _fitting_rows(parquet, group))
            for batch in parquet.iter_batches(batch_size=rows, row_groups=[group]):
                fields = zip(batch, batch.schema, strict=True)
                yield [_cells(column, classes.get(field.name)) for column, field in fields]
    except _DAMAGE as error:
        raise _damaged(name) from error


def _fitting_rows(parquet: pq.ParquetFile, group: int) -> int:
    """Return how many rows of a row group fit in memory at once, from the size of its first rows."""
    if parquet.metadata.row_group(group).total_byte_size < _SMALL:
        return _BATCH
    first = next(parquet.iter_batches(batch_size=_PROBE, row_groups=[group]), None)
    if first is None or not first.num_rows:
        return _BATCH
    return max(1, _BATCH_BYTES * first.num_rows // max(1, first.nbytes))


def _cells(column: pa.Array, names: list[str] | None) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        values = column.to_pylist()
    except _DAMAGE:  # an impossible date, or a text that is not UTF-8
        values = _one_by_one(column)
    if names:
        return [names[v] if isinstance(v, int) and 0 <= v < len(names) else cell_text(v) for v in values]
    return [cell_text(value) for value in values]


def _one_by_one(column: pa.Array) -> list[Any]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.large_binary()).to_pylist()
    try:
        return pc.cast(column, pa.string()).to_pylist()
    except _DAMAGE:
        return [None] * len(column)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the class names that the `datasets` library stores for a column of class numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
