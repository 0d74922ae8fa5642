"""XLSX tables: one sheet of a workbook, streamed. A formula counts as the value stored with it."""

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import nlargest
from itertools import islice
from typing import Any

from tl_core.data.options import ImportOptions
from tl_core.data.sources.file_tree import RATIO_MATTERS
from tl_core.data.sources.tables.cell_text import cell_text
from tl_core.data.sources.tables.header_row import read_header
from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.tables.table_rows import Table
from tl_core.errors import DataError

_MOST_ROWS = 1_048_576  # Excel's own limit
_BLANK_ROWS = 10_000  # blank rows at the start after which a sheet counts as empty
_TABLE_ROWS = 3  # rows of several cells, from which a sheet counts as a table
_BATCH = 500
_MOST_SHARED = 512 * 2**20  # bytes of the shared strings, which are all in memory


def open_sheet(file: TableFile, options: ImportOptions) -> Table:
    """Open a sheet of a workbook: the one that is named, else the first with a table, else the first that is not empty.

    Raises DataError where the workbook is damaged, protected or harmful, and where there is no such sheet.
    """
    _check_zip(file)
    with _workbook(file) as book:
        sheets = tuple(sheet.title for sheet in book.worksheets)
        if options.sheet and options.sheet not in sheets:
            raise DataError(f"There is no sheet named {options.sheet!r}.", f"There are: {', '.join(sheets[:20])}.")
        chosen = options.sheet or _guess_sheet(book, sheets, file.name)
    if not chosen:
        raise DataError(f"{file.name} is empty.", "Give a table with one row per text, and a column with its label.")

    def filled() -> Iterator[tuple[int, list[str]]]:
        with _workbook(file) as book:
            for number, values in enumerate(_rows(book[chosen], file.name), start=1):
                cells = [cell_text(value) for value in values]
                while cells and not cells[-1].strip():
                    cells.pop()
                if cells:
                    yield number, cells

    columns, records, header = read_header(filled, file.name, options.header, wide=True)
    return Table(file.name, columns, records, header=header, sheet=chosen, sheets=sheets)


def _check_zip(file: TableFile) -> None:
    try:
        with file.open() as stream, zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(file.name) from error
    unpacked = sum(info.file_size for info in infos)
    packed = max(1, sum(info.compress_size for info in infos))
    shared = sum(info.file_size for info in infos if info.filename.endswith("sharedStrings.xml"))
    bomb = unpacked > RATIO_MATTERS and unpacked / packed > file.limits.ratio
    if bomb or unpacked > file.limits.unpacked or shared > _MOST_SHARED:
        raise DataError(
            f"{file.name} would unpack to {unpacked / 2**20:,.0f} MB, {unpacked / packed:,.0f} times its size: more "
            "than is read from a spreadsheet.",
            "If this is really your data, save it as CSV.",
        )
    if any(info.flag_bits & 0x1 for info in infos):
        raise DataError(f"{file.name} is protected by a password.", "Save it without a password.")
    if not any(info.filename.endswith("workbook.xml") for info in infos):
        raise DataError(
            f"{file.name} is a zip file, not a spreadsheet.", "If it holds a folder per class, name it .zip."
        )


def _damaged(name: str) -> DataError:
    return DataError(f"{name} cannot be read as a spreadsheet: it is damaged.", "Open it, and save it again or as CSV.")


@contextmanager
def _workbook(file: TableFile) -> Iterator[Any]:
    from openpyxl import load_workbook  # takes half a second to import

    with file.open() as stream:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # its parsers raise many types for a damaged file
            raise _damaged(file.name) from error
        try:
            yield book
        finally:
            book.close()


def _rows(sheet: Any, name: str) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()  # a file may claim a wrong size
    rows = sheet.iter_rows(min_row=1, max_row=_MOST_ROWS, values_only=True)
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                batch = list(islice(rows, _BATCH))
        except Exception as error:  # as above
            raise _damaged(name) from error
        yield from batch
        if len(batch) < _BATCH:
            return


def _guess_sheet(book: Any, sheets: tuple[str, ...], name: str) -> str:
    """Guess the sheet with the table: the first with several rows of several cells, because notes may come first."""
    filled = ""
    for sheet in sheets:
        rows = (sum(_is_filled(cell) for cell in row) for row in islice(_rows(book[sheet], name), _BLANK_ROWS))
        widest = nlargest(_TABLE_ROWS, rows)
        if len(widest) == _TABLE_ROWS and widest[-1] > 1:
            return sheet
        filled = filled or (sheet if widest and widest[0] else "")
    return filled


def _is_filled(value: Any) -> bool:
    return value is not None and bool(str(value).strip())
