"""COCO annotations as a table: one row a picture, with the names of the categories that are marked in it.

Format: https://cocodataset.org/#format-data
"""

import json
from collections.abc import Iterator
from typing import Any

from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.tables.table_rows import Record, Table
from tl_core.errors import DataError

FILE, CATEGORY = "file_name", "category"
_HEAD = 2**16
_LARGEST = 512 * 2**20
_KEYS = ("images", "annotations", "categories")


def open_coco(file: TableFile) -> Table | None:
    """Return the table of COCO annotations; None where a file holds something else.

    Where no picture has several categories, a cell is a category; otherwise it is a list of them. A column holds the
    split where pictures name one.
    Raises DataError where the annotations are too large to be read at once.
    """
    head = file.head(_HEAD)
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or not any(
        f'"{key}"'.encode() in head for key in _KEYS
    ):
        return None
    with file.open() as stream:
        data = stream.read(_LARGEST + 1)
    if not all(f'"{key}"'.encode() in data for key in _KEYS):
        return None
    if len(data) > _LARGEST:
        raise DataError(f"{file.name} is larger than {_LARGEST // 2**20} MB.", "Give its annotations in parts.")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not all(_is_list_of_objects(value.get(key)) for key in _KEYS):
        return None
    kinds = _kinds(value)
    parted = any(image.get("split") for image in value["images"])
    several = any(len(names) > 1 for names in kinds.values())

    def records() -> Iterator[Record]:
        for number, image in enumerate(value["images"], start=1):
            names = kinds.get(str(image.get("id")), [])
            cell = json.dumps(names, ensure_ascii=False) if several else "".join(names)
            yield number, [str(image.get(FILE, "")), cell, *([str(image.get("split", ""))] if parted else [])]

    told = {"label": CATEGORY} | ({"separator": "[]"} if several else {})
    return Table(
        file.name, (FILE, CATEGORY, *(["split"] if parted else [])), records, n_rows=len(value["images"]), told=told
    )


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _kinds(value: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of the categories of each picture that has any, in their order of first mark."""
    names = {str(category.get("id")): str(category.get("name", "")) for category in value["categories"]}
    kinds: dict[str, list[str]] = {}
    for annotation in value["annotations"]:
        name = names.get(str(annotation.get("category_id")), "")
        found = kinds.setdefault(str(annotation.get("image_id")), [])
        if name and name not in found:
            found.append(name)
    return kinds
