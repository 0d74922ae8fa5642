"""Exact copies: repeated items, one item under several labels, and copies on both sides of a split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import count
from tl_core.data.split import SPLITS
from tl_core.types import Finding


@dataclass(frozen=True)
class Duplicates:
    """Counts of exact copies: `copies` items repeat an earlier one, in `groups` groups of equal items.

    `conflicts` counts groups with different labels. `leaks` counts validation and test items that are also in train.
    """

    copies: int
    groups: int
    conflicts: int
    leaks: int


def members(number: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group of two or more. `number` is the group of each row `[N]`, negative for none.

    Rows ascend within a group, and groups are in the order of their first row.
    """
    rows = np.flatnonzero(number >= 0)
    order = rows[np.argsort(number[rows], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def as_tuples(groups: list[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    """Return groups of rows in the form that a Suspicion holds."""
    return tuple(tuple(group.tolist()) for group in groups)


def label_keys(dataset: Dataset) -> np.ndarray:
    """Return a number for the labels of each item `[N]`: equal for items with the same labels."""
    if not dataset.multilabel:
        return dataset.labels
    bits = np.packbits(dataset.targets.astype(bool), axis=1)
    return pd.factorize(np.array([row.tobytes() for row in bits], dtype=object))[0]


def redundant(group: np.ndarray, splits: np.ndarray) -> list[int]:
    """Return which of some equal rows can be dropped without a loss: all but one, and none of the test set.

    The one that stays is the first in test, else in validation, else in train: no training item is measured on.
    """
    for split in reversed(SPLITS):
        home = group[splits[group] == split]
        if len(home):
            break
    kept = set(home.tolist()) if split == "test" else {int(home[0])}
    return [row for row in group.tolist() if row not in kept]


def crossing_split(groups: list[np.ndarray], splits: np.ndarray) -> list[np.ndarray]:
    """Return the groups with items both in train and outside it."""
    return [g for g in groups if 0 < (splits[g] == "train").sum() < len(g)]


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return what is wrong with exact copies: conflicting labels, copies across the split, repeats.

    Copies with different labels do not count as repeats: which one should go depends on the right label.
    """
    splits = check_input.dataset.splits
    groups = _groups(check_input)
    conflicting = _conflicting(check_input.dataset, groups)
    equal = [group for group, conflict in zip(groups, conflicting, strict=True) if not conflict]
    conflicts = check_input.undecided(
        [group for group, conflict in zip(groups, conflicting, strict=True) if conflict], "label-conflict"
    )
    repeats, leaks = (
        check_input.undecided(equal, "duplicates"),
        check_input.undecided(crossing_split(groups, splits), "leak"),
    )
    suspicions = [_conflicts(check_input, conflicts)] if conflicts else []
    suspicions += [_leaks(check_input, leaks, crossing_split(equal, splits))] if leaks else []
    return suspicions + ([_repeats(check_input, repeats)] if repeats else [])


def duplicates(dataset: Dataset) -> Duplicates:
    """Count exact copies among the items that were not left out, also where a finding about them was answered."""
    groups = _groups(CheckInput(dataset))
    return Duplicates(
        sum(len(group) - 1 for group in groups),
        len(groups),
        sum(_conflicting(dataset, groups)),
        sum(int((dataset.splits[group] != "train").sum()) for group in crossing_split(groups, dataset.splits)),
    )


def _groups(check_input: CheckInput) -> list[np.ndarray]:
    return members(np.where(check_input.inside, pd.factorize(check_input.dataset.items["digest"])[0], -1))


def _conflicting(dataset: Dataset, groups: list[np.ndarray]) -> list[bool]:
    """Return whether the items of each group are labelled differently."""
    keys = label_keys(dataset)
    return [len(np.unique(keys[group])) > 1 for group in groups]


def _conflicts(check_input: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    rows = np.concatenate(groups).tolist()
    finding = Finding(
        "warn",
        "label-conflict",
        f"{count(len(groups), 'item occurs', 'items occur')} with two different labels.",
        "One of the labels must be wrong, or the classes overlap; look at them.",
        check_input.ids(rows),
    )
    return Suspicion(finding, tuple(rows), as_tuples(groups))


def _leaks(check_input: CheckInput, groups: list[np.ndarray], equal: list[np.ndarray]) -> Suspicion:
    splits = check_input.dataset.splits
    rows = np.concatenate(groups)
    outside = rows[splits[rows] != "train"]
    finding = Finding(
        "warn",
        "leak",
        f"{count(len(outside), 'item of validation or test is', 'items of validation or test are')} "
        "also in train, so the scores on them will look too good.",
        "Drop the copies in train, or let Graft make the split: it keeps identical items together.",
        check_input.ids(outside),
    )
    drop = tuple(row for group in equal for row in redundant(group, splits) if splits[row] == "train")
    proposed = (Decision("drop", drop, code="leak"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), as_tuples(groups), proposed=proposed)


def _repeats(check_input: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    copies = sum(len(group) - 1 for group in groups)
    finding = Finding(
        "info",
        "duplicates",
        f"{count(copies, 'item is an exact copy', 'items are exact copies')} of another one.",
        "A split that Graft makes keeps copies together, so they do not distort the scores; "
        "drop all but one of each if they should not count twice in training.",
        check_input.ids([int(group[1]) for group in groups[:NAMED]]),
    )
    drop = tuple(row for group in groups for row in redundant(group, check_input.dataset.splits))
    proposed = (Decision("drop", drop, code="duplicates"),) if drop else ()
    return Suspicion(finding, tuple(np.concatenate(groups).tolist()), as_tuples(groups), proposed=proposed)


CHECKS.add(Check(name="copies", title="Exact copies, and one item under several labels", find=find, rank=0))
