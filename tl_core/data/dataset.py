"""A data set in the workspace: a manifest, a receipt, and a split that a seed determines."""

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
from tl_core.data.decisions import (
    LEFT_OUT,
    Decision,
    apply_labels,
    apply_splits,
    check_decisions,
    check_undo,
    effect_digest,
    unconfirmed,
)
from tl_core.data.near import near_groups, near_groups_file
from tl_core.data.options import OnProgress, no_progress
from tl_core.data.split import SplitSpec, assign
from tl_core.errors import DataError
from tl_core.types import PARTS, Modality, Part, dump, load
from tl_core.workspace import read_json, write_json

COLUMNS = ("id", "path", "text", "label", "given", "group", "digest")
OPTIONAL = {"subgroup": "", "time": nan}
"""Columns that a manifest has only where the source has them, with the value that stands for a missing one."""
_OLD_COLUMNS = {"look": "perceptual_hash"}
"""Columns of manifests that an older version wrote, with their names of today."""

RECEIPT = "receipt.csv"
Action = Literal["converted", "skipped", "read"]
"""What a receipt line tells: an item was converted or skipped, or how a whole file was read."""
_ACTIONS: dict[str, Action] = {action: action for action in get_args(Action)}
FIRST_LINES = 1000
"""Receipt lines that dataset.json holds; where there are more, the file RECEIPT holds all of them."""


@dataclass(frozen=True)
class ReceiptLine:
    """What an import did with one item that it did not take as it was, or how it read one of the files."""

    item: str
    action: Action
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What an import took, converted and skipped.

    `lines` holds the first lines. `more_skipped` and `more_converted` count the items of the lines after them, which
    `Dataset.receipt_lines` reads.
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


OriginKind = Literal["label", "text", "picture", "split", "group"]
"""What an import has read from somewhere in the source."""


@dataclass(frozen=True)
class Origin:
    """Where an import read something: "label" from `source` "column 'stars'", which `others` could have been too.

    `note` says what follows from it or how to choose another one.
    """

    what: OriginKind
    source: str
    others: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        others = f" (of {', '.join(self.others)} that could be it too)" if self.others else ""
        return f"{self.what} from {self.source}{others}" + (f"; {self.note}" if self.note else "")


