"""A folder, or a zip or tar archive that is read like one: class folders, one table, or a table that lists pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tl_core.data.dataset import Dataset
from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources.file_tree import (
    ARCHIVE_SUFFIXES,
    ArchiveEntry,
    Tree,
    list_folder,
    strip_enclosing,
    without_enclosing,
)
from tl_core.data.sources.image_listing import listing_of, texts_alone
from tl_core.data.sources.local_files import WHAT_TO_GIVE, display_name, is_table, source_path
from tl_core.data.sources.source import Source
from tl_core.data.sources.split_names import guess_split
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.table_items import preview_file, table_items
from tl_core.data.sources.table_preview import TablePreview
from tl_core.data.sources.tables import TableFile, best_tables, entry_table, split_tables
from tl_core.data.sources.tar_archive import is_tar, open_tar
from tl_core.data.sources.zip_archive import open_zip
from tl_core.errors import DataError
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
        yield list_folder(path, limits)
    elif is_tar(path):
        with open_tar(path, limits, cache, progress) as tree:
            yield tree
    else:
        with open_zip(path, limits) as tree:
            yield tree


def _takes(source: str) -> bool:
    return not is_table(source_path(source))


def _preview(source: str, options: ImportOptions, limits: Limits) -> TablePreview | None:
    path = source_path(source)
    with open_tree(path, limits) as tree:
        table = only_table(tree, limits, texts_alone(options))
        if table:
            return preview_file(table, options)
        listing = listing_of(tree, options, limits) if modality_of(tree) == "image" else None
        return preview_file(listing.file, options, listing.column) if listing else None


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
        files = class_folders(tree, modality, path.name)
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


def class_folders(tree: Tree, modality: Modality, source: str) -> list[RawItem]:
    """Return the items of a tree of class folders. Files elsewhere are skipped, with a line in the tree.

    Raises DataError where no file lies in a class folder.
    """
    entries = _of_modality(tree, modality)
    deep = [e for e in entries if "/" in e.name]
    if not deep:
        noun = "pictures" if modality == "image" else "text files"
        raise DataError(f"The {noun} in {source} are not sorted into classes.", _HINT)
    shallow = [e for e in entries if "/" not in e.name]
    for entry in shallow:
        tree.skip(entry.name, "it lies in no class folder")
    deep = without_enclosing(tree, deep, depth=2)
    items = _items_of_splits(tree, deep) if _has_splits(deep) else [_item(e, "", 0) for e in deep]
    _skip_empty_classes(tree, items)
    return items


def _of_modality(tree: Tree, modality: Modality) -> list[ArchiveEntry]:
    wanted, noun = (IMAGE_SUFFIXES, "a picture") if modality == "image" else (TEXT_SUFFIXES, "a text file")
    for entry in tree.entries:
        if entry.suffix not in wanted:
            archive = entry.suffix in ARCHIVE_SUFFIXES
            reason = "an archive inside; unpack it first" if archive else f"not {noun} that can be read"
            tree.skip(entry.name, reason)
    return [e for e in tree.entries if e.suffix in wanted]


def _split_of(entry: ArchiveEntry) -> str:
    return guess_split(PurePosixPath(entry.name).parts[0])


def _has_splits(entries: list[ArchiveEntry]) -> bool:
    """Return whether the outermost folders are splits: train with class folders inside, and at least one other."""
    splits = {_split_of(e) for e in entries} - {""}
    return len(splits) > 1 and any(_split_of(e) == "train" and e.name.count("/") > 1 for e in entries)


def _items_of_splits(tree: Tree, entries: list[ArchiveEntry]) -> list[RawItem]:
    items = []
    for entry in entries:
        split = _split_of(entry)
        if not split:
            tree.skip(entry.name, "it lies outside the folders train, validation and test")
        elif len(PurePosixPath(entry.name).parts) < 3:
            tree.skip(entry.name, "it lies in no class folder")
        else:
            items.append(_item(entry, split, 1))
    return items


def _item(entry: ArchiveEntry, split: str, depth: int) -> RawItem:
    folder = PurePosixPath(entry.name).parts[depth]
    return RawItem(entry.name, folder.strip() or folder, split, read=entry.read)


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
