"""A data set as it lies in the workspace: a manifest, a receipt, and a split that follows from a seed."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from tl_core.data import decision_log
from tl_core.data.decisions import OUT, Decision, apply_labels, apply_splits, check, check_undo, digest, waiting
from tl_core.data.near import near_ties
from tl_core.data.split import SplitSpec, assign
from tl_core.errors import DataError
from tl_core.types import Modality, dump, load
from tl_core.workspace import read_json, write_json

COLUMNS = ("id", "path", "text", "label", "given", "group", "digest")
OPTIONAL = {"subgroup": "", "time": nan}
"""Columns of a manifest that are there where the source has them, and what they hold where it has not."""

RECEIPT = "receipt.csv"
Action = Literal["converted", "skipped", "read"]
"""What a line of a receipt tells: of an item, or (read) of a whole file."""
_ACTIONS: dict[str, Action] = {action: action for action in get_args(Action)}
FIRST_LINES = 1000
"""Lines of a receipt that are kept with the data set's few facts; where there are more, RECEIPT holds all."""


@dataclass(frozen=True)
class ReceiptLine:
    """What became of one item of the source that was not simply taken, or how one of its files was read."""

    item: str
    action: Action
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What an import took, converted and skipped.

    `lines` are the first; `more_skipped` and `more_converted` count the items that `Dataset.receipt_lines` adds.
    """

    source: str
    taken: int
    lines: tuple[ReceiptLine, ...] = ()
    more_skipped: int = 0
    more_converted: int = 0

    @property
    def skipped(self) -> int:
        """Return how many items were skipped."""
        return sum(line.action == "skipped" for line in self.lines) + self.more_skipped

    @property
    def converted(self) -> int:
        """Return how many items were converted, each counted once."""
        return len({line.item for line in self.lines if line.action == "converted"}) + self.more_converted


@dataclass(frozen=True)
class Dataset:
    """Labelled items under a content fingerprint.

    `items` has the columns of COLUMNS: `id` is unique and what a person would recognise (a relative path, a row
    number); `path` is relative to `folder` (images) and `text` holds the text (texts); `label` indexes `classes`;
    `given` is the split that the source names ("train", "validation", "test") or "" where it names none;
    `digest` is the content hash, so equal digests are identical items; items of one `group` stay in one split.
    `subgroup` is whom an item is about ("" where nothing says so) and `time` when it was made, in seconds since 1970.
    Where items may have several labels (`multilabel`), `labels` lists the class indices of each, ascending, perhaps
    none, and `label` is the rarest of them, or the number of classes where there is none: the stratum of the item.
    The fingerprint covers modality, classes, and digest, labels, given split, group, subgroup and time of each item,
    in order; the split that is made of them is not part of it, because features do not depend on it.
    `decisions` lie over the manifest: `labels`, `targets` and `splits` are what they make of it, while the row numbers
    stay and the split is always made from the source's labels, so that no correction moves it.
    """

    folder: Path
    fingerprint: str
    name: str
    modality: Modality
    classes: tuple[str, ...]
    receipt: Receipt
    split: SplitSpec = field(default_factory=SplitSpec)
    text_column: str = ""
    multilabel: bool = False
    subgroup_column: str = ""
    decisions: tuple[Decision, ...] = ()

    @cached_property
    def items(self) -> pd.DataFrame:
        """The manifest, read once; do not write to it."""
        items = pd.read_parquet(self.folder / "manifest.parquet")
        return items.assign(**{n: items[n].fillna(none) if n in items else none for n, none in OPTIONAL.items()})

    @cached_property
    def source_labels(self) -> np.ndarray:
        """Class indices `[N]` as the source has them; with several labels an item, the stratum of each."""
        return self.items["label"].to_numpy(dtype=np.int64)

    @cached_property
    def source_splits(self) -> np.ndarray:
        """Split names `[N]` before decisions: "train", "validation" or "test"."""
        return assign(self.items, self.split, near_ties(self))

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices `[N]` after decisions; with several labels an item, the stratum of each."""
        if not self.decisions:
            return self.source_labels
        if not self.multilabel:
            return apply_labels(self.decisions, self.classes, self.source_labels, self.source_splits)
        before, after = self._source_targets(), self.targets
        rarity = np.lexsort((np.arange(len(self.classes)), before.sum(axis=0)))
        ordered = np.concatenate([after[:, rarity] > 0, np.ones((len(after), 1), dtype=bool)], axis=1)
        strata = np.append(rarity, len(self.classes))[ordered.argmax(axis=1)]
        return np.where((before != after).any(axis=1), strata, self.source_labels)

    @cached_property
    def targets(self) -> np.ndarray:
        """Return which classes each item has after decisions: 0 or 1, float32 `[N, K]`."""
        if self.decisions and self.multilabel:
            return apply_labels(self.decisions, self.classes, self._source_targets(), self.source_splits)
        return self._source_targets() if self.multilabel else self._one_hot(self.labels)

    def _source_targets(self) -> np.ndarray:
        if not self.multilabel:
            return self._one_hot(self.source_labels)
        found = np.zeros((len(self.items), len(self.classes)), dtype=np.float32)
        counts = self.items["labels"].map(len).to_numpy(dtype=np.int64)
        columns = np.concatenate([*self.items["labels"], np.zeros(0, dtype=np.int64)]).astype(np.int64)
        found[np.repeat(np.arange(len(found)), counts), columns] = 1
        return found

    @property
    def truth(self) -> np.ndarray:
        """What is to be learned: the labels `[N]`, or the targets `[N, K]` where items may have several labels."""
        return self.targets if self.multilabel else self.labels

    def _one_hot(self, labels: np.ndarray) -> np.ndarray:
        found = np.zeros((len(labels), len(self.classes)), dtype=np.float32)
        found[np.arange(len(found)), labels] = 1
        return found

    @cached_property
    def splits(self) -> np.ndarray:
        """Split names `[N]` after decisions: "train", "validation", "test", or "out" for what was left out."""
        return apply_splits(self.decisions, self.source_splits) if self.decisions else self.source_splits

    @cached_property
    def kept(self) -> np.ndarray:
        """Which items were not left out: bool `[N]`. Makes no split where nothing was decided."""
        return self.splits != OUT if self.decisions else np.ones(len(self.items), dtype=bool)

    @cached_property
    def decided(self) -> str:
        """The digest of what the decisions do to labels and splits, "" where they do nothing."""
        return digest(self.decisions, self.source_splits) if self.decisions else ""

    @property
    def version(self) -> str:
        """A short hash of content, split and decisions: results are kept under it, features under the fingerprint."""
        about = [self.fingerprint, dump(self.split), self.decided]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]

    def receipt_lines(self) -> Iterator[ReceiptLine]:
        """Yield every line of the receipt, also where there are too many to be kept in `receipt`."""
        if not (self.receipt.more_skipped or self.receipt.more_converted):
            yield from self.receipt.lines
            return
        with open(self.folder / RECEIPT, encoding="utf-8", newline="") as file:
            for item, action, reason in csv.reader(file):
                yield ReceiptLine(item, _ACTIONS.get(action, "converted"), reason)

    def whole_receipt(self) -> Receipt:
        """Return the receipt with every line in memory."""
        return Receipt(self.receipt.source, self.receipt.taken, tuple(self.receipt_lines()))

    def rows(self, *splits: str) -> np.ndarray:
        """Return the row numbers of the given splits, ascending."""
        return np.flatnonzero(np.isin(self.splits, splits))

    def split_by(self, split: SplitSpec) -> "Dataset":
        """Return the same data set under another split, in memory alone."""
        return self._with(split=split)

    def resplit(self, split: SplitSpec) -> "Dataset":
        """Return the same data set under another split, and remember it on disk as the current one."""
        changed = self.split_by(split)
        changed.save()
        return changed

    def decide(self, *decisions: Decision) -> "Dataset":
        """Add decisions as one entry of the log, and return the data set under them.

        Raises DataError where one cannot be followed, and then none is taken.
        """
        check(decisions, decision_log.current(self.folder), *self._source())
        decision_log.decide(self.folder, decisions)
        return self.refreshed()

    def undo(self, *numbers: int) -> "Dataset":
        """Take entries of the log back, and return the data set without them.

        Raises DataError for another number, and where what stays would leave a class without a training item.
        """
        left = decision_log.current(self.folder, without=numbers)
        check_undo(left, decision_log.current(self.folder), *self._source())
        decision_log.undo(self.folder, numbers)
        return self.refreshed()

    def _source(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        labels = self._source_targets() if self.multilabel else self.source_labels
        return self.classes, labels, self.source_splits

    @cached_property
    def waiting(self) -> tuple[Decision, ...]:
        """What was decided about items of the test set and has to be confirmed."""
        return waiting(self.decisions, self.source_splits) if self.decisions else ()

    def confirm(self, decisions: Iterable[Decision], reason: str) -> "Dataset":
        """Let decisions of `waiting` change the test set, for a reason. Raises DataError where there is none."""
        if not reason.strip():
            raise DataError("A change of the test set needs a reason.", "Say in a few words why it is right.")
        return self.decide(*(replace(each, confirmed=True, reason=reason.strip()) for each in decisions))

    def refreshed(self) -> "Dataset":
        """Return the data set under the decisions that hold now."""
        return self._with(decisions=decision_log.current(self.folder))

    def pin(self) -> str:
        """Return the name under which under() finds the present effect of the decisions, also after others follow."""
        if self.decided:
            decision_log.save_state(self.folder, self.decided, self.decisions, self.source_splits)
        return self.decided

    def under(self, name: str) -> "Dataset":
        """Return the data set under the decisions that pin() named, "" is none. Raises DataError if they are gone."""
        return self._with(decisions=decision_log.read_state(self.folder, name))

    def _with(self, **changes: Any) -> "Dataset":
        """Return the data set with other fields, which shares what was read already and does not depend on them."""
        other = replace(self, **changes)
        shared = ("items", "source_labels") if "split" in changes else ("items", "source_labels", "source_splits")
        vars(other).update({name: vars(self)[name] for name in shared if name in vars(self)})
        return other

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
        return cls(folder=folder, decisions=decision_log.current(folder), **fields)


_STORED = (
    *("fingerprint", "name", "modality", "classes", "receipt", "split"),
    *("text_column", "multilabel", "subgroup_column"),
)
