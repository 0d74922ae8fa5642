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
    """Exact copies: `copies` items repeat an earlier one, in `groups` sets of equal items.

    `conflicts` counts sets whose items carry different labels, `leaks` items outside train that also are in train.
    """

    copies: int
    groups: int
    conflicts: int
    leaks: int


def members(number: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group that has at least two; `number` is the group of each row `[N]`, negative: none.

    Rows ascend within a group, groups by their first row.
    """
    rows = np.flatnonzero(number >= 0)
    order = rows[np.argsort(number[rows], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def plain(groups: list[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    """Return groups of rows as a Suspicion holds them."""
    return tuple(tuple(group.tolist()) for group in groups)


def label_keys(dataset: Dataset) -> np.ndarray:
    """Return a number for what each item is labelled as `[N]`: equal where all its labels are."""
    if not dataset.multilabel:
        return dataset.labels
    bits = np.packbits(dataset.targets.astype(bool), axis=1)
    return pd.factorize(np.array([row.tobytes() for row in bits], dtype=object))[0]


def spare(group: np.ndarray, splits: np.ndarray) -> list[int]:
    """Return which of some equal rows can be dropped without a loss: all but one, and none of the test set.

    The one that stays is the first in test, else in validation, else in train, so that nothing learned is measured.
    """
    for split in reversed(SPLITS):
        home = group[splits[group] == split]
        if len(home):
            break
    kept = set(home.tolist()) if split == "test" else {int(home[0])}
    return [row for row in group.tolist() if row not in kept]


def straddling(groups: list[np.ndarray], splits: np.ndarray) -> list[np.ndarray]:
    """Return the groups that have items both in train and outside of it."""
    return [g for g in groups if 0 < (splits[g] == "train").sum() < len(g)]


def find(material: CheckInput) -> list[Suspicion]:
    """Return what is wrong with exact copies: conflicting labels, copies on both sides of the split, repeats.

    Copies with different labels are no repeats: which of them is to go is the question of their labels.
    """
    splits = material.dataset.splits
    groups = _groups(material)
    torn = _torn(material.dataset, groups)
    equal = [group for group, one in zip(groups, torn, strict=True) if not one]
    conflicts = material.undecided([group for group, one in zip(groups, torn, strict=True) if one], "label-conflict")
    repeats, leaks = material.undecided(equal, "duplicates"), material.undecided(straddling(groups, splits), "leak")
    found = [_conflicts(material, conflicts)] if conflicts else []
    found += [_leaks(material, leaks, straddling(equal, splits))] if leaks else []
    return found + ([_repeats(material, repeats)] if repeats else [])


def duplicates(dataset: Dataset) -> Duplicates:
    """Count exact copies among the items that were not left out, whatever was decided about the findings of them."""
    groups = _groups(CheckInput(dataset))
    return Duplicates(
        sum(len(group) - 1 for group in groups),
        len(groups),
        sum(_torn(dataset, groups)),
        sum(int((dataset.splits[group] != "train").sum()) for group in straddling(groups, dataset.splits)),
    )


def _groups(material: CheckInput) -> list[np.ndarray]:
    return members(np.where(material.inside, pd.factorize(material.dataset.items["digest"])[0], -1))


def _torn(dataset: Dataset, groups: list[np.ndarray]) -> list[bool]:
    """Return whether the items of each group are labelled differently."""
    keys = label_keys(dataset)
    return [len(np.unique(keys[group])) > 1 for group in groups]


def _conflicts(material: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    rows = np.concatenate(groups).tolist()
    finding = Finding(
        "warn",
        "label-conflict",
        f"{count(len(groups), 'item is', 'items are')} there under two different labels.",
        "One of the labels must be wrong, or the classes overlap; look at them.",
        material.name(rows),
    )
    return Suspicion(finding, tuple(rows), plain(groups))


def _leaks(material: CheckInput, groups: list[np.ndarray], equal: list[np.ndarray]) -> Suspicion:
    splits = material.dataset.splits
    rows = np.concatenate(groups)
    outside = rows[splits[rows] != "train"]
    finding = Finding(
        "warn",
        "leak",
        f"{count(len(outside), 'item of validation or test is', 'items of validation or test are')} "
        "also in train, so what is measured there will look too good.",
        "Drop the copies in train, or let Graft make the split: it keeps identical items together.",
        material.name(outside),
    )
    drop = tuple(row for group in equal for row in spare(group, splits) if splits[row] == "train")
    proposed = (Decision("drop", drop, code="leak"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), plain(groups), proposed=proposed)


def _repeats(material: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    copies = sum(len(group) - 1 for group in groups)
    finding = Finding(
        "info",
        "duplicates",
        f"{count(copies, 'item is an exact copy', 'items are exact copies')} of another one.",
        "A split that Graft makes keeps copies together, so they do not distort what is measured; "
        "dropping all but one of each keeps them from counting twice in training.",
        material.name([int(group[1]) for group in groups[:NAMED]]),
    )
    drop = tuple(row for group in groups for row in spare(group, material.dataset.splits))
    proposed = (Decision("drop", drop, code="duplicates"),) if drop else ()
    return Suspicion(finding, tuple(np.concatenate(groups).tolist()), plain(groups), proposed=proposed)


CHECKS.add(Check(name="copies", title="Exact copies, and one item under several labels", find=find, rank=0))
