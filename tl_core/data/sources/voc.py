"""Pascal VOC annotations: an XML file a picture, with the names of the objects in it; read as COCO annotations are.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/
"""

import html
import io
import json
import re
from pathlib import PurePosixPath

from tl_core.data.sources.file_tree import ArchiveEntry, Tree
from tl_core.data.sources.split_names import guess_split
from tl_core.data.sources.tables import TableFile
from tl_core.errors import DataError
from tl_core.workspace import Limits

_LARGEST = 2**20  # bytes of the annotations of one picture
_FILE = re.compile(r"<filename>\s*([^<]+?)\s*</filename>")
_NAME = re.compile(r"<object\b.*?<name>\s*([^<]*?)\s*</name>", re.DOTALL)


def voc_table(tree: Tree, limits: Limits) -> TableFile | None:
    """Return the annotations of a tree as one table; None where it has none.

    Lists of names such as ImageSets/Main/train.txt give the split.
    """
    files = [entry for entry in tree.entries if entry.suffix == ".xml"]
    found = [(entry, read) for entry in files if (read := _read(entry)) is not None]
    if not found:
        return None
    kinds = sorted({name for _, (_, names) in found for name in names})
    splits = _splits(tree)
    images, marks = [], []
    for number, (entry, (file, names)) in enumerate(found):
        stem = PurePosixPath(entry.name).stem
        part = {"split": splits[stem]} if stem in splits else {}
        images.append({"id": number, "file_name": file or f"{stem}.jpg", **part})
        marks += [{"image_id": number, "category_id": kinds.index(name)} for name in names]
    categories = [{"id": number, "name": name} for number, name in enumerate(kinds)]
    text = json.dumps({"images": images, "annotations": marks, "categories": categories}).encode()
    folder = PurePosixPath(found[0][0].name).parent
    return TableFile((folder / "annotations.json").as_posix(), lambda: io.BytesIO(text), limits)


def _read(entry: ArchiveEntry) -> tuple[str, list[str]] | None:
    """Return the picture that an XML file is about and the names of its objects, None where it is about none."""
    if entry.size > _LARGEST:
        return None
    try:
        text = entry.read().decode("utf-8", "replace")
    except DataError:
        return None
    if "<annotation" not in text:
        return None
    file = _FILE.search(text)
    return html.unescape(file[1]) if file else "", [html.unescape(name) for name in _NAME.findall(text) if name]


def _splits(tree: Tree) -> dict[str, str]:
    """Return the split of each name in the lists of names that are called after splits."""
    splits: dict[str, str] = {}
    for entry in tree.entries:
        split = guess_split(PurePosixPath(entry.name).stem)
        if entry.suffix == ".txt" and split and "ImageSets" in entry.name.split("/") and entry.size <= 32 * _LARGEST:
            names = (line.split()[0] for line in entry.read().decode("utf-8", "replace").splitlines() if line.strip())
            splits |= dict.fromkeys(names, split)
    return splits
