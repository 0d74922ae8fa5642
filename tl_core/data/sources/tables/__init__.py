"""Tables of every format, opened as a Table: columns, and a stream of rows.

table_file         a table's bytes, and its format: delimited, json_records, coco, xlsx or parquet opens it
table_rows         Table and TableSample, which every format becomes
split_files        train.csv and test.csv as one table
column_guesses     where text, group and split column are guessed; label_guess: the label; column_roles: by which names
column_origins     what is said about the columns that were read, and what is asked
label_reader       how rows hold one or several labels; label_cells: how a cell does; timestamps: how it holds a time
table_findings     what a person is told about a table
"""

from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.sources.tables.coco import open_coco
from tl_core.data.sources.tables.delimited import open_delimited
from tl_core.data.sources.tables.json_records import open_json
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
    """Open a table of any format. With `most_chars`, only that many characters are searched for its columns and quotes.

    Raises DataError where it is damaged, protected, empty, or of another format.
    """
    if file.parts:
        return join(file.name, [(split, open_table(part, options, most_chars)) for split, part in file.parts])
    kind = kind_of(file)
    if kind == "delimited":
        return open_delimited(file, options, most_chars)
    if kind == "json" and (annotations := open_coco(file)):
        return annotations
    if kind in ("json", "jsonl"):
        return open_json(file, options, most_chars)
    if kind == "parquet":
        from tl_core.data.sources.tables.parquet import open_parquet  # slow to import, and few need it

        return open_parquet(file)
    from tl_core.data.sources.tables.xlsx import open_sheet

    return open_sheet(file, options)
