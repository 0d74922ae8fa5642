"""What is wrong with a data set, as findings in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.split import SPLITS
from tl_core.types import Finding, Level

FEW = 10
"""Items of a class in train below which its accuracy is mostly luck."""
SKEW = 10.0
"""Largest class over smallest, from which accuracy alone misleads."""
_MANY_CLASSES = 10  # classes from which labels may be an id
_NAMED = 20  # items that a finding names


@dataclass(frozen=True)
class Duplicates:
    """Exact copies: `copies` items repeat an earlier one, in `groups` sets of equal items.

    `conflicts` counts sets whose items carry different labels, `leaks` items outside train that also are in train.
    """

    copies: int
    groups: int
    conflicts: int
    leaks: int


def duplicates(dataset: Dataset) -> tuple[Duplicates, tuple[str, ...], tuple[str, ...]]:
    """Count exact copies, and name the first items in conflict and the first that leak."""
    items = dataset.items
    repeated = items.assign(split=dataset.splits)[items["digest"].duplicated(keep=False).to_numpy()]
    by_digest = repeated.groupby("digest", sort=False)
    conflicts = repeated[by_digest["label"].transform("nunique") > 1]
    trained = set(repeated.loc[repeated["split"] == "train", "digest"])
    leaks = repeated[(repeated["split"] != "train") & repeated["digest"].isin(trained)]
    groups = int(repeated["digest"].nunique())
    counts = Duplicates(len(repeated) - groups, groups, int(conflicts["digest"].nunique()), len(leaks))
    return counts, tuple(conflicts["id"][:_NAMED]), tuple(leaks["id"][:_NAMED])


def find_problems(dataset: Dataset, counts: Sequence[Sequence[int]]) -> list[Finding]:
    """Return the findings on labels, class sizes, copies and what was left out, the gravest first.

    `counts` holds the items of each class in train, validation and test `[C, 3]`.
    """
    table = np.asarray(counts, dtype=np.int64).reshape(-1, len(SPLITS))
    findings = _label_findings(dataset, table) or _size_findings(dataset, table)
    findings += _duplicate_findings(dataset) + _split_findings(table) + _receipt_findings(dataset)
    order = {"stop": 0, "warn": 1, "info": 2}
    return sorted(findings, key=lambda f: order[f.level])


def _label_findings(dataset: Dataset, table: np.ndarray) -> list[Finding]:
    n, kinds = int(table.sum()), len(dataset.classes)
    if kinds == 1:
        return [
            Finding(
                "stop",
                "one-class",
                f"{'The only item is' if n == 1 else f'All {n:,} items are'} in one class, {dataset.classes[0]!r}.",
                "Add items of at least one other class: a model learns by telling classes apart.",
            )
        ]
    trained = [name for name, count in zip(dataset.classes, table[:, 0].tolist(), strict=True) if count]
    if len(trained) < 2:
        return [
            Finding(
                "stop",
                "one-class-in-train",
                "The training items show fewer than two classes, so there is nothing to tell apart.",
                "Let Graft make the split, or add training items of the other classes.",
                tuple(trained),
            )
        ]
    if kinds >= _MANY_CLASSES and kinds > n / 3:
        return [
            Finding(
                "stop",
                "label-like-id",
                f"There are {kinds:,} different labels for {n:,} items, as if the label were an id or a quantity.",
                "Choose the column, or the folders, that say which class an item belongs to.",
                dataset.classes[:_NAMED],
            )
        ]
    return []


def _size_findings(dataset: Dataset, table: np.ndarray) -> list[Finding]:
    findings = []
    train, totals = table[:, 0], table.sum(axis=1)
    absent = [name for name, count in zip(dataset.classes, train.tolist(), strict=True) if not count]
    if absent:
        findings.append(
            Finding(
                "warn",
                "class-not-in-train",
                f"{_these(absent)} no training item, so a model cannot learn {'it' if len(absent) == 1 else 'them'}.",
                "Let Graft make the split, or move some of the items into the train folder.",
                tuple(absent),
            )
        )
    few = [name for name, count in zip(dataset.classes, train.tolist(), strict=True) if 0 < count < FEW]
    if few:
        findings.append(
            Finding(
                "warn",
                "class-too-small",
                f"{_these(few)} fewer than {FEW} training items.",
                "Add items if you can; what is measured on so few is mostly luck.",
                tuple(few),
            )
        )
    if totals.max() >= SKEW * max(1, totals.min()):
        large, small = dataset.classes[totals.argmax()], dataset.classes[totals.argmin()]
        findings.append(
            Finding(
                "warn",
                "imbalance",
                f"{large!r} has {totals.max():,} items and {small!r} only {totals.min():,}.",
                "Look at macro-F1 and at the table per class, not at accuracy alone.",
                (large, small),
            )
        )
    return findings


def _duplicate_findings(dataset: Dataset) -> list[Finding]:
    found, conflicts, leaks = duplicates(dataset)
    findings = []
    if found.conflicts:
        findings.append(
            Finding(
                "warn",
                "label-conflict",
                f"{_count(found.conflicts, 'item is', 'items are')} there under two different labels.",
                "One of the labels must be wrong, or the classes overlap; look at them.",
                conflicts,
            )
        )
    if found.leaks:
        findings.append(
            Finding(
                "warn",
                "leak",
                f"{_count(found.leaks, 'item of validation or test is', 'items of validation or test are')} "
                "also in train, so what is measured there will look too good.",
                "Remove them from the source, or let Graft make the split: it keeps identical items together.",
                leaks,
            )
        )
    if found.copies:
        findings.append(
            Finding(
                "info",
                "duplicates",
                f"{_count(found.copies, 'item is an exact copy', 'items are exact copies')} of another one.",
                "A split that Graft makes keeps copies together, so they do not distort what is measured.",
            )
        )
    return findings


def _split_findings(table: np.ndarray) -> list[Finding]:
    n, tested = int(table.sum()), int(table[:, 2].sum())
    findings = []
    if not tested:
        findings.append(
            Finding(
                "stop",
                "no-test",
                f"None of the {n:,} items is left to test with, so nothing could be said of how good a model is.",
                "Add more different items, four of a class at least: identical ones are kept on one side of the split.",
            )
        )
    if not table[:, 1].sum():
        findings.append(
            Finding(
                "warn",
                "no-validation",
                "No item is left for validation, so there is nothing to choose between settings with.",
                "Add items, or give that split a larger share.",
            )
        )
    return findings


def _receipt_findings(dataset: Dataset) -> list[Finding]:
    lines = dataset.receipt.lines
    skipped = [line for line in lines if line.action == "skipped"]
    converted = {line.item for line in lines if line.action == "converted"}
    findings = []
    if skipped:
        level: Level = "warn" if len(skipped) > dataset.receipt.taken / 20 else "info"
        first = f" The first is {skipped[0].item}: {skipped[0].reason}."
        findings.append(
            Finding(
                level,
                "skipped",
                f"{_count(len(skipped), 'entry of the source was', 'entries of the source were')} left out.{first}",
                "The receipt names each with its reason.",
                tuple(line.item for line in skipped[:_NAMED]),
            )
        )
    if converted:
        findings.append(
            Finding(
                "info",
                "converted",
                f"{_count(len(converted), 'item was', 'items were')} changed to be usable.",
                "The receipt names each with what was changed.",
                tuple(sorted(converted)[:_NAMED]),
            )
        )
    return findings


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _these(names: Sequence[str]) -> str:
    """Return "The class 'a' has" or "3 classes (a, b, c) have", with at most five names."""
    if len(names) == 1:
        return f"The class {names[0]!r} has"
    more = ", ..." if len(names) > 5 else ""
    return f"{len(names):,} classes ({', '.join(names[:5])}{more}) have"
