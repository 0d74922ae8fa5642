"""Items to predict, without labels: one picture or text, or many in an archive, a folder or a table."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tl_core.data.dataset import Receipt, ReceiptLine
from tl_core.data.images import IMAGE_SUFFIXES, normalise
from tl_core.data.options import ImportOptions
from tl_core.data.sources import SAMPLE_PREFIX, import_data
from tl_core.data.sources.file_tree import ArchiveEntry, Tree, without_enclosing
from tl_core.data.sources.folder_source import TEXT_SUFFIXES, only_table, open_tree
from tl_core.data.sources.image_listing import Beside, Listing, listing_beside, listing_of
from tl_core.data.sources.local_files import is_table, source_path
from tl_core.data.sources.store import stored_name
from tl_core.data.sources.tables import Table, TableFile, best_tables, entry_table, file_table, open_table, take_sample
from tl_core.data.sources.tables.text_guess import guess_text_column
from tl_core.data.sources.text_encoding import decode, tidy
from tl_core.errors import DataError
from tl_core.types import Modality, noun
from tl_core.workspace import Limits, Workspace, sweep, write_bytes

_NOUNS: dict[Modality, tuple[str, str]] = {
    "image": ("picture", "pictures"),
    "text": ("text", "texts"),
    "multimodal": ("picture with a text", "pictures with texts, in a table that names the files of the pictures"),
}


@dataclass(frozen=True)
class PredictionItems:
    """Items to predict: recognisable `ids`, with as many `paths` (pictures), `texts` (texts), or both."""

    ids: tuple[str, ...]
    paths: tuple[Path, ...] = ()
    texts: tuple[str, ...] = ()
    receipt: Receipt = field(default_factory=lambda: Receipt("", 0))
    text_column: str = ""
    path_column: str = ""

    @property
    def items(self) -> Sequence[Any]:
        """Return what a model predicts: files, texts, or tuples of both."""
        if self.paths and self.texts:
            return list(zip(self.paths, self.texts, strict=True))
        return self.paths or self.texts

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Return each skipped item, with the reason."""
        return [(line.item, line.reason) for line in self.receipt.lines if line.action == "skipped"]


def read_prediction_items(
    source: str, modality: Modality, workspace: Workspace, text_column: str = "", path_column: str = ""
) -> PredictionItems:
    """Read items to predict from a file, archive, folder or table, or from `sample:NAME`.

    The texts of a table are read from `text_column`; if it has no such column, the text column is guessed. Pictures
    with texts come from a table that names the pictures in `path_column`, or in a column that is found by its cells,
    beside them or in one archive or folder with them. Pictures are stored in the uploads of the workspace, in the form
    in which an import stores them.
    Raises DataError where nothing of the modality can be read.
    """
    if source.startswith(SAMPLE_PREFIX):
        return _of_sample(source, modality, workspace)
    path = source_path(source)
    reader = _Reader(path.name, modality, workspace)
    suffix = path.suffix.lower()
    if modality == "multimodal":
        with _listed(path, workspace, path_column) as listing:
            reader.add_pairs(listing, text_column)
    elif path.is_file() and (suffix in IMAGE_SUFFIXES or (suffix in TEXT_SUFFIXES and modality == "text")):
        reader.add(ArchiveEntry(path.name, path.stat().st_size, path.read_bytes))
    elif is_table(path):
        reader.add_table(file_table(path, workspace.limits), text_column)
    else:
        with open_tree(path, workspace.limits, workspace.folder("cache")) as tree:
            table = only_table(tree, workspace.limits) if modality == "text" else None
            reader.lines += [line for line in tree.lines if table is None or line.item not in table.names]
            if table:
                reader.add_table(table, text_column)
            else:
                for entry in without_enclosing(tree, tree.entries, depth=1):
                    reader.add(entry)
    return reader.result()


