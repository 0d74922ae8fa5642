"""A data set as it lies in the workspace: a manifest, a receipt, and a split that follows from a seed."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tl_core.data.split import SplitSpec, assign
from tl_core.types import Modality, dump, load
from tl_core.workspace import read_json, write_json

COLUMNS = ("id", "path", "text", "label", "given", "group", "digest")


@dataclass(frozen=True)
class ReceiptLine:
    """What became of one item of the source that was not simply taken."""

    item: str
    action: Literal["converted", "skipped"]
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What an import took, converted and skipped."""

    source: str
    taken: int
    lines: tuple[ReceiptLine, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Labelled items under a content fingerprint.

    `items` has the columns of COLUMNS: `id` is unique and what a person would recognise (a relative path, a row
    number); `path` is relative to `folder` (images) and `text` holds the text (texts); `label` indexes `classes`;
    `given` is the split that the source names ("train", "validation", "test") or "" where it names none;
    `digest` is the content hash, so equal digests are identical items; items of one `group` stay in one split.
    The fingerprint covers modality, classes, and digest, label, given split and group of each item, in order; the
    split that is made of them is not part of it, because features do not depend on it.
    """

    folder: Path
    fingerprint: str
    name: str
    modality: Modality
    classes: tuple[str, ...]
    receipt: Receipt
    split: SplitSpec = field(default_factory=SplitSpec)
    text_column: str = ""

    @cached_property
    def items(self) -> pd.DataFrame:
        """The manifest, read once; do not write to it."""
        return pd.read_parquet(self.folder / "manifest.parquet")

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices `[N]`."""
        return self.items["label"].to_numpy(dtype=np.int64)

    @cached_property
    def splits(self) -> np.ndarray:
        """Split names `[N]`: "train", "validation" or "test"."""
        return assign(self.items, self.split)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the row numbers of the given splits, ascending."""
        return np.flatnonzero(np.isin(self.splits, splits))

    def resplit(self, split: SplitSpec) -> "Dataset":
        """Return the same data set under another split, and remember it on disk as the current one."""
        changed = replace(self, split=split)
        changed.save()
        return changed

    def save(self) -> None:
        """Write everything but the manifest and the images."""
        fields = {k: dump(v) if k in ("receipt", "split") else v for k, v in vars(self).items() if k in _STORED}
        write_json(self.folder / "dataset.json", fields)

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Read a data set back from its folder."""
        fields = read_json(folder / "dataset.json")
        fields |= {
            "receipt": load(Receipt, fields["receipt"]),
            "split": load(SplitSpec, fields["split"]),
            "classes": tuple(fields["classes"]),
        }
        return cls(folder=folder, **fields)


_STORED = ("fingerprint", "name", "modality", "classes", "receipt", "split", "text_column")
