"""Table, which every format becomes: columns, and rows that can be read repeatedly; and a sample of its rows."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from tl_core.data.options import OnProgress, no_progress
from tl_core.errors import DataError

Record = tuple[int, list[str] | str]
"""The number of a row as a person counts, and its cells; or, instead of cells, the reason why it cannot be read."""

MISSING = frozenset({"", "nan", "NaN", "null", "NULL", "#N/A", "<NA>"})
"""Cells that count as empty."""
MOST_COLUMNS = 10_000
PART_ROWS = 10**12
"""Offset of the row numbers of each further table, where several are read as one."""
SAMPLE_ROWS = 10_000
HEAD_ROWS = 200
SAMPLE_CELLS = 2_000_000
SAMPLE_CELL = 5000  # characters
_NAMED = 20  # most rows that a finding names
_REPORT_EVERY = 5000  # rows
_KEY = 200  # characters by which values are told apart


@dataclass(frozen=True)
class Table:
    """An opened table. `delimiter`, `encoding` and `sheet` are "" where the format has none.

    Each call of `records` starts at the first row, and yields rows as wide as the header. Reading raises DataError, in
    a whole sentence, where the file is damaged. `loose` says that quotes are read literally, `mixed` that some bytes
    are in another encoding. `sheets` names those of a spreadsheet. `n_rows` is None where the file does not state it.
    `parts` names the files that were joined, each with the split of its rows. `told` is what the format itself says:
    the column of the "label", and the "separator" of several labels.
    """

    name: str
    columns: tuple[str, ...]
    records: Callable[[], Iterator[Record]]
    delimiter: str = ""
    encoding: str = ""
    header: bool = True
    loose: bool = False
    mixed: bool = False
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    n_rows: int | None = None
    parts: tuple[tuple[str, str], ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def joined(self) -> str:
        """Return the column that holds the split of a joined table; "" for a table of one file."""
        return self.columns[-1] if self.parts else ""

    def row(self, number: int) -> str:
        """Return the name of a row: "row 5", or "row 5 of test.csv" in a joined table."""
        part, row = divmod(number, PART_ROWS)
        return f"row {row} of {self.parts[part][0]}" if self.parts else f"row {number}"

    def place(self, name: str) -> int:
        """Return the index of a column. Raises DataError where there is none of that name."""
        if name not in self.columns:
            named = ", ".join(self.columns[:_NAMED]) + (", ..." if len(self.columns) > _NAMED else "")
            raise DataError(f"There is no column named {name!r}.", f"There are: {named}.")
        return self.columns.index(name)

    @cached_property
    def places(self) -> dict[str, int]:
        """The index of each column, by its name."""
        return {name: place for place, name in enumerate(self.columns)}

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the cells of every row that can be read."""
        for number, cells in self.records():
            if not isinstance(cells, str):
                yield number, cells


@dataclass
class TableSample:
    """Rows of a table to guess columns from: the first ones, and a random sample of the others.

    Long cells are cut. `n_rows` counts the readable rows that were read, `n_bad` the unreadable ones, of which `bad`
    holds the first numbers. `whole` says that the table was read to its end.
    """

    table: Table
    rows: list[list[str]] = field(default_factory=list)
    n_rows: int = 0
    n_bad: int = 0
    bad: list[int] = field(default_factory=list)
    whole: bool = True
    _counts: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return self.table.columns

    def column(self, name: str) -> list[str]:
        """Return the cells of a column. Raises DataError where there is none of that name."""
        place = self.table.place(name)
        return [row[place] for row in self.rows]

    def counts(self, name: str) -> Counter[str]:
        """Count each stripped value of a column, over every row that was read for the sample.

        Raises DataError where there is no column of that name.
        """
        if name not in self._counts:
            if len(self.rows) == self.n_rows:
                cells: Iterable[str] = self.column(name)
            else:
                place = self.table.place(name)
                cells = (row[place] for _, row in islice(self.table.rows(), self.n_rows))
            stripped = (cell[:_KEY].strip() for cell in cells)
            self._counts[name] = Counter(value for value in stripped if value not in MISSING)
        return self._counts[name]

    def by_column(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name and the cells of every column."""
        return zip(self.columns, zip(*self.rows, strict=True), strict=True)


def take_sample(table: Table, most_chars: int | None = None, progress: OnProgress = no_progress) -> TableSample:
    """Read a table once, or its first `most_chars` characters, and return a sample of its rows.

    Raises DataError where no row can be read.
    """
    room = max(HEAD_ROWS, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(table.columns))))
    generator = random.Random(0)
    sample, first_reason, chars = TableSample(table), "", 0
    for number, cells in table.records():
        if isinstance(cells, str):
            sample.n_bad, first_reason = sample.n_bad + 1, first_reason or f"R{table.row(number)[1:]}: {cells}."
            sample.bad += [number] if len(sample.bad) < _NAMED else []
            continue
        if sample.n_rows % _REPORT_EVERY == 0:
            progress("Reading rows", sample.n_rows, table.n_rows or 0)
        sample.n_rows += 1
        if len(sample.rows) < room:
            sample.rows.append([cell[:SAMPLE_CELL] for cell in cells])
        elif (
            place := generator.randrange(sample.n_rows)
        ) < room - HEAD_ROWS:  # reservoir sampling: each row is equally likely to stay
            sample.rows[HEAD_ROWS + place] = [cell[:SAMPLE_CELL] for cell in cells]
        if most_chars is not None:
            chars += sum(map(len, cells))
            if chars > most_chars:
                sample.whole = False
                break
    if not sample.rows:
        raise DataError(f"No row of {table.name} can be read.", first_reason or "Check that it holds what it should.")
    return sample


def unique_names(cells: list[str]) -> tuple[str, ...]:
    """Return unique column names; an empty or repeated one is replaced by a made-up name."""
    names: dict[str, None] = {}
    for i, cell in enumerate(cells):
        name = " ".join(cell.split()) or f"column {i + 1}"
        names[name if name not in names else _numbered(name, i + 1, names)] = None
    return tuple(names)


def _numbered(name: str, number: int, names: dict[str, None]) -> str:
    while f"{name} ({number})" in names:
        number += 1
    return f"{name} ({number})"


def check_width(name: str, width: int) -> None:
    """Raise DataError where a table has more columns than can be read."""
    if width > MOST_COLUMNS:
        raise DataError(
            f"{name} has {width:,} columns; at most {MOST_COLUMNS:,} are read.",
            "Check the delimiter, and leave out columns that hold neither texts nor labels.",
        )


def is_number(cell: str) -> bool:
    """Return whether a cell is a number."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