@dataclass(frozen=True)
class Dataset:
    """Labelled items under a content fingerprint.

    The manifest `items` has one row per item and the columns of COLUMNS: `id` is unique and recognisable (a relative
    path, a row number); `path` is relative to `folder` (pictures); `text` is the text (texts); an item may have both;
    `label` indexes `classes`; `given` is the split that the source names ("train", "validation", "test") or "";
    `digest` is the content hash, equal for identical items; items of one `group` stay in one split. Optional columns:
    `subgroup`, whom an item is about, and `time`, when it was made, in seconds since 1970.

    With several labels per item (`multilabel`), `labels` lists the class indices of an item in ascending order,
    possibly none. `label` is then the item's stratum: the rarest of its labels, or the class count if it has none.

    The fingerprint covers modality, classes, and each item's digest, labels, given split, group, subgroup and time, in
    order. It leaves out the split that is made from them, because features do not depend on it.

    `origins` say where labels, texts, splits and groups were read from.

    `decisions` are laid over the manifest and change `labels`, `targets` and `splits`. Row numbers stay, and the split
    is always made from the source's labels, so a corrected label moves no item.
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
    path_column: str = ""
    decisions: tuple[Decision, ...] = ()
    origins: tuple[Origin, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """What an item consists of: a picture, a text, or both."""
        return PARTS[self.modality]

    @cached_property
    def items(self) -> pd.DataFrame:
        """The manifest, read once. Do not write to it."""
        items = pd.read_parquet(self.folder / "manifest.parquet").rename(columns=_OLD_COLUMNS)
        return items.assign(**{n: items[n].fillna(none) if n in items else none for n, none in OPTIONAL.items()})

    @cached_property
    def source_labels(self) -> np.ndarray:
        """Class indices `[N]` before decisions; for a multilabel data set, the stratum of each item."""
        return self.items["label"].to_numpy(dtype=np.int64)

    @cached_property
    def source_splits(self) -> np.ndarray:
        """Split names `[N]` before decisions: "train", "validation" or "test"."""
        return assign(self.items, self.split, self.near_ties)

    def near_groups(self, progress: OnProgress = no_progress) -> np.ndarray:
        """Return the group of near-duplicates of each item, int64 `[N]`; -1 where it has none. Stored once found."""
        stored = near_groups_file(self.folder, self.fingerprint)
        return near_groups(self.items, self.folder, self.modality, stored, progress)

    @property
    def near_ties(self) -> tuple[np.ndarray, ...]:
        """Groups of near-duplicates that the split keeps together: one array of group numbers `[N]`, or none.

        Images of a manifest without perceptual hashes are not tied: their split would move once hashes are computed.
        """
        comparable = "image" not in self.parts or "perceptual_hash" in self.items
        return (self.near_groups(),) if self.split.keep_near and comparable else ()

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices `[N]` after decisions; for a multilabel data set, the stratum of each item."""
        if not self.decisions:
            return self.source_labels
        if not self.multilabel:
            return apply_labels(self.decisions, self.classes, self.source_labels, self.source_splits)
        before, after = self._source_targets(), self.targets
        rarest_first = np.lexsort((np.arange(len(self.classes)), before.sum(axis=0)))
        ordered = np.concatenate([after[:, rarest_first] > 0, np.ones((len(after), 1), dtype=bool)], axis=1)
        strata = np.append(rarest_first, len(self.classes))[ordered.argmax(axis=1)]
        return np.where((before != after).any(axis=1), strata, self.source_labels)

    @cached_property
    def targets(self) -> np.ndarray:
        """Which classes each item has after decisions: 0 or 1, float32 `[N, K]`."""
        if self.decisions and self.multilabel:
            return apply_labels(self.decisions, self.classes, self._source_targets(), self.source_splits)
        return self._source_targets() if self.multilabel else self._one_hot(self.labels)

    def _source_targets(self) -> np.ndarray:
        if not self.multilabel:
            return self._one_hot(self.source_labels)
        targets = np.zeros((len(self.items), len(self.classes)), dtype=np.float32)
        counts = self.items["labels"].map(len).to_numpy(dtype=np.int64)
        columns = np.concatenate([*self.items["labels"], np.zeros(0, dtype=np.int64)]).astype(np.int64)
        targets[np.repeat(np.arange(len(targets)), counts), columns] = 1
        return targets

    @property
    def truth(self) -> np.ndarray:
        """The ground truth to learn: `labels` `[N]`, or `targets` `[N, K]` where items may have several labels."""
        return self.targets if self.multilabel else self.labels

    def _one_hot(self, labels: np.ndarray) -> np.ndarray:
        targets = np.zeros((len(labels), len(self.classes)), dtype=np.float32)
        targets[np.arange(len(targets)), labels] = 1
        return targets

    @cached_property
    def splits(self) -> np.ndarray:
        """Split names `[N]` after decisions: "train", "validation", "test", or "out" for an item that was left out."""
        return apply_splits(self.decisions, self.source_splits) if self.decisions else self.source_splits

    @cached_property
    def included(self) -> np.ndarray:
        """Which items were not left out: bool `[N]`. Without decisions this makes no split."""
        return self.splits != LEFT_OUT if self.decisions else np.ones(len(self.items), dtype=bool)

    @cached_property
    def decisions_digest(self) -> str:
        """The digest of what the decisions change in labels and splits; "" where they change nothing."""
        return effect_digest(self.decisions, self.source_splits) if self.decisions else ""

    @property
    def version(self) -> str:
        """A short hash of content, split and decisions. Results are stored under it, features under the fingerprint."""
        about = [self.fingerprint, dump(self.split), self.decisions_digest]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]

    def receipt_lines(self) -> Iterator[ReceiptLine]:
        """Yield every line of the receipt, also those that `receipt` has no room for."""
        if not (self.receipt.more_skipped or self.receipt.more_converted):
            yield from self.receipt.lines
            return
        with open(self.folder / RECEIPT, encoding="utf-8", newline="") as file:
            for item, action, reason in csv.reader(file):
                yield ReceiptLine(item, _ACTIONS.get(action, "converted"), reason)

    def full_receipt(self) -> Receipt:
        """Return the receipt with every line in memory."""
        return Receipt(self.receipt.source, self.receipt.taken, tuple(self.receipt_lines()))

    def rows(self, *splits: str) -> np.ndarray:
        """Return the row numbers of the given splits, ascending."""
        return np.flatnonzero(np.isin(self.splits, splits))

    def with_split(self, split: SplitSpec) -> "Dataset":
        """Return the same data set under another split, in memory only."""
        return self._replaced(split=split)

    def change_split(self, split: SplitSpec) -> "Dataset":
        """Return the same data set under another split, and save that split as the current one."""
        changed = self.with_split(split)
        changed.save()
        return changed

    def decide(self, *decisions: Decision) -> "Dataset":
        """Append decisions to the log as one entry, and return the data set with them applied.

        Raises DataError if one of them is impossible; then none is logged.
        """
        check_decisions(decisions, decision_log.current(self.folder), *self._source())
        decision_log.decide(self.folder, decisions)
        return self.with_current_decisions()

    def undo(self, *numbers: int) -> "Dataset":
        """Undo entries of the decision log, and return the data set without them.

        Raises DataError for an unknown number, and if the remaining decisions leave a class without a training item.
        """
        remaining = decision_log.current(self.folder, without=numbers)
        check_undo(remaining, decision_log.current(self.folder), *self._source())
        decision_log.undo(self.folder, numbers)
        return self.with_current_decisions()

    def _source(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        labels = self._source_targets() if self.multilabel else self.source_labels
        return self.classes, labels, self.source_splits

    @cached_property
    def unconfirmed(self) -> tuple[Decision, ...]:
        """Decisions about items of the test set that have no effect until they are confirmed."""
        return unconfirmed(self.decisions, self.source_splits) if self.decisions else ()

    def confirm(self, decisions: Iterable[Decision], reason: str) -> "Dataset":
        """Let unconfirmed decisions change the test set. Raises DataError if `reason` is empty."""
        if not reason.strip():
            raise DataError("A change of the test set needs a reason.", "Say in a few words why it is right.")
        return self.decide(*(replace(decision, confirmed=True, reason=reason.strip()) for decision in decisions))

    def with_current_decisions(self) -> "Dataset":
        """Return the data set with the decisions that the log holds now."""
        return self._replaced(decisions=decision_log.current(self.folder))

    def pin_decisions(self) -> str:
        """Store the present effect of the decisions, and return its digest for `with_decisions`."""
        if self.decisions_digest:
            decision_log.save_state(self.folder, self.decisions_digest, self.decisions, self.source_splits)
        return self.decisions_digest

    def with_decisions(self, digest: str) -> "Dataset":
        """Return the data set with the decisions that `pin_decisions` stored ("" for none).

        Raises DataError where they cannot be read.
        """
        return self._replaced(decisions=decision_log.read_state(self.folder, digest))

    def _replaced(self, **changes: Any) -> "Dataset":
        """Return a copy with other fields, which keeps the cached arrays that do not depend on them."""
        other = replace(self, **changes)
        shared = ("items", "source_labels") if "split" in changes else ("items", "source_labels", "source_splits")
        vars(other).update({name: vars(self)[name] for name in shared if name in vars(self)})
        return other

    def save(self) -> None:
        """Write dataset.json: every field except the folder and the decisions."""
        fields = {k: dump(v) if k in ("receipt", "split") else v for k, v in vars(self).items() if k in _STORED}
        fields["origins"] = [dump(origin) for origin in self.origins]
        write_json(self.folder / "dataset.json", fields)

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Read a data set from its folder. Raises DataError where it is damaged."""
        try:
            fields = read_json(folder / "dataset.json")
            fields |= {
                "receipt": load(Receipt, fields["receipt"]),
                "split": load(SplitSpec, fields["split"]),
                "classes": tuple(fields["classes"]),
                "origins": tuple(load(Origin, origin) for origin in fields.get("origins", ())),
            }
            return cls(folder=folder, decisions=decision_log.current(folder), **fields)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"The data set {folder.name} cannot be read, its dataset.json is damaged.", "Import it again."
            ) from error


_STORED = (
    *("fingerprint", "name", "modality", "classes", "receipt", "split"),
    *("text_column", "multilabel", "subgroup_column", "path_column"),
)
