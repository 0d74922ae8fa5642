"""Stores items as a data set on disk, complete or not at all, under a fingerprint of their content."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tl_core.data.dataset import RECEIPT, Dataset, Origin, ReceiptLine
from tl_core.data.images import NormalisedPicture, normalise
from tl_core.data.options import OnProgress, RawItem
from tl_core.data.sources.manifest import ManifestWriter, ReceiptWriter, disk_errors, utf8
from tl_core.data.sources.text_encoding import decode, tidy
from tl_core.errors import DataError
from tl_core.types import PARTS, Modality, Part
from tl_core.workspace import Limits, Workspace, new_folder, sweep

NOUNS: dict[Modality, str] = {"image": "pictures", "text": "texts", "multimodal": "pictures with texts"}
_REPORT_EVERY = 0.1  # seconds
_STAGING = ".import-"
_UNLOCKED = 60  # seconds in which a new folder may not be locked yet


@dataclass
class Draft:
    """What is known of a data set before its items are read, and the receipt lines so far."""

    name: str
    source: str
    modality: Modality
    lines: list[ReceiptLine] = field(default_factory=list)
    text_column: str = ""
    subgroup_column: str = ""
    path_column: str = ""
    origins: list[Origin] = field(default_factory=list)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What an item consists of: a picture, a text, or both."""
        return PARTS[self.modality]

    def skip(self, item: str, reason: str) -> None:
        """Add a receipt line that `item` was skipped."""
        self.lines.append(ReceiptLine(item, "skipped", reason))

    def convert(self, item: str, reason: str) -> None:
        """Add a receipt line that `item` was converted."""
        self.lines.append(ReceiptLine(item, "converted", reason))

    def read(self, file: str, how: str) -> None:
        """Add a receipt line on how a whole file was read, which changes no item."""
        self.lines.append(ReceiptLine(file, "read", how))


def store(
    items: Iterable[RawItem], draft: Draft, workspace: Workspace, progress: OnProgress, total: int | None = None
) -> Dataset:
    """Read every item, store those that can be read, and return the data set.

    `total` is the number of items, for progress, where `items` has no length and the number is known.
    The same content has the same fingerprint: then the existing folder is returned, under the newer name.
    Raises DataError where no item can be read, and WorkspaceError where the disk is full.
    """
    root = workspace.folder("datasets")
    _sweep(root)
    with _staging(root) as part, closing(ManifestWriter(part / "first-pass.parquet")) as manifest:
        receipts = ReceiptWriter(part)
        for item, values in _read(_counted(items, total, draft, progress), draft, part, workspace.limits):
            if values:
                manifest.add(item, values)
            receipts.take(draft.lines)
        receipts.take(draft.lines)
        if not manifest.count:
            raise DataError(f"Nothing in {draft.source} can be read.", _first_reason(receipts.first))
        classes, fingerprint = manifest.finish(part / "manifest.parquet", draft.modality, progress)
        final = root / fingerprint
        dataset = Dataset(
            *(final, fingerprint, draft.name, draft.modality, classes, receipts.receipt(draft.source, manifest.count)),
            text_column=draft.text_column, multilabel=manifest.multilabel, subgroup_column=draft.subgroup_column,
            path_column=draft.path_column,
            origins=tuple(draft.origins),
        )  # fmt: skip
        if not final.exists():
            replace(dataset, folder=part).near_groups(progress)
        _move(part, dataset)
    return Dataset.open(final)


def _move(part: Path, dataset: Dataset) -> None:
    """Move the staged folder to its place. Where the same content exists, only name and receipt are updated."""
    final = dataset.folder
    with disk_errors():
        if final.exists():
            if (part / RECEIPT).exists():
                os.replace(part / RECEIPT, final / RECEIPT)
            with suppress(DataError):  # a damaged data set is written anew, with the usual split
                dataset = replace(dataset, split=Dataset.open(final).split)
            dataset.save()
            return
        replace(dataset, folder=part).save()
        with new_folder(final) as folder:
            for name in os.listdir(part):
                os.replace(part / name, folder / name)
    dataset.save()


