"""Tables named after splits (train.csv, test.csv), or in folders so named, joined as one with a split column."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from tl_core.data.sources.file_tree import ArchiveEntry
from tl_core.data.sources.split_names import guess_split, splits_of_names
from tl_core.data.sources.tables.table_file import TableFile, best_tables, entry_table
from tl_core.data.sources.tables.table_rows import PART_ROWS, Record, Table, unique_names
from tl_core.data.split import SPLITS
from tl_core.errors import DataError
from tl_core.workspace import Limits

COLUMN = "split"
"""The column that is added. If the tables have one of that name, it gets another name."""


def split_tables(entries: list[ArchiveEntry], limits: Limits) -> TableFile | None:
    """Return the tables among files as one if each means a different split, train among them; else None.

    The split is guessed from the whole name, or from its first or last word if the rest is the same for all: train.csv
    and test.csv, reviews_train.csv and reviews_test.csv, train-00000-of-00001.parquet and test-00000-of-00001.parquet;
    or from the folder of tables that have the same name: train/metadata.csv and test/metadata.csv.
    """
    tables = best_tables(entries)
    by_split = _by_folder(tables) or _by_name(tables)
    if len(by_split) != len(tables) or len(tables) < 2 or "train" not in by_split:
        return None
    parts = {split: entry_table(by_split[split], limits) for split in SPLITS if split in by_split}
    name = ", ".join(file.name for file in parts.values())
    return TableFile(name, parts["train"].open, limits, tuple(parts.items()))


def _by_name(tables: list[ArchiveEntry]) -> dict[str, ArchiveEntry]:
    words = [re.split(r"[-_ ]+", PurePosixPath(table.name).name.lower().split(".")[0]) for table in tables]
    for place in (0, -1):
        rests = {tuple(name[1:] if place == 0 else name[:-1]) for name in words}
        by_split = {guess_split(name[place]): table for name, table in zip(words, tables, strict=True)}
        if len(rests) == 1 and len(by_split) == len(tables) and "" not in by_split:
            return by_split
    splits = splits_of_names(PurePosixPath(table.name).name.split(".")[0] for table in tables)
    names = [PurePosixPath(table.name).name.split(".")[0] for table in tables]
    return {splits[name]: table for name, table in zip(names, tables, strict=True)} if set(splits) == set(names) else {}


def _by_folder(tables: list[ArchiveEntry]) -> dict[str, ArchiveEntry]:
    """Return tables of one name by the split that their folders mean; {} where they have other names or folders."""
    paths = [PurePosixPath(table.name) for table in tables]
    if len({path.name.casefold() for path in paths}) > 1 or len({path.parent.parent for path in paths}) > 1:
        return {}
    splits = splits_of_names(path.parent.name for path in paths)
    named = [(splits.get(path.parent.name, ""), table) for path, table in zip(paths, tables, strict=True)]
    return dict(named) if all(split for split, _ in named) else {}


def join(name: str, parts: Sequence[tuple[str, Table]]) -> Table:
    """Join tables with the same columns, each with its split. Raises DataError where their columns differ."""
    first = parts[0][1]
    for _, table in parts[1:]:
        for one, other in ((first, table), (table, first)):
            missing = [column for column in one.columns if column not in other.columns]
            if missing:
                raise DataError(
                    f"{one.name} has the column {missing[0]!r} and {other.name} has not, so they are not joined.",
                    f"Give {first.name} alone to learn from it, or give all of them the same columns.",
                )

    def records() -> Iterator[Record]:
        for number, (split, table) in enumerate(parts):
            order = [table.columns.index(column) for column in first.columns]
            for row, cells in table.records():
                full = cells if isinstance(cells, str) else [*(cells[place] for place in order), split]
                yield number * PART_ROWS + row, full

    counts = [table.n_rows for _, table in parts]
    return Table(
        name,
        unique_names([*first.columns, COLUMN]),
        records,
        *(first.delimiter, first.encoding, first.header),
        any(table.loose for _, table in parts),
        any(table.mixed for _, table in parts),
        *(first.sheet, first.sheets),
        None if None in counts else sum(filter(None, counts)),
        tuple((table.name, split) for split, table in parts),
        {name: value for _, table in parts for name, value in table.told.items()},
    )
