"""CSV, TSV and other delimited text: encoding, delimiter, quotes and header are guessed, rows are streamed."""

import csv
import io
import re
import statistics
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

from tl_core.data.options import ImportOptions
from tl_core.data.sources.tables.header_row import read_header
from tl_core.data.sources.tables.stream_encoding import Encoding, check_text, guess_stream_encoding
from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.tables.table_rows import Table
from tl_core.errors import DataError

DELIMITERS = ("\t", ";", "|", ",")  # the likelier a mark occurs inside texts, the later
_EXCEL = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # a first line that tells Excel the delimiter
_SAMPLE_ROWS = 200
_SAMPLE_CHARS = 500_000
LONGEST = 128 * 2**20
"""Most characters of a line or a cell. The csv module's default is 128 KB per cell."""


def open_delimited(file: TableFile, options: ImportOptions, most_chars: int | None = None) -> Table:
    """Open a delimited table. Unclosed quotes are searched for in the first `most_chars` characters only.

    Raises DataError where the file is not text, or has no row.
    """
    try:
        encoding = guess_stream_encoding(file, options.encoding)
        check_text(file, encoding)
    except DataError as error:
        if error.hint:
            raise
        raise DataError(
            f"{file.name} cannot be read as a table: {error.message}.", "Save it as CSV, in UTF-8."
        ) from error
    delimiter = options.delimiter or guess_delimiter(file, encoding)
    quoting = _guess_quoting(file, encoding, delimiter, most_chars)
    rows = partial(_filled_rows, file, encoding, delimiter, quoting)
    columns, records, header = read_header(rows, file.name, options.header)
    loose = quoting == csv.QUOTE_NONE
    return Table(file.name, columns, records, delimiter, encoding.name, header, loose, encoding.mixed)


def guess_delimiter(file: TableFile, encoding: Encoding) -> str:
    """Guess the delimiter: the one in a line for Excel, else the one that gives most rows the width of the first."""
    sample = list(_head_lines(file, encoding))
    if sample and (excel := _EXCEL.fullmatch(sample[0])):
        return excel[1]
    tabs = file.suffix in (".tsv", ".tab")
    scores: dict[str, tuple[bool, float]] = {}
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(_reader(sample, delimiter), _SAMPLE_ROWS))
        except csv.Error:
            continue
        widths = [len(cells) for cells in rows if cells]
        width = statistics.mode(widths) if widths else 1
        if width > 1:
            bonus = 0.1 if (delimiter == "\t") == tabs else 0.0
            scores[delimiter] = (widths[0] == width, round(widths.count(width) / len(widths) + bonus, 2))
    if not scores:
        return "\t" if tabs else ","
    return max(scores, key=lambda d: scores[d])


def _head_lines(file: TableFile, encoding: Encoding) -> Iterator[str]:
    chars = 0
    for line in _lines(file, encoding):
        yield line[: _SAMPLE_CHARS - chars]
        chars += len(line)
        if chars >= _SAMPLE_CHARS:
            return


def _guess_quoting(file: TableFile, encoding: Encoding, delimiter: str, most_chars: int | None) -> int:
    """Guess how quotes are meant: literally if one is never closed.

    The row that reaches `most_chars` is read to its end, because a quote may be open there.
    """
    reader = _reader(_lines(file, encoding), delimiter, strict=True)
    chars = 0
    try:
        for cells in reader:
            if most_chars is not None and (chars := chars + sum(map(len, cells))) > most_chars:
                break
    except csv.Error as error:
        never_closed = "unexpected end of data" in str(error) or "field limit" in str(error)
        return csv.QUOTE_NONE if never_closed else csv.QUOTE_MINIMAL
    return csv.QUOTE_MINIMAL


def _filled_rows(file: TableFile, encoding: Encoding, delimiter: str, quoting: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each row that is not blank."""
    reader = _reader(_lines(file, encoding), delimiter, quoting=quoting)
    try:
        for number, cells in enumerate(reader, start=1):
            if number == 1 and _EXCEL.fullmatch(delimiter.join(cells)):
                continue
            if any(cell and not cell.isspace() for cell in cells):
                yield number, cells
    except csv.Error as error:
        raise DataError(
            f"{file.name} cannot be read as a table: a cell has more than {LONGEST / 1e6:,.0f} million characters.",
            "Check that its quotation marks are closed and that it has line breaks.",
        ) from error


def _reader(
    lines: Iterable[str], delimiter: str, strict: bool = False, quoting: int = csv.QUOTE_MINIMAL
) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST)
    return csv.reader(lines, delimiter=delimiter, strict=strict, quoting=quoting)  # type: ignore[arg-type]


def _lines(file: TableFile, encoding: Encoding) -> Iterator[str]:
    """Yield the lines of a text with their line ends, but without byte-order mark and NUL characters."""
    with io.TextIOWrapper(file.open(), encoding=encoding.name, errors=encoding.errors, newline="") as text:
        first = True
        for line in iter(partial(text.readline, LONGEST), ""):
            if len(line) == LONGEST:
                raise DataError(
                    f"{file.name} cannot be read as a table: a line has more than {LONGEST / 1e6:,.0f} million "
                    "characters.",
                    "Check that it is a table, with one row per text.",
                )
            yield (line.removeprefix("\ufeff") if first else line).replace("\0", "")
            first = False
