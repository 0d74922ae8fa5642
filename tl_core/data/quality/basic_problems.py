"""The problems that a profile reports without a model: labels, class sizes, copies, splits, skipped items."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from tl_core.data.dataset import Dataset, ReceiptLine
from tl_core.data.guesses.origin import guess_findings
from tl_core.data.quality import class_names, exact_copies
from tl_core.data.quality.checks import NAMED, CheckInput
from tl_core.data.quality.phrasing import count, these
from tl_core.data.sources.file_tree import LEFT_BEHIND
from tl_core.data.split import SPLITS, assign, given_findings, group_findings, time_findings
from tl_core.types import Finding, Level

FEW = 10
"""Training items of a class below which its accuracy is mostly luck."""
SKEW = 10.0
"""Ratio of the largest class to the smallest from which accuracy alone misleads."""
_TOGETHER = "identical ones are kept on one side of the split"
_MANY_CLASSES = 10  # classes from which the label may be an id


def find_problems(dataset: Dataset, counts: Sequence[Sequence[int]]) -> list[Finding]:
    """Return the findings on labels, class sizes, copies and skipped items, most severe first.

    `counts` holds the items of each class in train, validation and test `[C, 3]`.
    """
    table = np.asarray(counts, dtype=np.int64).reshape(-1, len(SPLITS))
    findings = _label_findings(dataset, table) or _size_findings(dataset, table)
    findings += [
        suspicion.finding for check in (class_names, exact_copies) for suspicion in check.find(CheckInput(dataset))
    ]
    findings += _split_findings(dataset, table) + given_findings(dataset.items, dataset.split)
    findings += time_findings(dataset.items, dataset.split) + _receipt_findings(dataset)
    findings += group_findings(dataset.items, dataset.split, dataset.near_ties)
    findings += guess_findings(dataset)
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
    trained = [name for name, n_train in zip(dataset.classes, table[:, 0].tolist(), strict=True) if n_train]
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
    per_class = 3 if dataset.text_column else 2  # folders are meant as classes even with two items each
    if kinds >= _MANY_CLASSES and kinds > n / per_class:
        return [
            Finding(
                "stop",
                "label-like-id",
                f"There are {kinds:,} different labels for {n:,} items, as if the label were an id or a quantity.",
                "Choose the column, or the folders, that say which class an item belongs to.",
                dataset.classes[:NAMED],
            )
        ]
    return []


def _size_findings(dataset: Dataset, table: np.ndarray) -> list[Finding]:
    findings = []
    train, totals = table[:, 0], table.sum(axis=1)
    absent = [name for name, n_train in zip(dataset.classes, train.tolist(), strict=True) if not n_train]
    if absent:
        findings.append(
            Finding(
                "warn",
                "class-not-in-train",
                f"{these(absent)} no training item, so a model cannot learn {'it' if len(absent) == 1 else 'them'}.",
                "Correct the name if it is misspelt; otherwise add items of it to train, or let Graft make the split.",
                tuple(absent),
            )
        )
    few = [name for name, n_train in zip(dataset.classes, train.tolist(), strict=True) if 0 < n_train < FEW]
    if few:
        findings.append(
            Finding(
                "warn",
                "class-too-small",
                f"{these(few)} fewer than {FEW} training items.",
                "Add items if you can; scores on so few are mostly luck.",
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


def _split_findings(dataset: Dataset, table: np.ndarray) -> list[Finding]:
    n, tested = int(table.sum()), int(table[:, 2].sum())
    findings = []
    if not tested:
        findings.append(
            Finding(
                "stop",
                "no-test",
                f"{'The only item is not' if n == 1 else f'None of the {n:,} items is'} left to test with, so a model "
                "could not be scored.",
                _group_hint(dataset) or f"Add more different items, four of a class at least: {_TOGETHER}.",
            )
        )
    if not table[:, 1].sum():
        findings.append(
            Finding(
                "warn",
                "no-validation",
                "No item is left for validation, so settings cannot be compared.",
                "Add items, or give that split a larger share.",
            )
        )
    return findings


def _group_hint(dataset: Dataset) -> str:
    """Return what to do if only groups keep items out of the test set; "" otherwise."""
    items = dataset.items
    ungrouped = items.assign(group="")
    if (items["group"] == "").all() or not (assign(ungrouped, dataset.split, dataset.near_ties) == "test").any():
        return ""
    n = items["group"][items["group"] != ""].nunique()
    one_per_class = (items.groupby("label")["group"].nunique() == 1).all()
    why = "all items of a class are in one group" if one_per_class else f"there are only {n:,}"
    return f"A group is kept on one side of the split, and {why}: import the data with another group column, or none."


def _receipt_findings(dataset: Dataset) -> list[Finding]:
    left_out, changed = dataset.receipt.skipped, dataset.receipt.converted
    findings = []
    if left_out:
        skipped = _first_lines(dataset, "skipped")
        level: Level = "warn" if left_out > dataset.receipt.taken / 20 else "info"
        example = next((line for line in skipped if line.reason != LEFT_BEHIND), skipped[0])
        one, many = ("file", "files") if "image" in dataset.parts else ("entry of the source", "entries of the source")
        first = f" {'One' if left_out > 1 else 'It'} is {example.item}: {example.reason}."
        findings.append(
            Finding(
                level,
                "skipped",
                f"{count(left_out, f'{one} was', f'{many} were')} left out.{first}",
                "The receipt lists each with its reason.",
                tuple(line.item for line in skipped),
            )
        )
    if changed:
        findings.append(
            Finding(
                "info",
                "converted",
                f"{count(changed, 'item was', 'items were')} converted to be usable.",
                "The receipt lists each with its change.",
                tuple(dict.fromkeys(line.item for line in _first_lines(dataset, "converted"))),
            )
        )
    return findings


def _first_lines(dataset: Dataset, action: str) -> list[ReceiptLine]:
    """Return the first receipt lines with an action, also where a thousand other lines come before them."""
    return list(islice((line for line in dataset.receipt_lines() if line.action == action), NAMED))
