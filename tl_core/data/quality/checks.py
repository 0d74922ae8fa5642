"""The input and the output of a quality check. Legend: N items, D features, K classes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision, answered_rows
from tl_core.registry import Registry
from tl_core.types import Finding, Modality

NeededInput = Literal["picture_stats", "languages", "features", "probabilities"]
NAMED = 20
"""Most items that a finding names; the suspicion holds all of them."""
_SEVERITY = {"stop": 0, "warn": 1, "info": 2}


@dataclass(frozen=True)
class Suspicion:
    """One finding, the items behind it, and the decisions proposed for them, which only a person can take.

    `rows` are row numbers of the manifest: with `scores` (one per row, falling) the worst first, else ascending.
    `groups` holds rows that belong together, where the finding is about more than single items.
    `suggested` holds a possible label for each row: a class, or a tuple of classes in a multilabel data set.
    """

    finding: Finding
    rows: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    scores: tuple[float, ...] = ()
    suggested: tuple[str | tuple[str, ...], ...] = ()
    proposed: tuple[Decision, ...] = ()

    @property
    def code(self) -> str:
        """Return the code of the finding."""
        return self.finding.code


@dataclass(frozen=True)
class Nearest:
    """The nearest other items of each item by Euclidean distance, nearest first.

    `distance` and `row` are `[N, k]`. Identical items are never neighbours of each other. An unfilled place has
    distance inf and row -1.
    """

    distance: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class CheckInput:
    """What the checks read. An input that was not made is None, and the checks that need it are skipped.

    `picture_stats` is `[N, 4]` in the order of `picture_stats.STAT_NAMES`. `languages` holds the language code of each
    text `[N]`, "" where it is unknown. `features` are points `[N, D]` from `nearest_neighbours.points`, and `nearest`
    is computed from them. `probabilities` `[N, K]` are predicted by models that had not seen the item; nan where there
    is no prediction.
    """

    dataset: Dataset
    picture_stats: np.ndarray | None = None
    languages: np.ndarray | None = None
    features: np.ndarray | None = None
    nearest: Nearest | None = None
    probabilities: np.ndarray | None = None

    def has(self, need: NeededInput) -> bool:
        """Return whether an input is there."""
        return getattr(self, need) is not None and (need != "features" or self.nearest is not None)

    @cached_property
    def inside(self) -> np.ndarray:
        """Which items take part: bool `[N]`. Dropped items do not."""
        return self.dataset.included

    def open(self, code: str) -> np.ndarray:
        """Return which items take part and have no decision that answers the finding `code`: bool `[N]`."""
        is_open = self.inside.copy()
        is_open[list(answered_rows(self.dataset.decisions, code))] = False
        return is_open

    def undecided(self, groups: list[np.ndarray], code: str) -> list[np.ndarray]:
        """Return the groups of rows in which at least one row is open for the finding `code`."""
        is_open = self.open(code)
        return [group for group in groups if is_open[group].any()]

    @cached_property
    def tested(self) -> np.ndarray:
        """Which items are in the test set: bool `[N]`."""
        return self.dataset.splits == "test"

    def ids(self, rows: Iterable[int]) -> tuple[str, ...]:
        """Return the ids of the first NAMED of some rows."""
        return tuple(self.dataset.items["id"].iloc[list(rows)[:NAMED]])


@dataclass(frozen=True)
class Check:
    """One kind of problem to look for. `rank` orders findings of the same level, the smaller the more severe."""

    name: str
    title: str
    find: Callable[[CheckInput], list[Suspicion]]
    rank: int
    needs: tuple[NeededInput, ...] = ()
    modality: Modality | None = None

    def fits(self, dataset: Dataset) -> bool:
        """Return whether the check applies to data of this modality."""
        return self.modality is None or self.modality in dataset.parts


CHECKS: Registry[Check] = Registry("check", "tl_core.data.quality")


def run_checks(check_input: CheckInput) -> tuple[Suspicion, ...]:
    """Run every check whose inputs are there, and return the suspicions, the most severe first."""
    ranked = []
    for check in CHECKS.values():
        if check.fits(check_input.dataset) and all(check_input.has(need) for need in check.needs):
            ranked += [(_SEVERITY[s.finding.level], check.rank, s) for s in check.find(check_input)]
    return tuple(s for _, _, s in sorted(ranked, key=lambda entry: entry[:2]))
