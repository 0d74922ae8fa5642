"""Class folders, of pictures or of text files, with or without train, validation and test above them."""

from pathlib import PurePosixPath

from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import RawItem
from tl_core.data.sources.file_tree import ARCHIVE_SUFFIXES, ArchiveEntry, Tree, without_enclosing
from tl_core.errors import DataError
from tl_core.types import Modality

TEXT_SUFFIXES = frozenset({".txt", ".text"})
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trainset", "train_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "test_set"), "test"),
}
_HINT = "Put the files of each class into a folder of its own, named after the class."


def modality_of(tree: Tree) -> Modality | None:
    """Return what most files of a tree are, None where there is neither a picture nor a text file."""
    images = sum(e.suffix in IMAGE_SUFFIXES for e in tree.entries)
    texts = sum(e.suffix in TEXT_SUFFIXES for e in tree.entries)
    if images == texts == 0:
        return None
    return "image" if images >= texts else "text"


def class_folders(tree: Tree, modality: Modality, source: str) -> list[RawItem]:
    """Return the items of a tree of class folders; what lies elsewhere is written to the tree's lines.

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
    items = _split_items(tree, deep) if _has_splits(deep) else [_item(e, "", 0) for e in deep]
    _name_empty_classes(tree, items)
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
    return SPLIT_NAMES.get(PurePosixPath(entry.name).parts[0].lower(), "")


def _has_splits(entries: list[ArchiveEntry]) -> bool:
    """Return whether the outermost folders are splits: a train with class folders inside, and another one."""
    named = {_split_of(e) for e in entries} - {""}
    return len(named) > 1 and any(_split_of(e) == "train" and e.name.count("/") > 1 for e in entries)


def _split_items(tree: Tree, entries: list[ArchiveEntry]) -> list[RawItem]:
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


def _name_empty_classes(tree: Tree, items: list[RawItem]) -> None:
    """Write down folders at the depth of classes that hold nothing to read."""
    used = {str(parent) for item in items for parent in PurePosixPath(item.id).parents}
    for folder in sorted(tree.folders - used):
        if str(PurePosixPath(folder).parent) in used | {"."}:
            tree.skip(f"{folder}/", "the folder holds nothing that can be read")
