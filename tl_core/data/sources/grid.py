"""A delimited file as a grid of cells: encoding, delimiter, quotes and header found."""

import csv
import io
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from tl_core.data.options import ImportOptions
from tl_core.data.sources.text import decode
from tl_core.errors import DataError

DELIMITERS = ("\t", ";", "|", ",")  # the likelier a mark is part of a text, the later
_SAMPLE_ROWS = 200
_SAMPLE_CHARS = 500_000
_HEADER_CELL = 80  # characters; a longer cell in the first row is data
_HUGE = 2**31 - 1  # the csv module's own limit is 128 KB a cell

_WORDS = (
    "id idx index nr text texts sentence review comment message content body document title subject "
    "description question utterance tweet label labels class category target sentiment topic tag genre intent "
    "emotion rating score split subset group author date language source name text_id doc_id kategorie klasse "
    "thema "
)
HEADER_WORDS = frozenset(_WORDS.split())


@dataclass(frozen=True)
class Grid:
    """The rows of a table below its header, each as wide as the header, and the number of the first one's row.

    `ragged` holds (row number, cells) of rows that are wider, `loose` says that quotes were taken literally.
    """

    columns: tuple[str, ...]
    rows: list[list[str]]
    numbers: list[int]
    delimiter: str
    encoding: str
    header: bool
    ragged: tuple[tuple[int, int], ...] = ()
    loose: bool = False

    def column(self, name: str) -> list[str]:
        """Return the cells of a column. Raises DataError where there is none of that name."""
        if name not in self.columns:
            raise DataError(f"There is no column named {name!r}.", f"There are: {', '.join(self.columns)}.")
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


def read_grid(data: bytes, name: str, options: ImportOptions) -> Grid:
    """Read a table from its bytes. Raises DataError where there is no text, or no row."""
    try:
        text, encoding = decode(data, options.encoding)
    except DataError as error:
        raise DataError(f"{name} cannot be read as a table: {error.message}.", "Save it as CSV, in UTF-8.") from error
    text = text.replace("\0", "")
    delimiter = options.delimiter or find_delimiter(text, PurePosixPath(name).suffix.lower())
    records, loose = _parse(text, delimiter)
    records = [(number, cells) for number, cells in records if any(cell.strip() for cell in cells)]
    if not records:
        raise DataError(f"{name} is empty.", "Give a table with one row per text, and a column with its label.")
    header = _has_header([cells for _, cells in records]) if options.header is None else options.header
    width = len(records[0][1]) if header else Counter(len(c) for _, c in records[:_SAMPLE_ROWS]).most_common(1)[0][0]
    columns = _names(records[0][1]) if header else tuple(f"column {i + 1}" for i in range(width))
    body = records[1:] if header else records
    if not body:
        raise DataError(f"{name} holds a header and no rows.", "Add one row per text.")
    fitting = [(number, cells) for number, cells in body if len(cells) <= width]
    ragged = tuple((number, len(cells)) for number, cells in body if len(cells) > width)
    rows = [cells + [""] * (width - len(cells)) for _, cells in fitting]
    return Grid(columns, rows, [number for number, _ in fitting], delimiter, encoding, header, ragged, loose)


def find_delimiter(text: str, suffix: str = "") -> str:
    """Return the delimiter under which most rows have as many cells as the first, and more than one."""
    sample = text[:_SAMPLE_CHARS]
    scores: dict[str, tuple[bool, float]] = {}
    for delimiter in DELIMITERS:
        records, _ = _parse(sample, delimiter, most=_SAMPLE_ROWS)
        widths = [len(cells) for _, cells in records if cells]
        width = statistics.mode(widths) if widths else 1
        if width > 1:
            bonus = 0.1 if (delimiter == "\t") == (suffix in (".tsv", ".tab")) else 0.0
            scores[delimiter] = (widths[0] == width, round(widths.count(width) / len(widths) + bonus, 2))
    if not scores:
        return "\t" if suffix in (".tsv", ".tab") else ","
    return max(scores, key=lambda d: scores[d])


def _parse(text: str, delimiter: str, most: int | None = None) -> tuple[list[tuple[int, list[str]]], bool]:
    """Return numbered rows, and whether quotes had to be taken literally because one is never closed."""
    csv.field_size_limit(_HUGE)
    try:
        return _rows(text, delimiter, most, strict=True), False
    except csv.Error as error:
        unclosed = "unexpected end of data" in str(error)
    if not unclosed or most is not None:
        return _rows(text, delimiter, most), False
    return _rows(text, delimiter, most, quoting=csv.QUOTE_NONE), True


def _rows(
    text: str, delimiter: str, most: int | None, strict: bool = False, quoting: int = csv.QUOTE_MINIMAL
) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict, quoting=quoting)  # type: ignore[arg-type]
    rows = []
    for number, cells in enumerate(reader, start=1):
        if most is not None and number > most:
            break
        rows.append((number, cells))
    return rows


def _names(cells: list[str]) -> tuple[str, ...]:
    """Return unique column names, made up where the header has none or repeats one."""
    names: list[str] = []
    for i, cell in enumerate(cells):
        name = " ".join(cell.split()) or f"column {i + 1}"
        names.append(name if name not in names else f"{name} ({i + 1})")
    return tuple(names)


def _has_header(records: list[list[str]]) -> bool:
    """Return whether the first row names the columns rather than being one of the rows.

    It does not where a cell is a value that its column repeats further down. It does where a cell is a word that
    headers use, and else where no cell is long, a number or there twice.
    """
    first, rest = [cell.strip() for cell in records[0]], records[1:_SAMPLE_ROWS]
    for place, cell in enumerate(first):
        if cell and cell in [row[place].strip() for row in rest if place < len(row)]:
            return False
    filled = [cell for cell in first if cell]
    if any(cell.lower() in HEADER_WORDS for cell in filled):
        return True
    return len(set(filled)) == len(filled) and not any(len(c) > _HEADER_CELL or is_number(c) for c in filled)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
