"""How cells hold the label of a row, or several labels; and where it is guessed that they hold several."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tl_core.data.sources.tables.column_guesses import TableColumns, written_as_decimals
from tl_core.data.sources.tables.label_cells import LIST, are_wrapped, parse_list, split_labels
from tl_core.data.sources.tables.label_guess import NO, YES
from tl_core.data.sources.tables.table_rows import MISSING, TableSample

SEPARATORS = (LIST, "|", ";", ",")
"""Possible separators of several labels in one cell, the most reliable first."""
_LONGEST = 60  # characters of a label

LabelReader = Callable[[Sequence[str]], "str | tuple[str, ...]"]
"""Returns the label in the cells of a row, or a tuple of labels. Raises ValueError with the reason if there is none."""


def label_reader(sample: TableSample, columns: TableColumns) -> LabelReader:
    """Return a function that reads the label of a row."""
    if columns.label_columns:
        several = _of_columns(sample, columns.label_columns)
        return _only_one(several) if columns.one_of else several
    place = sample.table.place(columns.label)
    if columns.separator:
        return lambda cells: split_labels(cells[place], columns.separator)
    decimals = written_as_decimals(sample.counts(columns.label))
    wrapped = are_wrapped(sample, columns.label)

    def single(cells: Sequence[str]) -> str:
        label = cells[place].strip()
        if wrapped:
            label = next(iter(split_labels(label, LIST)), "")
        if label in MISSING:
            raise ValueError("it has no label")
        return label.removesuffix(".0") if decimals else label

    return single


def guess_label_separator(sample: TableSample, column: str) -> str:
    """Guess the separator of several labels in the cells of a column, "" where they hold one label."""
    return guess_separator(sample.column(column))


def guess_separator(cells: Iterable[str]) -> str:
    """Guess the separator of several labels in some cells, "" where they hold one label.

    A separator gives short labels, most of which recur in other cells: "New York, NY" is one label.
    """
    values = [v for v in dict.fromkeys(cell.strip() for cell in cells) if v not in MISSING]
    for separator in SEPARATORS:
        if separator == LIST:
            lists = [parse_list(value) for value in values]
            if (
                values
                and all(labels is not None for labels in lists)
                and any(len(labels or ()) > 1 for labels in lists)
            ):
                return LIST
            continue
        counts: dict[str, int] = defaultdict(int)
        joined = [value for value in values if separator in value]
        for value in values:
            for part in split_labels(value, separator):
                counts[part] += 1
        recurring = sum(count > 1 for count in counts.values())
        if len(joined) > 1 and recurring >= len(counts) / 2 and max(map(len, counts)) <= _LONGEST:
            return separator
    return ""


def is_yes(cell: str, column: str) -> bool:
    """Return whether a cell means yes (1, true, x); an empty cell means no. Raises ValueError for other cells."""
    value = cell.strip()
    if value.lower() in YES:
        return True
    if value.lower() in NO or value in MISSING:
        return False
    raise ValueError(f"{value[:40]!r} in the column {column!r} is neither 0 nor 1")


def _of_columns(sample: TableSample, names: tuple[str, ...]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    places = [(name, sample.table.place(name)) for name in names]

    def several(cells: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name, place in places if is_yes(cells[place], name))

    return several


def _only_one(several: Callable[[Sequence[str]], tuple[str, ...]]) -> LabelReader:
    def one(cells: Sequence[str]) -> str:
        labels = several(cells)
        if len(labels) != 1:
            raise ValueError("it has no label" if not labels else f"it has several labels: {', '.join(labels[:5])}")
        return labels[0]

    return one
