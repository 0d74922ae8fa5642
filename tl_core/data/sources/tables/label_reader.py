"""The label of a row, or its several labels: how cells hold them, and what a table seems to hold."""

import ast
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tl_core.data.sources.tables.column_guesses import TableColumns, written_as_decimals
from tl_core.data.sources.tables.table_rows import MISSING, TableSample

LIST = "[]"
"""The separator of labels that stand in a list, as JSON or Python write it: ["a", "b"]."""
SEPARATORS = (LIST, "|", ";", ",")
"""What may part several labels in one cell, the surest first."""
_YES = frozenset({"1", "1.0", "true", "yes", "y", "x"})
_NO = frozenset({"0", "0.0", "false", "no", "n"})
_LONGEST = 60  # characters of a label
_LONGEST_LIST = 100_000  # characters

Labels = Callable[[Sequence[str]], "str | tuple[str, ...]"]
"""Returns the label of a row's cells, or its several labels. Raises ValueError that says why there is none."""


def label_reader(sample: TableSample, columns: TableColumns) -> Labels:
    """Return how the label of a row is read."""
    if columns.label_columns:
        return _of_columns(sample, columns.label_columns)
    place = sample.table.place(columns.label)
    if columns.separator:
        return lambda cells: split_labels(cells[place], columns.separator)
    decimals = written_as_decimals(sample.counts(columns.label))

    def single(cells: Sequence[str]) -> str:
        label = cells[place].strip()
        if label in MISSING:
            raise ValueError("it has no label")
        return label.removesuffix(".0") if decimals else label

    return single


def split_labels(cell: str, separator: str) -> tuple[str, ...]:
    """Return the labels of one cell, in its order, each once; none where it is empty."""
    parts = _listed(cell) if separator == LIST else cell.split(separator)
    if parts is None:
        parts = [cell]
    tidy = (part.strip() for part in parts)
    return tuple(dict.fromkeys(part for part in tidy if part not in MISSING))


def propose_separator(sample: TableSample, column: str) -> str:
    """Return what seems to part several labels in the cells of a column, "" where nothing does."""
    return find_separator(sample.column(column))


def find_separator(cells: Iterable[str]) -> str:
    """Return what seems to part several labels in some cells, "" where nothing does.

    A mark does where labels are short and most of them come back in other combinations: "New York, NY" is one label.
    """
    values = [v for v in dict.fromkeys(cell.strip() for cell in cells) if v not in MISSING]
    for separator in SEPARATORS:
        if separator == LIST:
            lists = [_listed(value) for value in values]
            if values and all(each is not None for each in lists) and any(len(each or ()) > 1 for each in lists):
                return LIST
            continue
        met: dict[str, int] = defaultdict(int)
        joined = [value for value in values if separator in value]
        for value in values:
            for part in split_labels(value, separator):
                met[part] += 1
        again = sum(count > 1 for count in met.values())
        if len(joined) > 1 and again >= len(met) / 2 and max(map(len, met)) <= _LONGEST:
            return separator
    return ""


def propose_label_columns(sample: TableSample, taken: set[str]) -> tuple[str, ...]:
    """Return the longest run of two or more neighbouring columns of 0 and 1, each with both, () where there is none."""
    best: list[str] = []
    run: list[str] = []
    for name, column in sample.by_column():
        values = {cell.strip().lower() for cell in column}
        binary = name not in taken and bool(values & _YES) and bool(values & _NO) and values <= _YES | _NO | MISSING
        run = [*run, name] if binary else []
        best = max(best, run, key=len)
    return tuple(best) if len(best) > 1 else ()


def says_yes(cell: str, column: str) -> bool:
    """Return what a cell of a column of 0 and 1 says; nothing is 0. Raises ValueError where it says neither."""
    value = cell.strip()
    if value.lower() in _YES:
        return True
    if value.lower() in _NO or value in MISSING:
        return False
    raise ValueError(f"{value[:40]!r} in the column {column!r} is neither 0 nor 1")


def _of_columns(sample: TableSample, names: tuple[str, ...]) -> Labels:
    places = [(name, sample.table.place(name)) for name in names]

    def several(cells: Sequence[str]) -> tuple[str, ...]:
        found = []
        for name, place in places:
            if says_yes(cells[place], name):
                found.append(name)
        return tuple(found)

    return several


def _listed(cell: str) -> list[str] | None:
    """Return the elements of a list that a cell holds, None where it holds none."""
    cell = cell.strip()
    if not (cell.startswith("[") and cell.endswith("]")) or len(cell) > _LONGEST_LIST:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
            return [str(each) for each in value]
    return None
