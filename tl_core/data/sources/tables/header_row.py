"""Where it is guessed whether the first row of a table is a header."""

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


def read_header(
    rows: Rows, name: str, header: bool | None, wide: bool = False
) -> tuple[tuple[str, ...], Callable[[], Iterator[Record]], bool]:
    """Return the column names, the records below the header, and whether there is a header.

    `rows` yields numbered rows that are not blank. `header` is what a person says about the first row, None to guess. A
    title above the header is skipped. With `wide`, cells beyond the header become further columns.
    Raises DataError where there is no row.
    """
    first = [cells for _, cells in islice(rows(), _SAMPLE_ROWS + 1)]
    titles = _count_title_rows(first) if header is not False else 0
    first = first[titles:]
    if not first:
        raise DataError(f"{name} is empty.", "Give a table with one row per text, and a column with its label.")
    has_header = _guess_has_header(first) if header is None else header
    width = len(first[0]) if has_header else Counter(map(len, first[:_SAMPLE_ROWS])).most_common(1)[0][0]
    if wide:
        width = max(map(len, first))
    check_width(name, width)
    names = first[0] if has_header else []
    columns = unique_names(names + [""] * (width - len(names)))
    if has_header and len(first) == 1:
        raise DataError(f"{name} holds a header and no rows.", "Add one row per text.")

    def records() -> Iterator[Record]:
        for number, _ in islice(rows(), titles):
            yield number, "it is above the column names"
        for number, cells in islice(rows(), titles + has_header, None):
            if len(cells) > width:
                yield number, f"it has {len(cells)} cells, more than there are columns"
            else:
                yield number, cells + [""] * (width - len(cells))

    return columns, records, has_header


def _count_title_rows(records: list[list[str]]) -> int:
    """Count the title rows, of one cell each, above a row that is certainly a header."""
    for place, cells in enumerate(records[: _MOST_TITLES + 1]):
        filled = [cell.strip() for cell in cells if cell.strip()]
        if len(filled) > 1:
            certain = any(cell.lower() in _HEADER_WORDS for cell in filled) and _guess_has_header(records[place:])
            return place if certain else 0
    return 0


def _guess_has_header(records: list[list[str]]) -> bool:
    """Guess whether the first row is a header.

    It is none if one of its cells occurs again in the same column, in a row that differs from it as a whole. Otherwise
    it is one if a cell is a typical header word, or if no cell is long, a number, or repeated.
    """
    first, rest = [cell.strip() for cell in records[0]], records[1:_SAMPLE_ROWS]
    rest = [row for row in rest if [cell.strip() for cell in row] != first]  # tables joined with their headers
    for place, cell in enumerate(first):
        if cell and any(place < len(row) and row[place].strip() == cell for row in rest):
            return False
    filled = [cell for cell in first if cell]
    if any(cell.lower() in _HEADER_WORDS for cell in filled):
        return True
    return len(set(filled)) == len(filled) and not any(len(c) > _HEADER_CELL or is_number(c) for c in filled)
