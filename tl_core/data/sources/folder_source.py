"""A folder, or a zip or tar archive that is read like one: class folders, one table, or a table that lists pictures."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tl_core.data.dataset import Dataset, Origin
from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import AUTO_DETECT, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources.file_tree import (
    ARCHIVE_SUFFIXES,
    ArchiveEntry,
    Tree,
    list_folder,
    name_pictures,
    strip_enclosing,
    without_enclosing,
)
from tl_core.data.sources.folder_layout import NO_CLASS, Layout, LayoutGuess, classes_of_names, hint_of, layout_of
from tl_core.data.sources.image_listing import listing_of, texts_alone
from tl_core.data.sources.local_files import WHAT_TO_GIVE, display_name, is_table, source_path
from tl_core.data.sources.source import Source
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.table_items import preview_file, table_items
from tl_core.data.sources.table_preview import MOST_CLASSES, FolderPreview, FolderWay, Preview
from tl_core.data.sources.tables import TableFile, best_tables, entry_table, split_tables
from tl_core.data.sources.tar_archive import is_tar, open_tar
from tl_core.data.sources.zip_archive import open_zip
from tl_core.errors import DataError, UnclearError
from tl_core.types import Modality
from tl_core.workspace import Limits, Workspace

TEXT_SUFFIXES = frozenset({".txt", ".text"})
_HINT = "Put the files of each class into a folder of its own, named after the class."


@contextmanager
def open_tree(
    path: Path, limits: Limits, cache: Path | None = None, progress: OnProgress = no_progress
) -> Iterator[Tree]:
    """List a folder, a zip or a tar archive; its entries can be read inside the block.

    A compressed tar can only be read in order, so its files are copied to an unnamed temporary file in the folder
    `cache`. Without that folder only its tables can be read.
    Raises DataError where the archive is damaged, empty, protected by a password, or larger than the limits.
    """
    if path.is_dir():
        yield name_pictures(list_folder(path, limits))
    elif is_tar(path):
        with open_tar(path, limits, cache, progress) as tree:
            yield name_pictures(tree)
    else:
        with open_zip(path, limits) as tree:
            yield name_pictures(tree)


def _takes(source: str) -> bool:
    return not is_table(source_path(source))


def _preview(source: str, options: ImportOptions, limits: Limits) -> Preview | None:
    path = source_path(source)
    with open_tree(path, limits) as tree:
        table = only_table(tree, limits, texts_alone(options))
        if table:
            return preview_file(table, options)
        modality = modality_of(tree)
        listing = listing_of(tree, options, limits) if modality == "image" else None
        if listing:
            return preview_file(listing.file, options, listing.column)
        return _preview_folders(tree, modality, path.name, options) if modality else None


def _preview_folders(tree: Tree, modality: Modality, source: str, options: ImportOptions) -> FolderPreview | None:
    """Return the ways to read the folders of a tree; None where there is one."""
    with suppress(DataError):  # the import says what is wrong
        entries, guess = _sorted_files(tree, modality, source, options)
        if guess.choices:
            names = [entry.name for entry in entries]
            ways = tuple(_way(names, options, *choice) for choice in guess.choices)
            return FolderPreview(ways, guess.question)
    return None


def _way(names: list[str], options: ImportOptions, said: ImportOptions, title: str) -> FolderWay:
    """Return what the classes and splits are where the folders of some paths are read in one way."""
    told = replace(options, folders=said.folders, split_names=said.split_names)
    layout, placed = layout_of(names, told).layout, []
    for name in names:
        with suppress(DataError):
            placed.append(layout.place(name))
    classes = sorted({label for label, _, _ in placed})
    splits = Counter(split for _, split, _ in placed if split)
    return FolderWay(told, title, tuple(classes[:MOST_CLASSES]), len(classes), tuple(splits.items()))


def _load(source: str, workspace: Workspace, options: ImportOptions, progress: OnProgress) -> Dataset:
    path = source_path(source)
    progress("Listing files", 0, 0)
    with open_tree(path, workspace.limits, workspace.folder("cache"), progress) as tree:
        table = only_table(tree, workspace.limits, texts_alone(options))
        modality = "text" if table else modality_of(tree)
        if modality is None:
            raise _nothing(tree, path.name)
        draft = Draft(options.name or display_name(path), path.name, modality)
        if table:
            draft.lines += [line for line in tree.lines if line.item not in table.names]
            items, total = table_items(table, options, draft, progress=progress)
            return store(items, draft, workspace, progress, total)
        if modality == "image" and (listing := listing_of(tree, options, workspace.limits)):
            listing.skip_others(tree)
            draft.lines += tree.lines
            items, total = listing.items(options, draft, progress)
            return store(items, draft, workspace, progress, total)
        files = class_folders(tree, modality, path.name, options, draft.origins)
        draft.lines += tree.lines
        return store(files, draft, workspace, progress)


FOLDER = Source("a folder, a zip or a tar archive", _takes, _preview, _load)


def only_table(tree: Tree, limits: Limits, beside_pictures: bool = False) -> TableFile | None:
    """Return the one table of a tree without pictures and class folders of texts, None otherwise.

    One table per split (train.csv, test.csv) counts as one. With `beside_pictures`, pictures do not matter.
    """
    tables = best_tables(tree.entries)
    texts = [e.name for e in tree.entries if e.suffix in TEXT_SUFFIXES]
    shared = strip_enclosing([*texts, *(e.name for e in tables)], 1)
    sorted_texts = any(name.count("/") > shared for name in texts)
    if sorted_texts or (modality_of(tree) == "image" and not beside_pictures):
        return None
    return entry_table(tables[0], limits) if len(tables) == 1 else split_tables(tree.entries, limits)


def modality_of(tree: Tree) -> Modality | None:
    """Return whether most files of a tree are pictures or texts; None where there are neither."""
    images = sum(e.suffix in IMAGE_SUFFIXES for e in tree.entries)
    texts = sum(e.suffix in TEXT_SUFFIXES for e in tree.entries)
    if images == texts == 0:
        return None
    return "image" if images >= texts else "text"


def class_folders(
    tree: Tree,
    modality: Modality,
    source: str,
    options: ImportOptions = AUTO_DETECT,
    origins: list[Origin] | None = None,
) -> list[RawItem]:
    """Return the items of a tree of class folders. Files elsewhere are skipped, with a line in the tree.

    What the folders mean is added to `origins`. Raises DataError where no file lies in a class folder, and UnclearError
    where it is not clear what the folders mean.
    """
    entries, guess = _sorted_files(tree, modality, source, options)
    if guess.question:
        raise UnclearError(guess.question, hint_of(guess.choices))
    items = []
    for entry in entries:
        try:
            label, split, group = guess.layout.place(entry.name)
        except DataError as error:
            tree.skip(entry.name, error.message)
            continue
        items.append(RawItem(entry.name, label, split, group, read=entry.read))
    if not items:
        raise DataError(f"No file of {source} lies where the folders {guess.layout.pattern} say.", _HINT)
    _skip_empty_classes(tree, items)
    if origins is not None:
        origins += _origins(guess, items)
    return items


def _sorted_files(
    tree: Tree, modality: Modality, source: str, options: ImportOptions
) -> tuple[list[ArchiveEntry], LayoutGuess]:
    """Return the files of a tree below its enclosing folder, and what the folders mean. Others are skipped."""
    entries = _of_modality(tree, modality)
    if options.folders == "name":
        return entries, LayoutGuess(Layout(("name",)))
    deep = [e for e in entries if "/" in e.name]
    if not deep:
        noun = "pictures" if modality == "image" else "text files"
        named = classes_of_names([e.name for e in entries])
        hint = f"If their names begin with the class ({', '.join(named[:3])}), say --folders name." if named else _HINT
        raise DataError(f"The {noun} in {source} are not sorted into classes.", hint)
    for entry in entries:
        if "/" not in entry.name:
            tree.skip(entry.name, NO_CLASS)
    deep = without_enclosing(tree, deep, depth=2)
    return deep, layout_of([e.name for e in deep], options)


def _origins(guess: LayoutGuess, items: list[RawItem]) -> Iterator[Origin]:
    """Yield what the folders were read as."""
    layout = guess.layout
    others = tuple(f"--folders {o.folders}: {m}" for o, m in guess.choices if o.folders != layout.pattern and o.folders)
    ways = f"other ways to read it: {'; '.join(others)}" if others else ""
    yield Origin("label", f"the {layout.where('name' if 'name' in layout.levels else 'class')}", note=ways)
    if "split" in layout.levels:
        named = ", ".join(f"{name} ({split})" for name, split in sorted(layout.splits.items()))
        yield Origin("split", f"the {layout.where('split')}: {named}")
    if "group" in layout.levels:
        n = len({item.group for item in items if item.group})
        yield Origin("group", f"the {layout.where('group')}", note=f"items of each of the {n:,} stay together")


def _of_modality(tree: Tree, modality: Modality) -> list[ArchiveEntry]:
    wanted, noun = (IMAGE_SUFFIXES, "a picture") if modality == "image" else (TEXT_SUFFIXES, "a text file")
    for entry in tree.entries:
        if entry.suffix not in wanted:
            archive = entry.suffix in ARCHIVE_SUFFIXES
            reason = "an archive inside; unpack it first" if archive else f"not {noun} that can be read"
            tree.skip(entry.name, reason)
    return [e for e in tree.entries if e.suffix in wanted]


def _skip_empty_classes(tree: Tree, items: list[RawItem]) -> None:
    """Add a receipt line for each class folder without a readable file."""
    used = {str(parent) for item in items for parent in PurePosixPath(item.id).parents}
    for folder in sorted(tree.folders - used):
        if str(PurePosixPath(folder).parent) in used | {"."}:
            tree.skip(f"{folder}/", "the folder holds nothing that can be read")


def _nothing(tree: Tree, source: str) -> DataError:
    """Return why a tree without pictures and texts is no data set: several tables, a nested archive, or nothing."""
    tables = [e.name for e in best_tables(tree.entries)]
    if len(tables) > 1:
        named = ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
        hint = (
            "Give one of them, or name them train, validation and test: tables with the same columns are then joined."
        )
        return DataError(f"There are {len(tables):,} tables in {source} ({named}), and only one can be read.", hint)
    inner = next((e.name for e in tree.entries if e.suffix in ARCHIVE_SUFFIXES), "")
    if inner:
        return DataError(
            f"{source} holds another archive, {inner}, and nothing else that can be read.",
            f"Unpack {source}, and give {PurePosixPath(inner).name} itself.",
        )
    return DataError(f"There is nothing in {source} that can be read as pictures, texts or a table.", WHAT_TO_GIVE)
