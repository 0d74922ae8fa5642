"""Tables that list pictures: where it is guessed which table and column do. picture_names finds what a cell names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import NONE, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources.file_tree import MAX_PATH, ArchiveEntry, Tree, climbs, file_reader, strip_enclosing
from tl_core.data.sources.folder_layout import folder_splits, layout_of
from tl_core.data.sources.picture_names import HOW, OUTSIDE, TOO_LONG, PictureNames, is_picture_cell, tidy_cell
from tl_core.data.sources.store import Draft
from tl_core.data.sources.table_items import table_items
from tl_core.data.sources.tables import TableFile, TableSample, entry_table, open_table, split_tables, take_sample
from tl_core.data.sources.tables.column_guesses import choose_columns
from tl_core.data.sources.tables.column_roles import has_other_role
from tl_core.data.sources.tables.table_file import has_table_name
from tl_core.data.sources.tables.table_rows import MISSING, PART_ROWS
from tl_core.data.sources.tables.text_guess import guess_text_column
from tl_core.data.sources.voc import voc_table
from tl_core.errors import DataError, UnclearError
from tl_core.workspace import Limits

_SAMPLE_CHARS = 2**20  # characters of a table from which it is guessed whether it lists pictures
_CELLS = 500  # most different values of a column that are tried
_MOST_TABLES = 20
_MIN_SHARE = 0.2  # smallest share of a column's cells that name pictures, if it lists them
_MANY = 0.5  # share of the pictures that a column must name, if its cells have no suffix
_MOST = 0.5  # share of the pictures from which a table is the source of their labels


@dataclass(frozen=True)
class Listing:
    """A table, its column that names pictures, and the pictures of each file that the table is read from."""

    file: TableFile
    column: str
    names: tuple[PictureNames, ...]
    pictures: tuple[ArchiveEntry, ...]
    options: ImportOptions
    read_suffixes: frozenset[str] = IMAGE_SUFFIXES

    def find(self, cell: str, row: int) -> ArchiveEntry:
        """Return the picture that the cell of a row names. Raises DataError, with the bare reason as message."""
        return self.names[row // PART_ROWS].find(cell)

    @property
    def split_folders(self) -> str:
        """Return in words which folders name splits; "" where none does."""
        return "the folders of the pictures" if self._splits else ""

    def split(self, picture: str) -> str:
        """Return the split that the folders of a picture name, "" for none."""
        return self._splits.get(picture, "")

    @cached_property
    def _splits(self) -> dict[str, str]:
        if self.options.split_column == NONE:
            return {}
        paths = [picture.name for picture in self.pictures]
        shared = strip_enclosing(paths, 2)
        below = ["/".join(path.split("/")[shared:]) for path in paths]
        found = folder_splits(below, self.options)
        return {path: found[rest] for path, rest in zip(paths, below, strict=True) if rest in found}

    def skip_others(self, tree: Tree) -> None:
        """Skip the files of a tree that are neither the table nor pictures, with a receipt line each."""
        for entry in tree.entries:
            if entry.name not in self.file.names and entry.suffix not in self.read_suffixes:
                tree.skip(entry.name, "not a picture that can be read")

    def items(
        self, options: ImportOptions, draft: Draft, progress: OnProgress = no_progress
    ) -> tuple[Iterator[RawItem], int]:
        """Return an iterator over the listed pictures, and the number of rows.

        Pictures that no row names are skipped in the draft at the end. Raises DataError as `table_items` does.
        """
        items, total = table_items(self.file, options, draft, self.column, self, progress)
        return self._and_unlisted(items, draft), total

    def _and_unlisted(self, items: Iterable[RawItem], draft: Draft) -> Iterator[RawItem]:
        named = set()
        for item in items:
            named.add(item.id)
            yield item
        for picture in self.pictures:
            if picture.name not in named:  # the first item of a picture has its name
                draft.skip(picture.name, f"{self.file.name} gives it no label")
        for how in HOW[1:]:
            if n := sum(names.used[how] for names in self.names):
                draft.read(self.file.name, f"{n:,} of its rows name their pictures by {how}, not by the whole path")


def listing_of(tree: Tree, options: ImportOptions, limits: Limits) -> Listing | None:
    """Return the table of a tree that lists its pictures; None where none does, or where folders name the classes.

    Raises DataError where several tables do, and where the column that the options name does not; UnclearError where
    both a table and the folders could name the classes.
    """
    if texts_alone(options):
        return None
    pictures = [entry for entry in tree.entries if entry.suffix in IMAGE_SUFFIXES]
    tables = [entry for entry in tree.entries if has_table_name(entry.name)]
    if not pictures or options.folders:
        return None
    names = PictureNames(pictures)
    if not tables:
        annotations = voc_table(tree, limits)
        listing = _listing(annotations, names, options) if annotations else None
        return replace(listing, read_suffixes=IMAGE_SUFFIXES | {".xml"}) if listing else None
    by_name: dict[str, list[ArchiveEntry]] = {}
    for table in tables:
        by_name.setdefault(PurePosixPath(table.name).name, []).append(table)
    for group in (tables, *by_name.values()):
        if (joined := split_tables(group, limits)) and (listing := _listing(joined, names, options)):
            return listing
    found = (_listing(entry_table(table, limits), names, options) for table in tables[:_MOST_TABLES])
    listings = [listing for listing in found if listing]
    if len(listings) > 1:
        named = ", ".join(listing.file.name for listing in listings[:3])
        hint = "Join them, or name them train, validation and test: tables with the same columns are then joined."
        raise DataError(f"{len(listings):,} tables list the pictures ({named}), and only one can be read.", hint)
    if listings:
        return listings[0]
    if options.path_column:
        raise DataError(
            f"No cell of the column {options.path_column!r} names an existing picture.",
            "Choose the column that holds the file names.",
        )
    return None


@dataclass(frozen=True)
class Beside:
    """A table in a file of its own, and its column that names pictures in its folder or below."""

    file: TableFile
    column: str
    root: Path

    def find(self, cell: str, row: int) -> ArchiveEntry:
        """Return the picture that the cell of a row names. Raises DataError, with the bare reason as message."""
        return _find_beside(self.root, cell)

    @property
    def split_folders(self) -> str:
        """Return "": which folders there are is not known."""
        return ""

    def split(self, picture: str) -> str:
        """Return "": which folders there are is not known."""
        return ""

    def items(
        self, options: ImportOptions, draft: Draft, progress: OnProgress = no_progress
    ) -> tuple[Iterator[RawItem], int]:
        """Return an iterator over the listed pictures, and the number of rows. Raises DataError as `table_items`."""
        return table_items(self.file, options, draft, self.column, self, progress)


def listing_beside(file: TableFile, folder: Path, options: ImportOptions) -> Beside | None:
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
        (n, c) for n, c in columns if (c and sum(map(is_picture_cell, c)) >= len(c) / 2) or n == options.path_column
    ]
    for name, cells in candidates:
        if options.path_column in ("", name) and any(_beside(root, cell) for cell in cells):
            return Beside(file, name, root)
    for name, cells in candidates:
        if name == (options.path_column or guess_text_column(sample, options.label_column)):
            outside = next((cell for cell in cells if climbs(tidy_cell(cell))), "")
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


def _listing(file: TableFile, names: PictureNames, options: ImportOptions) -> Listing | None:
    """Return the listing of a table; None where it lists no pictures or says nothing about their classes."""
    try:
        sample = _take_sample(file, options)
    except DataError:
        return None  # another table may list the pictures; what is wrong with this one matters only if none does
    parts = _of_parts(file, names)
    best, best_match = "", (False, 0, 0.0)
    for name in sample.columns:
        if options.path_column in ("", name) and (match := _match(sample, name, parts, options)) > best_match:
            best, best_match = name, match
    if not best:
        return None
    for part, cells in zip(parts, _cells_of_parts(sample, best, len(parts)), strict=True):
        part.for_column(cells)
    listing = Listing(file, best, parts, tuple(names.pictures), options)
    if not options.path_column and not _says_classes(listing, sample, options):
        return None
    for part, column in zip(parts, _all_cells(file, options, best, len(parts)), strict=True):
        part.for_column(column)
    return listing


def _all_cells(file: TableFile, options: ImportOptions, column: str, n: int) -> list[dict[str, None]]:
    """Return all different cells of a column, in order, of each of the `n` files that the table is read from."""
    table = open_table(file, options)
    place = table.place(column)
    cells: list[dict[str, None]] = [{} for _ in range(n)]
    for number, row in table.rows():
        if row[place].strip() not in MISSING:
            cells[number // PART_ROWS][row[place]] = None
    return cells


def _of_parts(file: TableFile, names: PictureNames) -> tuple[PictureNames, ...]:
    """Return the pictures that each file of a table can name: of a table for each folder, those in its folder."""
    folders = [PurePosixPath(name).parent.as_posix() for name in file.names]
    if len(set(folders)) < len(folders):
        return tuple(PictureNames(names.pictures, folder) for folder in folders)
    if len(folders) == 1:
        return (PictureNames(names.pictures, folders[0]),)
    return tuple(PictureNames([p for p in names.pictures if p.name.startswith(f"{f}/")], f) for f in folders)


def _cells_of_parts(sample: TableSample, column: str, n: int) -> list[list[str]]:
    """Return the first different cells of a column, of each file that the table is read from."""
    cells = sample.column(column)
    if n == 1:
        return [_cells(cells)]
    part_of = [split for _, split in sample.table.parts]
    at = [part_of.index(split) for split in sample.column(sample.table.joined)]
    return [_cells(cell for cell, place in zip(cells, at, strict=True) if place == part) for part in range(n)]


def _match(
    sample: TableSample, column: str, parts: tuple[PictureNames, ...], options: ImportOptions
) -> tuple[bool, int, float]:
    """Return how well a column names pictures: mostly or not, how surely, the share of its cells; all 0 for not."""
    n_cells, matched, worst, suffixes = 0, set(), 0, False
    for names, cells in zip(parts, _cells_of_parts(sample, column, len(parts)), strict=True):
        names.for_column(cells)
        n_cells += len(cells)
        suffixes = suffixes or any(map(is_picture_cell, cells))
        for cell in cells:
            if found := names.match(cell):
                matched.add(found[0].name)
                worst = max(worst, HOW.index(found[1]))
    n_pictures = sum(len(names.pictures) for names in _different(parts))
    share = len(matched) / n_cells if n_cells else 0.0
    sure = suffixes or len(matched) >= _MANY * min(n_pictures, _CELLS)
    if not matched or not (options.path_column or (share >= _MIN_SHARE and sure)):
        return False, 0, 0.0
    return share >= _MOST, len(HOW) - worst, share


def _different(parts: tuple[PictureNames, ...]) -> list[PictureNames]:
    """Return the parts with different pictures."""
    return list({id(part.pictures): part for part in parts}.values())


def _says_classes(listing: Listing, sample: TableSample, options: ImportOptions) -> bool:
    """Return whether a table, and not the folders, says the classes of the pictures it lists.

    Raises UnclearError where both could: no column has a name for labels, and the pictures lie in class folders.
    """
    columns, findings = choose_columns(sample, options, listing.column)
    if any(finding.code == "no-label" for finding in findings):
        return False
    if columns.label_sure in ("told", "name"):
        return True
    if columns.label and has_other_role(columns.label):  # a width or a date is no class
        return False
    classes = _folder_classes(listing, options)
    if not classes:
        return True
    cells = sample.column(listing.column)[:_CELLS]
    found = {m[0].name for cell in cells for names in listing.names if (m := names.match(cell))}
    if len(found) < _MOST * min(len(listing.pictures), _CELLS):
        return False
    if columns.label and set(sample.column(columns.label)) - MISSING == set(classes.values()):
        return False  # the folders say the same
    label = columns.label or columns.label_columns[0]
    raise UnclearError(
        f"The pictures lie in folders, and {listing.file.name} says more about them, in {label!r}: either could be "
        "their class.",
        f"Say which: --label-column {label!r}, or --folders class.",
    )


def _folder_classes(listing: Listing, options: ImportOptions) -> dict[str, str]:
    """Return the class that the folders name for each picture; {} where they name none."""
    paths = [picture.name for picture in listing.pictures if "/" in picture.name]
    shared = strip_enclosing(paths, 2)
    below = ["/".join(path.split("/")[shared:]) for path in paths]
    if len({path.rsplit("/", 1)[0] for path in below}) < 2:
        return {}
    guess = layout_of(below, options)
    classes = {}
    for path in below if not guess.question else ():
        try:
            classes[path] = guess.layout.place(path)[0]
        except DataError:
            continue
    return classes if len(set(classes.values())) > 1 else {}


def _take_sample(file: TableFile, options: ImportOptions) -> TableSample:
    return take_sample(open_table(file, options, _SAMPLE_CHARS), _SAMPLE_CHARS)


def _cells(column: Iterable[str]) -> list[str]:
    """Return the first different values of a column."""
    filled = dict.fromkeys(cell for cell in column if cell.strip() not in MISSING)
    return list(filled)[:_CELLS]


def _beside(root: Path, cell: str) -> Path | None:
    """Return the file below the root that a cell names, None where there is none."""
    name = tidy_cell(cell)
    if not name or len(name) > MAX_PATH or climbs(name):
        return None
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # an invalid character, or a link to itself
        return None


def _find_beside(root: Path, cell: str) -> ArchiveEntry:
    name = tidy_cell(cell)
    path = _beside(root, cell)
    if path:
        return ArchiveEntry(name, path.stat().st_size, file_reader(path))
    if not name:
        raise DataError("it names no picture")
    if len(name) > MAX_PATH:
        raise DataError(TOO_LONG)
    linked = (root / name).is_symlink() if not climbs(name) and "\0" not in name else False
    raise DataError(OUTSIDE if climbs(name) or linked else f"there is no picture {name} beside the table")