def stored_name(data: bytes, picture: NormalisedPicture) -> str:
    """Return the file name of a stored picture: a hash of its content in the source."""
    return hashlib.sha256(data).hexdigest()[:32] + picture.suffix


def _counted(items: Iterable[RawItem], total: int | None, draft: Draft, progress: OnProgress) -> Iterator[RawItem]:
    """Yield the items and report progress; the total is 0 where it is unknown."""
    stage = f"Reading {NOUNS[draft.modality]}"
    total = (len(items) if isinstance(items, Sized) else 0) if total is None else total
    reported, done = 0.0, 0
    for item in items:
        if time.monotonic() - reported > _REPORT_EVERY:
            progress(stage, done, max(total, done) if total else 0)
            reported = time.monotonic()
        yield item
        done += 1
    progress(stage, done, done)


def _read(
    items: Iterable[RawItem], draft: Draft, folder: Path, limits: Limits
) -> Iterator[tuple[RawItem, dict[str, Any]]]:
    """Yield each item with the values of its manifest row, {} where it cannot be read. Pictures are stored."""
    read_row = {"image": _image_row, "text": _text_row, "multimodal": _pair_row}[draft.modality]
    if "image" in draft.parts:
        with disk_errors():
            (folder / "images").mkdir()
    for item in items:
        try:
            yield item, read_row(item, draft, folder, limits)
        except DataError as error:
            draft.skip(item.id, error.message)
            yield item, {}


def _image_row(item: RawItem, draft: Draft, folder: Path, limits: Limits) -> dict[str, Any]:
    assert item.read is not None
    data = item.read()
    picture = normalise(data, limits)
    for change in picture.changes:
        draft.convert(item.id, change)
    digest = hashlib.sha256(data).hexdigest()
    path = f"images/{stored_name(data, picture)}"
    with disk_errors():
        (folder / path).write_bytes(picture.data)
    size = {"width": picture.width, "height": picture.height}
    return {"path": path, "digest": digest, **size, "perceptual_hash": picture.perceptual_hash}


def _text_row(item: RawItem, draft: Draft, folder: Path, limits: Limits) -> dict[str, Any]:
    text, change = tidy(utf8(decode(item.read())[0] if item.read else item.text), limits.cell)
    if change:
        draft.convert(item.id, change)
    return {"text": text, "digest": hashlib.sha256(text.encode()).hexdigest()}


def _pair_row(item: RawItem, draft: Draft, folder: Path, limits: Limits) -> dict[str, Any]:
    """Return the values of a picture with its text. An item without one of the two is none: it raises DataError."""
    words = _text_row(replace(item, read=None), draft, folder, limits)
    picture = _image_row(item, draft, folder, limits)
    digest = hashlib.sha256(f"{picture['digest']} {words['digest']}".encode()).hexdigest()
    return {**picture, **words, "digest": digest}


def _first_reason(lines: list[ReceiptLine]) -> str:
    first = next((line for line in lines if line.action == "skipped"), None)
    return f"For example {first.item}: {first.reason}." if first else "Check that the files are where they should be."


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    with disk_errors():
        part = Path(tempfile.mkdtemp(prefix=_STAGING, suffix=".part", dir=root))
        lock = os.open(part, os.O_RDONLY)  # released when the process ends, however it ends
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(lock)


def _sweep(root: Path) -> None:
    """Remove the staging folders of imports that were killed."""
    sweep(root, ".[0-9a-f]*.part")
    for part in root.glob(f"{_STAGING}*.part"):
        with suppress(OSError):  # another process may be removing it, or holds its lock because it is working
            lock = os.open(part, os.O_RDONLY)
            try:
                if time.time() - part.stat().st_mtime > _UNLOCKED:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(part)
            finally:
                os.close(lock)
