"""Tables that list pictures: where it is guessed which table and column do, and which picture a cell names.

A cell names a picture by its path from the top of the source or from the table's folder, by the end of that path, or by
its file name if only one picture has it. As a last resort, case and suffix are ignored.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import NONE, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources.file_tree import MAX_PATH, ArchiveEntry, Tree, climbs, file_reader
from tl_core.data.sources.store import Draft
from tl_core.data.sources.table_items import FindPicture, table_items
from tl_core.data.sources.tables import TableFile, TableSample, entry_table, open_table, split_tables, take_sample
from tl_core.data.sources.tables.column_guesses import choose_columns, guess_text_column
from tl_core.data.sources.tables.table_file import has_table_name
from tl_core.data.sources.tables.table_rows import MISSING
from tl_core.errors import DataError
from tl_core.workspace import Limits

_SAMPLE_CHARS = 2**20  # characters of a table from which it is guessed whether it lists pictures
_CELLS = 500  # most different values of a column that are tried
_MOST_TABLES = 20
_MIN_SHARE = 0.2  # smallest share of a column's cells that name pictures, if it lists them
_MANY = 0.5  # share of the pictures that a column must name, if its cells have no suffix
_TOO_LONG = "it names no picture: the path is too long"
_OUTSIDE = "its path leads out of the folder of the data"


@dataclass(frozen=True)
class Listing:
    """A table, its column that names pictures, how they are found, and all pictures (None where unknown)."""

    file: TableFile
    column: str
    find: FindPicture
    pictures: tuple[ArchiveEntry, ...] | None = None

    def skip_others(self, tree: Tree) -> None:
        """Skip the files of a tree that are neither the table nor pictures, with a receipt line each."""
        for entry in tree.entries:
            if entry.name not in self.file.names and entry.suffix not in IMAGE_SUFFIXES:
                tree.skip(entry.name, "not a picture that can be read")

    def items(
        self, options: ImportOptions, draft: Draft, progress: OnProgress = no_progress
    ) -> tuple[Iterator[RawItem], int]:
        """Return an iterator over the listed pictures, and the number of rows.

        Pictures that no row names are skipped in the draft at the end. Raises DataError as `table_items` does.
        """
        items, total = table_items(self.file, options, draft, self.column, self.find, progress)
        return self._and_unlisted(items, draft), total

    def _and_unlisted(self, items: Iterable[RawItem], draft: Draft) -> Iterator[RawItem]:
        named = set()
        for item in items:
            named.add(item.id)
            yield item
        for picture in self.pictures or ():
            if picture.name not in named:  # the first item of a picture has its name
                draft.skip(picture.name, f"{self.file.name} gives it no label")


def listing_of(tree: Tree, options: ImportOptions, limits: Limits) -> Listing | None:
    """Return the table of a tree that lists its pictures; None where none does, or where folders name the classes.

    Raises DataError where several tables do, and where the column that the options name does not.
    """
    if texts_alone(options):
        return None
    pictures = [entry for entry in tree.entries if entry.suffix in IMAGE_SUFFIXES]
    tables = [entry for entry in tree.entries if has_table_name(entry.name)]
    if not pictures or not tables:
        return None
    in_folders = len({PurePosixPath(picture.name).parent for picture in pictures}) > 1
    names = _PictureNames(pictures)
    listings = []
    for table in tables[:_MOST_TABLES]:
        listing = _listing(entry_table(table, limits), names, options, in_folders)
        if listing:
            listings.append(listing)
    if len(listings) > 1 and (joined := split_tables(tables, limits)):
        listings = [listing] if (listing := _listing(joined, names, options, in_folders)) else listings
    if len(listings) == 1:
        return listings[0]
    if listings and not in_folders:
        named = ", ".join(listing.file.name for listing in listings[:3])
        hint = "Join them, or name them train, validation and test: tables with the same columns are then joined."
        raise DataError(f"{len(listings):,} tables list the pictures ({named}), and only one can be read.", hint)
    if options.path_column:
        raise DataError(
            f"No cell of the column {options.path_column!r} names an existing picture.",
            "Choose the column that holds the file names.",
        )
    return None


def listing_beside(file: TableFile, folder: Path, options: ImportOptions) -> Listing | None:
    """Return the listing of a table whose pictures lie in its folder or below; None where it lists none.

    Raises DataError where a column names pictures that lie elsewhere and the table has no texts.
    """
    if texts_alone(options):
        return None
    sample = _take_sample(file, options)
    if options.path_column:
        sample.table.place(options.path_column)
    root = folder.resolve()
    columns = [(name, _cells(cells)) for name, cells in sample.by_column()]
    candidates = [
        (n, c) for n, c in columns if (c and sum(map(_is_picture, c)) >= len(c) / 2) or n == options.path_column
    ]
    for name, cells in candidates:
        if options.path_column in ("", name) and any(_beside(root, cell) for cell in cells):
            return Listing(file, name, lambda cell: _find_beside(root, cell))
    for name, cells in candidates:
        if name == (options.path_column or guess_text_column(sample, options.label_column)):
            outside = next((cell for cell in cells if climbs(_tidy(cell))), "")
            where = (
                f"outside the table's folder, for example {outside!r}" if outside else "that are not beside the table"
            )
            raise DataError(
                f"The column {name!r} of {file.name} names pictures {where}.",
                "Put the table and the pictures into one folder or zip, with paths as they are from the table.",
            )
    return None


def texts_alone(options: ImportOptions) -> bool:
    """Return whether a person wants the texts of a table alone, even where it names pictures."""
    return options.path_column == NONE or (options.text_column not in ("", NONE) and not options.path_column)


def _listing(file: TableFile, names: "_PictureNames", options: ImportOptions, in_folders: bool) -> Listing | None:
    try:
        sample = _take_sample(file, options)
    except DataError:
        return None  # another table may list the pictures; what is wrong with this one matters only if none does
    folder = PurePosixPath(file.names[0]).parent.as_posix()
    best, best_share, best_by_file_name = "", 0.0, False
    for name, column in sample.by_column():
        cells = _cells(column)
        if not cells or options.path_column not in ("", name):
            continue
        names.by_file_name = _all_different(cells)
        matched = {picture.name for cell in cells if (picture := names.find_or_none(cell, folder))}
        share = len(matched) / len(cells)
        sure = any(map(_is_picture, cells)) or len(matched) >= _MANY * min(len(names.pictures), _CELLS)
        if matched and share > best_share and (options.path_column or (share >= _MIN_SHARE and sure)):
            best, best_share, best_by_file_name = name, share, names.by_file_name
    if not best:
        return None
    codes = {finding.code for finding in choose_columns(sample, options, best)[1]}
    if not options.path_column and (codes & {"no-label"} or (in_folders and codes & {"label-guessed"})):
        return None
    names.by_file_name = best_by_file_name
    return Listing(file, best, lambda cell: names.find(cell, folder), tuple(names.pictures))


def _take_sample(file: TableFile, options: ImportOptions) -> TableSample:
    return take_sample(open_table(file, options, _SAMPLE_CHARS), _SAMPLE_CHARS)


def _cells(column: Iterable[str]) -> list[str]:
    """Return the first different values of a column."""
    filled = dict.fromkeys(cell for cell in column if cell.strip() not in MISSING)
    return list(filled)[:_CELLS]


def _tidy(cell: str) -> str:
    name = unicodedata.normalize("NFC", cell.strip().replace("\\", "/"))
    return name.removeprefix("./")


def _is_picture(cell: str) -> bool:
    return "://" not in cell and PurePosixPath(_tidy(cell)).suffix.lower() in IMAGE_SUFFIXES


@dataclass
class _PictureNames:
    """The pictures of a tree, by every name that a cell may use; None where a name fits two.

    `by_file_name` says that only the file name of a path counts, where its folders are not those of the tree.
    """

    pictures: list[ArchiveEntry]
    paths: dict[str, ArchiveEntry] = field(default_factory=dict)
    ends: dict[str, ArchiveEntry | None] = field(default_factory=dict)
    stems: dict[str, ArchiveEntry | None] = field(default_factory=dict)
    by_file_name: bool = False

    def __post_init__(self) -> None:
        for picture in self.pictures:
            self.paths[picture.name] = picture
            folded = picture.name.casefold()
            for end in _ends(folded):
                self.ends[end] = None if end in self.ends else picture
            stem = PurePosixPath(folded).stem
            self.stems[stem] = None if stem in self.stems else picture

    def find_or_none(self, cell: str, folder: str) -> ArchiveEntry | None:
        """Return the picture that a cell names; None where it names none, or more than one."""
        name = _tidy(cell)
        if not name or len(name) > MAX_PATH or climbs(name):
            return None
        exact = self.paths.get(str(PurePosixPath(folder) / name)) or self.paths.get(name)
        if exact:
            return exact
        folded = name.casefold()
        if picture := self.ends.get(folded):
            return picture
        for end in _ends(folded):  # the table's paths may start at a higher folder than the archive's
            if "/" in folded and (picture := self.ends.get(end)) and picture.name.casefold() == end:
                return picture
        if self.by_file_name and (picture := self.ends.get(PurePosixPath(folded).name)):
            return picture
        return None if _is_picture(name) or "/" in name else self.stems.get(folded)

    def find(self, cell: str, folder: str) -> ArchiveEntry:
        """Return the picture that a cell names. Raises DataError, with the bare reason as message, if none."""
        picture = self.find_or_none(cell, folder)
        if picture:
            return picture
        name = _tidy(cell)
        if not name:
            raise DataError("it names no picture")
        if len(name) > MAX_PATH:
            raise DataError(_TOO_LONG)
        if climbs(name):
            raise DataError(_OUTSIDE)
        several = name.casefold() in self.ends or name.casefold() in self.stems
        raise DataError(f"several pictures have the name {name}" if several else f"there is no picture {name}")


def _all_different(cells: list[str]) -> bool:
    """Return whether all cells end in different file names: train/1.png and test/1.png do not."""
    return len({PurePosixPath(_tidy(cell)).name.casefold() for cell in cells}) == len(cells)


def _ends(path: str) -> Iterator[str]:
    """Yield a path, then the path without its first folder, without its first two, and so on."""
    yield path
    while "/" in path:
        path = path.split("/", 1)[1]
        yield path


def _beside(root: Path, cell: str) -> Path | None:
    """Return the file below the root that a cell names, None where there is none."""
    name = _tidy(cell)
    if not name or len(name) > MAX_PATH or climbs(name):
        return None
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # an invalid character, or a link to itself
        return None


def _find_beside(root: Path, cell: str) -> ArchiveEntry:
    name = _tidy(cell)
    path = _beside(root, cell)
    if path:
        return ArchiveEntry(name, path.stat().st_size, file_reader(path))
    if not name:
        raise DataError("it names no picture")
    if len(name) > MAX_PATH:
        raise DataError(_TOO_LONG)
    linked = (root / name).is_symlink() if not climbs(name) and "\0" not in name else False
    raise DataError(_OUTSIDE if climbs(name) or linked else f"there is no picture {name} beside the table")