@dataclass
class _Reader:
    """Collects items of one modality, and receipt lines about the others."""

    source: str
    modality: Modality
    workspace: Workspace
    ids: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lines: list[ReceiptLine] = field(default_factory=list)
    text_column: str = ""
    path_column: str = ""

    @cached_property
    def _folder(self) -> Path:
        """The folder where pictures are kept for a day after their last use."""
        folder = self.workspace.folder("uploads", "inputs")
        sweep(folder, "*")
        return folder

    def add(self, entry: ArchiveEntry) -> None:
        """Add one file, or a receipt line why not."""
        suffixes, noun = (IMAGE_SUFFIXES, "picture") if self.modality == "image" else (TEXT_SUFFIXES, "text file")
        if entry.suffix not in suffixes:
            self._skip(entry.name, f"not a {noun} that can be read")
            return
        try:
            if self.modality == "image":
                self._add_image(entry)
            else:
                self._add_text(entry.name, decode(entry.read())[0])
        except DataError as error:
            self._skip(entry.name, error.message)

    def add_table(self, file: TableFile, text_column: str) -> None:
        """Add every row with a text. Raises DataError if the model takes pictures, or no column holds texts."""
        if self.modality == "image":
            raise DataError(f"{self.source} is a table, but this model takes pictures.", "Give a picture or a zip.")
        table, place = self._texts_of(file, text_column)
        for number, cells in table.records():
            if isinstance(cells, str):
                self._skip(table.row(number), cells)
                continue
            try:
                self._add_text(table.row(number), cells[place])
            except DataError as error:
                self._skip(table.row(number), error.message)

    def add_pairs(self, listing: Listing | Beside, text_column: str) -> None:
        """Add every row with a picture and a text. Raises DataError if no column holds texts."""
        table, place = self._texts_of(listing.file, text_column, listing.column)
        self.path_column = listing.column
        at = table.place(listing.column)
        for number, cells in table.records():
            if isinstance(cells, str):
                self._skip(table.row(number), cells)
                continue
            try:
                text, _ = tidy(cells[place], self.workspace.limits.cell)
                self._add_image(replace(listing.find(cells[at], number), name=table.row(number)))
                self.texts.append(text)
            except DataError as error:
                self._skip(table.row(number), error.message)

    def _texts_of(self, file: TableFile, text_column: str, path_column: str = "") -> tuple[Table, int]:
        """Return a table, and the place of its texts: in `text_column`, or in the column that seems to hold them."""
        table = open_table(file)
        named = text_column in table.columns
        self.text_column = text_column if named else guess_text_column(take_sample(table), path_column)
        if not self.text_column:
            raise DataError(f"No column of {self.source} holds texts.", "Name the column that does.")
        return table, table.place(self.text_column)

    def result(self) -> PredictionItems:
        """Return the collected items. Raises DataError where there are none."""
        if not self.ids:
            reason = f" {self.lines[0].item}: {self.lines[0].reason}." if self.lines else ""
            one, many = _NOUNS[self.modality]
            raise DataError(f"There is no {one} to read in {self.source}.{reason}", f"This model takes {many}.")
        receipt = Receipt(self.source, len(self.ids), tuple(self.lines))
        columns = self.text_column, self.path_column
        return PredictionItems(tuple(self.ids), tuple(self.paths), tuple(self.texts), receipt, *columns)

    def _add_image(self, entry: ArchiveEntry) -> None:
        data = entry.read()
        picture = normalise(data, self.workspace.limits)
        path = self._folder / stored_name(data, picture)
        if path.exists():
            os.utime(path)
        else:
            write_bytes(path, picture.data)
        self.ids.append(entry.name)
        self.paths.append(path)
        self.lines += [ReceiptLine(entry.name, "converted", change) for change in picture.changes]

    def _add_text(self, item: str, text: str) -> None:
        text, change = tidy(text, self.workspace.limits.cell)
        self.lines += [ReceiptLine(item, "converted", change)] if change else []
        self.ids.append(item)
        self.texts.append(text)

    def _skip(self, item: str, reason: str) -> None:
        self.lines.append(ReceiptLine(item, "skipped", reason))


@contextmanager
def _listed(path: Path, workspace: Workspace, path_column: str) -> Iterator[Listing | Beside]:
    """Yield the table that names pictures: `path` itself, or the one in an archive or folder.

    Raises DataError where there is none.
    """
    limits, single = workspace.limits, path.suffix.lower() in IMAGE_SUFFIXES | TEXT_SUFFIXES
    if not single and is_table(path):
        file = file_table(path, limits)
        named = ImportOptions(path_column=path_column if path_column in open_table(file).columns else "")
        if beside := listing_beside(file, path.parent, named):
            yield beside
            return
    elif not single:
        with open_tree(path, limits, workspace.folder("cache")) as tree:
            tables = best_tables(tree.entries)
            columns = open_table(entry_table(tables[0], limits)).columns if len(tables) == 1 else ()
            candidates = (path_column,) if path_column in columns else columns
            found = (_listing(tree, column, limits) for column in candidates)
            if listing := next(filter(None, found), None):
                yield listing
                return
    one, many = _NOUNS["multimodal"]
    raise DataError(f"There is no {one} to read in {path.name}.", f"This model takes {many}.")


def _listing(tree: Tree, column: str, limits: Limits) -> Listing | None:
    """Return the listing by a column of the one table of a tree; None where it names no picture."""
    with suppress(DataError):
        return listing_of(tree, ImportOptions(path_column=column), limits)
    return None


def _of_sample(source: str, modality: Modality, workspace: Workspace) -> PredictionItems:
    dataset = import_data(source, workspace)
    if dataset.modality != modality:
        _, many = _NOUNS[modality]
        raise DataError(f"{source} does not hold {noun(modality)}.", f"This model takes {many}.")
    items = dataset.items
    paths = tuple(dataset.folder / p for p in items["path"]) if "image" in dataset.parts else ()
    texts = tuple(items["text"]) if "text" in dataset.parts else ()
    return PredictionItems(tuple(items["id"]), paths, texts, dataset.receipt)
