"""The one place where items become a data set on disk: whole or not at all, under a fingerprint of their content."""

import hashlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from tl_core.data.dataset import COLUMNS, OPTIONAL, Dataset, Receipt, ReceiptLine
from tl_core.data.images import Normalised, normalise
from tl_core.data.options import Progress, RawItem
from tl_core.data.sources.text import decode, tidy
from tl_core.errors import DataError, WorkspaceError
from tl_core.types import Modality
from tl_core.workspace import Limits, Workspace, new_folder, sweep

_REPORT_EVERY = 0.1  # seconds


@dataclass
class Draft:
    """What is known of a data set before its items are read."""

    name: str
    source: str
    modality: Modality
    lines: list[ReceiptLine] = field(default_factory=list)
    text_column: str = ""
    subgroup_column: str = ""

    def skip(self, item: str, reason: str) -> None:
        """Write down that `item` was left out."""
        self.lines.append(ReceiptLine(item, "skipped", reason))

    def convert(self, item: str, reason: str) -> None:
        """Write down that `item` was taken in another form."""
        self.lines.append(ReceiptLine(item, "converted", reason))


def store(
    items: Iterable[RawItem], draft: Draft, workspace: Workspace, progress: Progress, total: int | None = None
) -> Dataset:
    """Read every item, keep what can be read, and return the data set as it lies in the workspace.

    `total` is how many items come, where `items` has no length and it is known; progress then tells it.
    The same content gives the same fingerprint, and then the folder that is there already, under the newer name.
    Raises DataError where nothing can be read, and WorkspaceError where the disk is full.
    """
    root = workspace.folder("datasets")
    sweep(root, ".*.part")
    with _staging(root) as part:
        rows = list(_read(_counted(items, total, draft, progress), draft, part, workspace.limits))
        if not rows:
            raise DataError(f"Nothing in {draft.source} can be read.", _why(draft.lines))
        multilabel = any("labels" in row for row in rows)
        classes = _number_labels(rows, multilabel)
        fingerprint = _fingerprint(draft.modality, classes, rows)
        receipt = Receipt(draft.source, len(rows), tuple(draft.lines))
        final = root / fingerprint
        dataset = Dataset(
            *(final, fingerprint, draft.name, draft.modality, classes, receipt),
            text_column=draft.text_column, multilabel=multilabel, subgroup_column=draft.subgroup_column,
        )  # fmt: skip
        if final.exists():
            dataset = replace(dataset, split=Dataset.open(final).split)
        else:
            with new_folder(final) as folder, _disk_errors():
                for name in os.listdir(part):
                    os.replace(part / name, folder / name)
                pd.DataFrame(rows).to_parquet(folder / "manifest.parquet", index=False)
                replace(dataset, folder=folder).save()
        dataset.save()
    return Dataset.open(final)


def _number_labels(rows: list[dict[str, Any]], multilabel: bool) -> tuple[str, ...]:
    """Put class indices in the place of names, and return the classes.

    Where items may have several labels, `label` becomes the rarest of them, the number of classes where it has none.
    """
    if not multilabel:
        classes = sort_classes({row["label"] for row in rows})
        index = {name: i for i, name in enumerate(classes)}
        for row in rows:
            row["label"] = index[row["label"]]
        return classes
    counts = Counter(name for row in rows for name in row["labels"])
    classes = sort_classes(counts)
    index = {name: i for i, name in enumerate(classes)}
    for row in rows:
        rarest = min(row["labels"], key=lambda name: (counts[name], index[name]), default=None)
        row["label"] = len(classes) if rarest is None else index[rarest]
        row["labels"] = sorted(index[name] for name in row["labels"])
    return classes


def sort_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in the order that a person expects: numbers by value, words by the alphabet."""
    names = list(names)
    try:
        return tuple(sorted(names, key=lambda n: (float(n), n)))
    except ValueError:
        return tuple(sorted(names, key=lambda n: (n.casefold(), n)))


def stored_name(data: bytes, picture: Normalised) -> str:
    """Return the file name under which a picture is stored: by the content that it had in the source."""
    return hashlib.sha256(data).hexdigest()[:32] + picture.suffix


def _counted(items: Iterable[RawItem], total: int | None, draft: Draft, progress: Progress) -> Iterator[RawItem]:
    """Yield the items and report how many have gone by, of how many there are (0 where nobody knows)."""
    stage = "Reading pictures" if draft.modality == "image" else "Reading texts"
    total = (len(items) if isinstance(items, Sized) else 0) if total is None else total
    reported, done = 0.0, 0
    for item in items:
        if time.monotonic() - reported > _REPORT_EVERY:
            progress(stage, done, max(total, done) if total else 0)
            reported = time.monotonic()
        yield item
        done += 1
    progress(stage, done, done)


def _read(items: Iterable[RawItem], draft: Draft, folder: Path, limits: Limits) -> Iterator[dict[str, Any]]:
    """Yield a manifest row for each item that can be read; write images to `folder`."""
    make = _image_row if draft.modality == "image" else _text_row
    if draft.modality == "image":
        (folder / "images").mkdir()
    for item in items:
        try:
            values = make(item, draft, folder, limits)
        except DataError as error:
            draft.skip(item.id, error.message)
            continue
        common = {"id": item.id, "path": "", "text": "", "label": item.label, "given": item.given, "group": item.group}
        optional = {name: getattr(item, name) for name, none in OPTIONAL.items() if getattr(item, name) is not none}
        several = {} if item.labels is None else {"labels": tuple(dict.fromkeys(item.labels))}
        yield dict.fromkeys(COLUMNS) | common | values | several | optional


def _image_row(item: RawItem, draft: Draft, folder: Path, limits: Limits) -> dict[str, Any]:
    assert item.read is not None
    data = item.read()
    picture = normalise(data, limits)
    for change in picture.changes:
        draft.convert(item.id, change)
    digest = hashlib.sha256(data).hexdigest()
    path = f"images/{stored_name(data, picture)}"
    with _disk_errors():
        (folder / path).write_bytes(picture.data)
    size = {"width": picture.width, "height": picture.height}
    return {"path": path, "digest": digest, **size, "look": picture.look}


def _text_row(item: RawItem, draft: Draft, folder: Path, limits: Limits) -> dict[str, Any]:
    text, change = tidy(decode(item.read())[0] if item.read else item.text, limits.cell)
    if change:
        draft.convert(item.id, change)
    return {"text": text, "digest": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}


def _fingerprint(modality: str, classes: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    """Hash everything that a split or a feature can depend on, in the order of the manifest."""
    hasher = hashlib.sha256(repr((modality, classes)).encode())
    for row in rows:
        more = tuple(row[name] for name in ("labels", *OPTIONAL) if name in row)
        hasher.update(repr((row["digest"], row["label"], row["given"], row["group"], *more)).encode())
    return hasher.hexdigest()[:20]


def _why(lines: list[ReceiptLine]) -> str:
    first = next((line for line in lines if line.action == "skipped"), None)
    return f"For example {first.item}: {first.reason}." if first else "Check that the files are where they should be."


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    with _disk_errors():
        part = Path(tempfile.mkdtemp(prefix=".import-", suffix=".part", dir=root))
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"The data could not be copied into the workspace ({error.strerror}).",
            "Check the free space of the workspace folder.",
        ) from error
