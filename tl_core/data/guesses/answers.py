"""What a person answers about the items of a sorting, stored as they answer, and a random sample to measure with."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from tl_core.data import decision_log
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.data.guesses.sorting import guesses_folder

LEAVE_OUT = ""
"""In place of a class: the item belongs to none of them."""
SAMPLE_SHARE, SAMPLE_LEAST, SAMPLE_MOST = 0.15, 20, 200
"""The random sample: its share of the items, and its size at least (half of the items, if they are few) and at most."""


@dataclass(frozen=True)
class Answers:
    """The answers that count: a class or LEAVE_OUT by row. `latest` is the number that undoes the last answer."""

    labels: dict[int, str]
    latest: int | None = None


def answer(dataset: Dataset, labels: dict[int, str]) -> None:
    """Record what a person says about items: a class name, or LEAVE_OUT, by row. It counts for exact copies too.

    Raises WorkspaceError where it cannot be written.
    """
    digests = dataset.items["digest"]
    by_label: dict[str, set[str]] = {}
    for row, label in labels.items():
        by_label.setdefault(label, set()).add(digests.iloc[row])
    decisions = []
    for label, contents in by_label.items():
        rows = tuple(np.flatnonzero(digests.isin(contents)).tolist())
        decisions.append(Decision("relabel" if label else "drop", rows, label))
    decision_log.decide(guesses_folder(dataset), decisions)


def answers(dataset: Dataset) -> Answers:
    """Return the answers so far; of several about an item the last one counts."""
    entries = [entry for entry in decision_log.history(guesses_folder(dataset)) if not entry.undone]
    labels = {
        row: decision.label_names[0] if decision.label_names else LEAVE_OUT
        for entry in entries
        for decision in entry.decisions
        for row in decision.rows
    }
    return Answers(labels, entries[-1].number if entries else None)


def undo_latest(dataset: Dataset) -> None:
    """Take back the last answer; nothing happens where there is none."""
    latest = answers(dataset).latest
    if latest is not None:
        decision_log.undo(guesses_folder(dataset), [latest])


def random_sample(dataset: Dataset) -> np.ndarray:
    """Return the rows of the random sample, in the order in which they are to be checked.

    It is drawn from the content alone, so it is the same whatever is guessed or answered, and holds one item of each
    group of near-duplicates.
    """
    groups = dataset.near_groups()
    alone = groups < 0
    units = np.where(alone, np.arange(len(groups)) + groups.max(initial=0) + 1, groups)
    first = np.unique(units, return_index=True)[1]
    least = min(SAMPLE_LEAST, len(first) // 2)
    size = min(max(least, round(SAMPLE_SHARE * len(first))), SAMPLE_MOST)
    return np.random.default_rng(0).permutation(first)[:size]


def checked(sample: Sequence[int] | np.ndarray, labels: dict[int, str]) -> list[int]:
    """Return the rows with a class among the first of a random sample, up to the first one that has no answer.

    What was answered after that one may have been picked for what it is, so it would be no random sample.
    """
    answered = takewhile(lambda row: row in labels, map(int, sample))
    return [row for row in answered if labels[row] != LEAVE_OUT]


def enough(sample: Sequence[int] | np.ndarray, labels: dict[int, str]) -> int:
    """Return how many items of the random sample must have a class before a model can be measured on them.

    Items that are of no class cannot be waited for in a sample that is not larger.
    """
    without = sum(labels.get(int(row)) == LEAVE_OUT for row in sample)
    return max(1, min(SAMPLE_LEAST, len(sample) - without))
