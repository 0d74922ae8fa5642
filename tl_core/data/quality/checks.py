"""What a check looks at, and what it returns: findings with the items behind them. Legend: N items, D features."""

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
"""Items that a finding names; the suspicion has them all."""
_GRAVITY = {"stop": 0, "warn": 1, "info": 2}


@dataclass(frozen=True)
class Suspicion:
    """One finding, the items behind it, and what is proposed for them; nothing is done before a person says so.

    `rows` are row numbers of the manifest, the gravest first where there are `scores` (one a row, falling), else
    ascending. `groups` says which rows belong together, where the finding is about more than single items.
    `suggested` is what each row's label may be instead: a class, or several where items may have several.
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
    """The nearest other items of each by Euclidean distance, nearest first.

    `distance` and `row` are `[N, k]`; identical items are never neighbours of each other, and a place that nothing
    fills has distance inf and row -1.
    """

    distance: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class CheckInput:
    """What the checks read. What is None was not made, and the checks that need it are left out.

    `picture_stats` is `[N, 4]` in the order of STAT_NAMES; `languages` names the language of each text `[N]`,
    "" where it cannot be told; `features` are points `[N, D]` as tl_core.data.quality.nearest_neighbours makes them,
    and `nearest` follows from them; `probabilities` `[N, K]` holds
    what a model said about items that it had not seen, nan for items that it said nothing about.
    """

    dataset: Dataset
    picture_stats: np.ndarray | None = None
    languages: np.ndarray | None = None
    features: np.ndarray | None = None
    nearest: Nearest | None = None
    probabilities: np.ndarray | None = None

    def has(self, need: NeededInput) -> bool:
        """Return whether something was made."""
        return getattr(self, need) is not None and (need != "features" or self.nearest is not None)

    @cached_property
    def inside(self) -> np.ndarray:
        """Which items take part: bool `[N]`; those that were dropped do not."""
        return self.dataset.included

    def open(self, code: str) -> np.ndarray:
        """Return which items take part and were not decided about as an answer to the finding `code`: bool `[N]`."""
        found = self.inside.copy()
        found[list(answered_rows(self.dataset.decisions, code))] = False
        return found

    def undecided(self, groups: list[np.ndarray], code: str) -> list[np.ndarray]:
        """Return the groups of rows of which at least one was not decided about as an answer to `code`."""
        waiting = self.open(code)
        return [group for group in groups if waiting[group].any()]

    @cached_property
    def tested(self) -> np.ndarray:
        """Which items are in the test set: bool `[N]`."""
        return self.dataset.splits == "test"

    def name(self, rows: Iterable[int]) -> tuple[str, ...]:
        """Return the ids of the first of some rows, for a finding."""
        return tuple(self.dataset.items["id"].iloc[list(rows)[:NAMED]])


@dataclass(frozen=True)
class Check:
    """One kind of thing to look for. `rank` orders findings of one level: the smaller, the graver."""

    name: str
    title: str
    find: Callable[[CheckInput], list[Suspicion]]
    rank: int
    needs: tuple[NeededInput, ...] = ()
    modality: Modality | None = None

    def fits(self, dataset: Dataset) -> bool:
        """Return whether there is anything to look for in such data."""
        return self.modality in (None, dataset.modality)


CHECKS: Registry[Check] = Registry("check", "tl_core.data.quality")


def run_checks(material: CheckInput) -> tuple[Suspicion, ...]:
    """Return what every check finds that has what it needs, the gravest first."""
    found = []
    for check in CHECKS.values():
        if check.fits(material.dataset) and all(material.has(need) for need in check.needs):
            found += [(_GRAVITY[s.finding.level], check.rank, s) for s in check.find(material)]
    return tuple(s for _, _, s in sorted(found, key=lambda each: each[:2]))
