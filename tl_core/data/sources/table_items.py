"""The rows of a table: as a preview for a person to check, and as the items of a data set."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Protocol

from tl_core.data.dataset import Origin
from tl_core.data.options import NONE, SKIP, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources.file_tree import ArchiveEntry
from tl_core.data.sources.store import Draft
from tl_core.data.sources.table_preview import PREVIEW_CELL, TablePreview
from tl_core.data.sources.tables import Table, TableFile, TableSample, open_table, take_sample
from tl_core.data.sources.tables.column_guesses import (
    REJECTED,
    UNKNOWN_SPLIT,
    TableColumns,
    choose_columns,
    split_reader,
)
from tl_core.data.sources.tables.column_origins import check_clear, column_origins
from tl_core.data.sources.tables.label_reader import LabelReader, label_reader
from tl_core.data.sources.tables.table_findings import leak_findings, propose_options, reading_findings
from tl_core.data.sources.tables.table_rows import MISSING, Record
from tl_core.data.sources.tables.timestamps import guess_time_reader
from tl_core.errors import DataError

PREVIEW_ROWS = 50
PREVIEW_LOOK = 8 * 2**20
"""Characters of a table that a preview reads."""
_CHUNK_ROWS = 1000
_CHUNK_CHARS = 4_000_000
_MOST_LINES = 10_000  # of a receipt about single rows


class Pictures(Protocol):
    """The pictures that a table lists."""

    @property
    def split_folders(self) -> str:
        """Return in words which folders name splits; "" where none does."""

    def find(self, cell: str, row: int) -> ArchiveEntry:
        """Return the picture that the cell of a row names. Raises DataError, with the bare reason as message."""

    def split(self, picture: str) -> str:
        """Return the split that the folders of a picture name: "train", "validation", "test", "skip", or ""."""


def preview_file(file: TableFile, options: ImportOptions, path: str = "") -> TablePreview:
    """Preview a table, from its beginning where it is large.

    `path` is the column that names pictures. Raises DataError where the table cannot be read.
    """
    sample = take_sample(open_table(file, options, PREVIEW_LOOK), PREVIEW_LOOK)
    columns, choices = choose_columns(sample, options, path)
    proposed, proposals = propose_options(sample, columns)
    table = sample.table
    return TablePreview(
        table.columns,
        tuple(tuple(cell[:PREVIEW_CELL] for cell in row) for row in sample.rows[:PREVIEW_ROWS]),
        table.delimiter,
        table.encoding,
        table.header,
        "" if columns.text_others and not options.text_column else columns.text,
        "" if columns.label_sure == "unclear" else columns.label,
        findings=(*reading_findings(sample, columns), *choices, *proposals, *leak_findings(sample, columns)),
        n_rows=sample.n_rows if sample.whole else table.n_rows,
        split_column=NONE if options.split_column == NONE else columns.split,
        group_column=NONE if options.group_column == NONE else columns.group,
        path_column=columns.path,
        separator=columns.separator,
        label_columns=columns.label_columns,
        one_of=columns.one_of,
        subgroup_column=columns.subgroup,
        time_column=columns.time,
        sheet=table.sheet,
        sheets=table.sheets,
        proposed=proposed,
    )


def table_items(
    file: TableFile,
    options: ImportOptions,
    draft: Draft,
    path: str = "",
    pictures: Pictures | None = None,
    progress: OnProgress = no_progress,
) -> tuple[Iterator[RawItem], int]:
    """Return an iterator over the items of a table, and its number of rows.

    Skipped rows are added to the draft along the way. With `pictures`, items are those named in the column `path`, with
    the texts of their rows if the table has such a column too: then the draft's modality becomes "multimodal".
    Raises DataError where no text or label column is found; the iterator raises it where no row has a label.
    """
    sample = take_sample(open_table(file, options), progress=progress)
    columns, findings = choose_columns(sample, options, path)
    for finding in findings:
        if finding.level == "stop" and finding.code != "label-like-id":
            raise DataError(finding.message, finding.hint)
    check_clear(sample, columns, options)
    draft.text_column, draft.path_column, draft.subgroup_column = columns.text, columns.path, columns.subgroup
    if columns.text and columns.path:
        draft.modality = "multimodal"
    draft.origins += column_origins(sample, columns, options)
    if pictures and not columns.split and (where := pictures.split_folders):
        draft.origins.append(Origin("split", where))
    _note_reading(sample, columns, draft)
    reader = _RowReader(
        sample, columns, draft, label_reader(sample, columns), split_reader(sample, columns, options), pictures
    )
    return reader.all(), sample.n_rows


def _note_reading(sample: TableSample, columns: TableColumns, draft: Draft) -> None:
    table = sample.table
    if columns.text and columns.path:
        draft.read(table.name, f"pictures are named in the column {columns.path!r}, texts are in {columns.text!r}")
    for name, split in table.parts:
        split_note = f"; its rows are the {split} items" if columns.split == table.joined else ""
        draft.read(name, f"read as one table with {_others(table, name)}{split_note}")
    if table.loose:
        draft.read(table.name, "a quotation mark is never closed, so all of them were read as ordinary characters")
    if table.mixed:
        draft.read(table.name, "some letters are not in UTF-8 like the others; they were read as Windows-1252")
    for finding in leak_findings(sample, columns):
        draft.skip(f"column {finding.items[0]!r}", "it reveals the label of nearly every row, and is not learned from")


def _others(table: Table, name: str) -> str:
    return " and ".join(other for other, _ in table.parts if other != name)


@dataclass
class _RowReader:
    """Turns the rows of a table into items."""

    sample: TableSample
    columns: TableColumns
    draft: Draft
    labels: LabelReader
    splits: Callable[[str], str]
    pictures: Pictures | None
    reported: int = 0
    unreported: int = 0
    labelled: bool = False
    named: dict[str, str | tuple[str, ...]] = field(default_factory=dict)

    def all(self) -> Iterator[RawItem]:
        """Yield the items. Raises DataError where no row has a label."""
        table = self.sample.table
        at = table.columns.index(self.columns.time) if self.columns.time else None
        times = guess_time_reader(self.sample.column(self.columns.time)) if self.columns.time else None
        for chunk in _chunks(table.records()):
            seconds = [nan] * len(chunk)
            if times is not None and at is not None:
                seconds = times.read([cells[at] if not isinstance(cells, str) else "" for _, cells in chunk]).tolist()
            for (number, cells), second in zip(chunk, seconds, strict=True):
                if isinstance(cells, str):
                    self._skip(number, cells)
                    continue
                item = self._item(number, cells, second)
                if item is None:
                    continue
                if at is not None and isnan(second) and cells[at].strip() not in MISSING:
                    self._report(
                        self.draft.convert, number, f"the time {cells[at][:40]!r} cannot be read, so it is left out"
                    )
                yield item
        if self.unreported:
            self.draft.skip(f"{self.unreported:,} more rows", "for reasons like those above")
        if not self.labelled:
            where = f" in the column {self.columns.label!r}" if self.columns.label else ""
            raise DataError(f"No row of {table.name} has a label{where}.", "Choose the column that holds the labels.")

    def _item(self, number: int, cells: list[str], seconds: float) -> RawItem | None:
        columns = self.columns
        try:
            if reason := self._unusable(cells):
                raise ValueError(reason)
            labels = self.labels(cells)
            entry = self.pictures.find(self._cell(cells, columns.path), number) if self.pictures else None
            given = self._given(cells, entry)
        except ValueError as error:
            self._skip(number, str(error))
            return None
        except DataError as error:
            self._skip(number, error.message)
            return None
        if entry and entry.name in self.named and not columns.text:
            conflict = "" if self.named[entry.name] == labels else ", with another label"
            self._skip(number, f"the picture {entry.name} is named by an earlier row{conflict}")
            return None
        name = entry.name if entry else self.sample.table.row(number)
        if name in self.named:  # a picture may have several texts
            name = f"{name}, {self.sample.table.row(number)}"
        if entry:
            self.named[name] = labels
        self.labelled = self.labelled or bool(labels)
        return RawItem(
            name,
            labels if isinstance(labels, str) else "",
            given,
            self._cell(cells, columns.group),
            self._cell(cells, columns.text, tidy=False),
            entry.read if entry else None,
            None if isinstance(labels, str) else labels,
            self._cell(cells, columns.subgroup),
            seconds,
        )

    def _unusable(self, cells: list[str]) -> str:
        """Return why a row is no item: it repeats the column names, or whoever labelled it rejected it; else ""."""
        columns = self.columns
        if columns.label and all(self._cell(cells, name) == name for name in columns.used):
            return "it repeats the column names"
        verdict = self._cell(cells, columns.verdict).lower()
        return f"its {columns.verdict} is {verdict!r}" if verdict in REJECTED else ""

    def _given(self, cells: list[str], entry: ArchiveEntry | None) -> str:
        """Return the split that the table or else the folders say. Raises DataError where an item is to be left out."""
        if self.columns.split:
            cell = self._cell(cells, self.columns.split)
            given = self.splits(cell)
        else:
            given = self.pictures.split(entry.name) if self.pictures and entry else ""
            cell = entry.name if entry else ""
        if given in (SKIP, UNKNOWN_SPLIT):
            raise DataError(
                f"you said that {cell} is left out" if given == SKIP else f"its split, {cell[:40]!r}, is not known"
            )
        return given

    def _cell(self, cells: list[str], column: str, tidy: bool = True) -> str:
        if not column:
            return ""
        cell = cells[self.sample.table.places[column]]
        return cell.strip() if tidy else cell

    def _skip(self, number: int, reason: str) -> None:
        self._report(self.draft.skip, number, reason)

    def _report(self, add: Callable[[str, str], None], number: int, reason: str) -> None:
        if self.reported < _MOST_LINES:
            self.reported += 1
            add(self.sample.table.row(number), reason)
        else:
            self.unreported += 1


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield rows in chunks, with fewer rows where they are long."""
    chunk: list[Record] = []
    chars = 0
    for record in records:
        chunk.append(record)
        chars += sum(map(len, record[1]))
        if len(chunk) >= _CHUNK_ROWS or chars > _CHUNK_CHARS:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk
