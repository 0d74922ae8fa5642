"""Tables of every format as one kind of value: columns, and rows as a stream."""

from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.sources.tables.delimited import open_delimited
from tl_core.data.sources.tables.json_records import open_objects
from tl_core.data.sources.tables.split_files import join, split_tables
from tl_core.data.sources.tables.table_file import TableFile, best_tables, entry_table, file_table, kind_of
from tl_core.data.sources.tables.table_rows import Table, TableSample, take_sample

__all__ = [
    "Table",
    "TableFile",
    "TableSample",
    "best_tables",
    "entry_table",
    "file_table",
    "open_table",
    "split_tables",
    "take_sample",
]


def open_table(file: TableFile, options: ImportOptions = AUTO_DETECT, most_chars: int | None = None) -> Table:
    """Open a table of any format; what a look at every row would tell is told of the first `most_chars` characters.

    Raises DataError where it is damaged, protected, empty, or of another format.
    """
    if file.parts:
        return join(file.name, [(split, open_table(part, options, most_chars)) for split, part in file.parts])
    kind = kind_of(file)
    if kind == "delimited":
        return open_delimited(file, options, most_chars)
    if kind in ("json", "jsonl"):
        return open_objects(file, options, most_chars)
    if kind == "parquet":
        from tl_core.data.sources.tables.parquet import open_parquet  # with pyarrow.parquet, on the first of its kind

        return open_parquet(file)
    from tl_core.data.sources.tables.xlsx import open_sheet

    return open_sheet(file, options)
