"""Tables that list pictures: which table of a source does, by which of its columns, and the picture that a cell names.

A cell names a picture by its path from the top of the source or from the table's own folder, by the end of that path,
or by its file name alone where only one picture has it; at last without regard to capitals, or to the suffix.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources.file_tree import MAX_PATH, ArchiveEntry, Tree, climbs, file_reader
from tl_core.data.sources.store import Draft
from tl_core.data.sources.table_items import FindPicture, table_items
from tl_core.data.sources.tables import TableFile, TableSample, entry_table, open_table, split_tables, take_sample
from tl_core.data.sources.tables.column_guesses import choose_columns, find_text_column
from tl_core.data.sources.tables.table_file import has_table_name
from tl_core.data.sources.tables.table_rows import MISSING
from tl_core.errors import DataError
from tl_core.workspace import Limits

_LOOK = 2**20  # characters of a table from which is told whether it lists pictures
_CELLS = 500
_MOST_TABLES = 20
_ENOUGH = 0.2  # share of the cells of a column that name pictures, from which it lists them
_MANY = 0.5  # share of the pictures that a column names, from which names without a suffix are taken for theirs
_LONG = "it names no picture: the path is too long"
_OUT = "its path leads out of the folder of the data"


@dataclass(frozen=True)
class Listing:
    """A table, the column that names pictures, how they are found, and all there are (None where nobody knows)."""

    file: TableFile
    column: str
    find: FindPicture
    pictures: tuple[ArchiveEntry, ...] | None = None

    def skip_others(self, tree: Tree) -> None:
        """Write down the files of a tree that are neither the table nor pictures."""
        for entry in tree.entries:
            if entry.name not in self.file.names and entry.suffix not in IMAGE_SUFFIXES:
                tree.skip(entry.name, "not a picture that can be read")

    def items(
        self, options: ImportOptions, draft: Draft, progress: OnProgress = no_progress
    ) -> tuple[Iterator[RawItem], int]:
        """Return the pictures with what the table says of them, and how many rows it has.

        Pictures that no row names are written to the draft at the end. Raises DataError as `table_items` does.
        """
        items, total = table_items(self.file, options, draft, self.column, self.find, progress)
        return self._and_rest(items, draft), total

    def _and_rest(self, items: Iterable[RawItem], draft: Draft) -> Iterator[RawItem]:
        named = set()
        for item in items:
            named.add(item.id)
            yield item
        for picture in self.pictures or ():
            if picture.name not in named:
                draft.skip(picture.name, f"{self.file.name} gives it no label")


def listing_of(tree: Tree, options: ImportOptions, limits: Limits) -> Listing | None:
    """Return the table of a tree that lists its pictures, None where none does, or where folders say the classes.

    Raises DataError where several tables do, and where the column that the options name does not.
    """
    pictures = [entry for entry in tree.entries if entry.suffix in IMAGE_SUFFIXES]
    tables = [entry for entry in tree.entries if has_table_name(entry.name)]
    if not pictures or not tables:
        return None
    in_folders = len({PurePosixPath(picture.name).parent for picture in pictures}) > 1
    names = _Names(pictures)
    found = []
    for table in tables[:_MOST_TABLES]:
        listing = _listing(entry_table(table, limits), names, options, in_folders)
        if listing:
            found.append(listing)
    if len(found) > 1 and (joined := split_tables(tables, limits)):
        found = [listing] if (listing := _listing(joined, names, options, in_folders)) else found
    if len(found) == 1:
        return found[0]
    if found and not in_folders:
        named = ", ".join(listing.file.name for listing in found[:3])
        hint = "Join them, or name them train, validation and test: tables of the same columns are then joined."
        raise DataError(f"{len(found):,} tables list the pictures ({named}), and only one can be read.", hint)
    if options.path_column:
        raise DataError(
            f"No cell of the column {options.path_column!r} names a picture that is there.",
            "Choose the column that holds the file names.",
        )
    return None


def listing_beside(file: TableFile, folder: Path, options: ImportOptions) -> Listing | None:
    """Return a table that lists pictures which lie in its folder or below it, None where it lists none.

    Raises DataError where it holds nothing else, and the pictures lie elsewhere.
    """
    if options.text_column and not options.path_column:
        return None
    sample = _look(file, options)
    if options.path_column:
        sample.table.place(options.path_column)
    root = folder.resolve()
    columns = [(name, _cells(cells)) for name, cells in sample.by_column()]
    looks = [(n, c) for n, c in columns if (c and sum(map(_is_picture, c)) >= len(c) / 2) or n == options.path_column]
    for name, cells in looks:
        if options.path_column in ("", name) and any(_beside(root, cell) for cell in cells):
            return Listing(file, name, lambda cell: _find_beside(root, cell))
    for name, cells in looks:
        if name == (options.path_column or find_text_column(sample, options.label_column)):
            out = next((cell for cell in cells if climbs(_tidy(cell))), "")
            where = f"outside the table's folder, for example {out!r}" if out else "that are not beside the table"
            raise DataError(
                f"The column {name!r} of {file.name} names pictures {where}.",
                "Put the table and the pictures into one folder or zip, with paths as they are from the table.",
            )
    return None


def _listing(file: TableFile, names: "_Names", options: ImportOptions, in_folders: bool) -> Listing | None:
    try:
        sample = _look(file, options)
    except DataError:
        return None  # another table may be the one; what is wrong with this one matters only if none is
    folder = PurePosixPath(file.names[0]).parent.as_posix()
    best, best_share, alone = "", 0.0, False
    for name, column in sample.by_column():
        cells = _cells(column)
        if not cells or options.path_column not in ("", name):
            continue
        names.by_file_name = _all_different(cells)
        met = {picture.name for cell in cells if (picture := names.look(cell, folder))}
        share = len(met) / len(cells)
        sure = any(map(_is_picture, cells)) or len(met) >= _MANY * min(len(names.pictures), _CELLS)
        if met and share > best_share and (options.path_column or (share >= _ENOUGH and sure)):
            best, best_share, alone = name, share, names.by_file_name
    if not best:
        return None
    codes = {finding.code for finding in choose_columns(sample, options, best)[1]}
    if not options.path_column and (codes & {"no-label"} or (in_folders and codes & {"label-guessed"})):
        return None
    names.by_file_name = alone
    return Listing(file, best, lambda cell: names.find(cell, folder), tuple(names.pictures))


def _look(file: TableFile, options: ImportOptions) -> TableSample:
    return take_sample(open_table(file, options, _LOOK), _LOOK)


def _cells(column: Iterable[str]) -> list[str]:
    """Return some of the different values of a column."""
    filled = dict.fromkeys(cell for cell in column if cell.strip() not in MISSING)
    return list(filled)[:_CELLS]


def _tidy(cell: str) -> str:
    name = unicodedata.normalize("NFC", cell.strip().replace("\\", "/"))
    return name.removeprefix("./")


def _is_picture(cell: str) -> bool:
    return "://" not in cell and PurePosixPath(_tidy(cell)).suffix.lower() in IMAGE_SUFFIXES


@dataclass
class _Names:
    """The pictures of a tree by all that a cell may call them; None where two are called the same.

    `by_file_name` says that a path counts by its file name alone, where its folders are not those of the tree.
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

    def look(self, cell: str, folder: str) -> ArchiveEntry | None:
        """Return the picture that a cell names, None where it names none or more than one."""
        name = _tidy(cell)
        if not name or len(name) > MAX_PATH or climbs(name):
            return None
        exact = self.paths.get(str(PurePosixPath(folder) / name)) or self.paths.get(name)
        if exact:
            return exact
        folded = name.casefold()
        if picture := self.ends.get(folded):
            return picture
        for end in _ends(folded):  # the table's paths may begin further up than those of the archive
            if "/" in folded and (picture := self.ends.get(end)) and picture.name.casefold() == end:
                return picture
        if self.by_file_name and (picture := self.ends.get(PurePosixPath(folded).name)):
            return picture
        return None if _is_picture(name) or "/" in name else self.stems.get(folded)

    def find(self, cell: str, folder: str) -> ArchiveEntry:
        """Return the picture that a cell names. Raises DataError, with the reason alone, where there is none."""
        picture = self.look(cell, folder)
        if picture:
            return picture
        name = _tidy(cell)
        if not name:
            raise DataError("it names no picture")
        if len(name) > MAX_PATH:
            raise DataError(_LONG)
        if climbs(name):
            raise DataError(_OUT)
        several = name.casefold() in self.ends or name.casefold() in self.stems
        raise DataError(f"several pictures are called {name}" if several else f"there is no picture {name}")


def _all_different(cells: list[str]) -> bool:
    """Return whether no two cells end in the same file name: train/1.png and test/1.png are told by their folders."""
    return len({PurePosixPath(_tidy(cell)).name.casefold() for cell in cells}) == len(cells)


def _ends(path: str) -> Iterator[str]:
    """Yield a path, and what is left of it without its first folder, its first two, and so on."""
    yield path
    while "/" in path:
        path = path.split("/", 1)[1]
        yield path


def _beside(root: Path, cell: str) -> Path | None:
    """Return the file that a cell names, None where there is none below the root."""
    name = _tidy(cell)
    if not name or len(name) > MAX_PATH or climbs(name):
        return None
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a character that no path has, a link to itself
        return None


def _find_beside(root: Path, cell: str) -> ArchiveEntry:
    name = _tidy(cell)
    path = _beside(root, cell)
    if path:
        return ArchiveEntry(name, path.stat().st_size, file_reader(path))
    if not name:
        raise DataError("it names no picture")
    if len(name) > MAX_PATH:
        raise DataError(_LONG)
    linked = (root / name).is_symlink() if not climbs(name) and "\0" not in name else False
    raise DataError(_OUT if climbs(name) or linked else f"there is no picture {name} beside the table")
