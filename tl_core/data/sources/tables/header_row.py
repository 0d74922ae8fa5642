"""The first row of a table: whether it names the columns, and the rows below it."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from tl_core.data.sources.tables.table_rows import Record, check_width, is_number, unique_names
from tl_core.errors import DataError

_SAMPLE_ROWS = 200
_MOST_TITLES = 20
_HEADER_CELL = 80  # characters; a longer cell in the first row is data
_WORDS = (
    "id idx index nr text texts sentence review comment message content body document title subject "
    "description question utterance tweet label labels class category target sentiment topic tag genre intent "
    "emotion rating score split subset group author date language source name text_id doc_id kategorie klasse "
    "thema path file filename file_name image image_path picture "
)
_HEADER_WORDS = frozenset(_WORDS.split())

Rows = Callable[[], Iterator[tuple[int, list[str]]]]


def with_header(
    rows: Rows, name: str, header: bool | None, wide: bool = False
) -> tuple[tuple[str, ...], Callable[[], Iterator[Record]], bool]:
    """Return the names of the columns, the records below them, and whether the first row names them.

    `rows` gives numbered rows that are not blank, `header` what a person says of the first one. A title above the
    names of the columns is left out. With `wide`, cells beyond the header make columns of their own.
    Raises DataError where there is no row.
    """
    first = [cells for _, cells in islice(rows(), _SAMPLE_ROWS + 1)]
    titles = _titles(first) if header is not False else 0
    first = first[titles:]
    if not first:
        raise DataError(f"{name} is empty.", "Give a table with one row per text, and a column with its label.")
    named = _has_header(first) if header is None else header
    width = len(first[0]) if named else Counter(map(len, first[:_SAMPLE_ROWS])).most_common(1)[0][0]
    if wide:
        width = max(map(len, first))
    check_width(name, width)
    names = first[0] if named else []
    columns = unique_names(names + [""] * (width - len(names)))
    if named and len(first) == 1:
        raise DataError(f"{name} holds a header and no rows.", "Add one row per text.")

    def records() -> Iterator[Record]:
        for number, _ in islice(rows(), titles):
            yield number, "it stands above the names of the columns"
        for number, cells in islice(rows(), titles + named, None):
            if len(cells) > width:
                yield number, f"it has {len(cells)} cells, more than there are columns"
            else:
                yield number, cells + [""] * (width - len(cells))

    return columns, records, named


def _titles(records: list[list[str]]) -> int:
    """Return how many rows of one cell each stand above a row that surely names the columns."""
    for place, cells in enumerate(records[: _MOST_TITLES + 1]):
        filled = [cell.strip() for cell in cells if cell.strip()]
        if len(filled) > 1:
            sure = any(cell.lower() in _HEADER_WORDS for cell in filled) and _has_header(records[place:])
            return place if sure else 0
    return 0


def _has_header(records: list[list[str]]) -> bool:
    """Return whether the first row names the columns rather than being one of the rows.

    It does not where a cell is a value that its column repeats further down. It does where a cell is a word that
    headers use, and else where no cell is long, a number or there twice.
    """
    first, rest = [cell.strip() for cell in records[0]], records[1:_SAMPLE_ROWS]
    for place, cell in enumerate(first):
        if cell and any(place < len(row) and row[place].strip() == cell for row in rest):
            return False
    filled = [cell for cell in first if cell]
    if any(cell.lower() in _HEADER_WORDS for cell in filled):
        return True
    return len(set(filled)) == len(filled) and not any(len(c) > _HEADER_CELL or is_number(c) for c in filled)
