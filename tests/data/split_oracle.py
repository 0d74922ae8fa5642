"""The split row by row in plain Python: the reference for the vectorised implementation."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_core.data.split import SplitSpec

SPLITS = ("train", "validation", "test")
_ENOUGH = 4  # units from which a class has one in every split


def assign(items: pd.DataFrame, spec: SplitSpec) -> np.ndarray:
    """Return the split name of each row `[N]`, a pure function of the manifest and the spec.

    Items of equal digest or equal group (chains of both included) stay together. Every class keeps at least one
    item in train. With `honour_given`, rows that the source places stay there, and only a split that the source
    lacks is carved out of train: validation where there is train and test, test where there is train and
    validation. A row that it leaves open joins an identical item's split, else train. A source that names no
    train split at all is split as if it named none.
    """
    _check(spec)
    labels = items["label"].to_numpy(dtype=np.int64)
    given = items["given"].to_numpy(dtype=object)
    units = _units(items)
    if not (spec.honour_given and (given == "train").any()):
        return _carve(labels, units, items["digest"], {"test": spec.test, "validation": spec.validation}, spec.seed)
    result = _complete(given, units)
    missing = [s for s in ("test", "validation") if not (result == s).any()]
    whole = 1 - sum({"test": spec.test, "validation": spec.validation}[s] for s in SPLITS[1:] if s not in missing)
    fractions = {s: getattr(spec, s) / whole for s in missing}
    leaking = np.unique(units[result != "train"])
    pool = np.flatnonzero((result == "train") & ~np.isin(units, leaking))
    if fractions and len(pool):
        anchored = np.unique(labels[(result == "train") & np.isin(units, leaking)])
        digests = items["digest"].iloc[pool]
        result[pool] = _carve(labels[pool], units[pool], digests, fractions, spec.seed, frozenset(anchored.tolist()))
    return result


def _check(spec: SplitSpec) -> None:
    if not (0 <= spec.validation < 1 and 0 <= spec.test < 1 and spec.validation + spec.test < 1):
        raise ValueError(f"validation {spec.validation} and test {spec.test} must leave something to train on")


def _complete(given: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Put rows without a given split where an identical item is (train first), else into train."""
    result = given.copy()
    homes: dict[int, str] = {}
    for split in reversed(SPLITS):
        homes |= dict.fromkeys(units[given == split].tolist(), split)
    for row in np.flatnonzero(~np.isin(given, SPLITS)):
        result[row] = homes.get(int(units[row]), "train")
    return result


def _units(items: pd.DataFrame) -> np.ndarray:
    """Number the sets of rows `[N]` that stay together: those that an equal digest or group connects."""
    parent: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while (up := parent.setdefault(node, node)) != node:
            parent[node] = node = parent[up]
        return node

    digests = [("digest", digest) for digest in items["digest"]]
    for digest, group in zip(digests, items["group"], strict=True):
        if group:
            parent[root(digest)] = root(("group", group))
    roots = [root(digest) for digest in digests]
    number = {node: i for i, node in enumerate(dict.fromkeys(roots))}
    return np.array([number[node] for node in roots], dtype=np.int64)


@dataclass(eq=False)
class _Unit:
    rows: np.ndarray
    label: int  # the most frequent one of its rows
    key: str  # smallest digest: an order that does not depend on the order of the manifest
    home: str = "train"


def _carve(
    labels: np.ndarray,
    units: np.ndarray,
    digests: Iterable[str],
    fractions: dict[str, float],
    seed: int,
    anchored: frozenset[int] = frozenset(),
) -> np.ndarray:
    """Split rows into the named fractions and train; classes in `anchored` have train items elsewhere already."""
    members = _members(labels, units, np.asarray(list(digests), dtype=object))
    carry = dict.fromkeys(fractions, 0.0)
    by_label: dict[int, list[_Unit]] = {}
    for unit in sorted(members, key=lambda u: u.key):
        by_label.setdefault(unit.label, []).append(unit)
    for label, mine in sorted(by_label.items()):
        order = np.random.default_rng([seed, label]).permutation(len(mine))
        _fill([mine[i] for i in order], fractions, carry)
    _keep_in_train(members, labels, anchored)
    _none_empty(members, labels, fractions, anchored)
    result = np.empty(len(labels), dtype=object)
    for unit in members:
        result[unit.rows] = unit.home
    return result


def _members(labels: np.ndarray, units: np.ndarray, digests: np.ndarray) -> list[_Unit]:
    order = np.argsort(units, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(units[order])) + 1) if len(order) else []
    return [_Unit(rows, int(np.bincount(labels[rows]).argmax()), min(digests[rows])) for rows in groups]


def _fill(units: list[_Unit], fractions: dict[str, float], carry: dict[str, float]) -> None:
    """Assign the units of one class in order. `carry` passes rounding errors on to the next class."""
    n = sum(len(u.rows) for u in units)
    free = len(units) - 1
    waiting = list(units)
    for split, fraction in fractions.items():
        carry[split] += fraction * n
        floor = 1 if fraction > 0 and len(units) >= _ENOUGH else 0
        quota = max(floor, int(np.floor(carry[split] + 0.5)))
        taken = 0
        for unit in list(waiting):
            small_enough = len(unit.rows) <= 2 * (quota - taken)
            if free > 0 and taken < quota and small_enough:
                unit.home = split
                waiting.remove(unit)
                taken += len(unit.rows)
                free -= 1
        if floor and not taken and free > 0:
            smallest = min(waiting, key=lambda u: len(u.rows))
            smallest.home = split
            waiting.remove(smallest)
            taken, free = len(smallest.rows), free - 1
        carry[split] = max(-1.0, min(1.0, carry[split] - taken))


def _keep_in_train(units: list[_Unit], labels: np.ndarray, anchored: frozenset[int]) -> None:
    """Move units to train until it has every class, smallest first."""
    inside = set(labels[_rows_of(units, "train")].tolist()) | anchored
    for label in np.unique(labels).tolist():
        if label not in inside:
            holders = [u for u in units if label in labels[u.rows]]
            back = min(holders, key=lambda u: (len(u.rows), u.key))
            back.home = "train"
            inside |= set(labels[back.rows].tolist())


def _none_empty(units: list[_Unit], labels: np.ndarray, fractions: dict[str, float], anchored: frozenset[int]) -> None:
    """Give each empty split the smallest unit that train can spare."""
    for split, fraction in fractions.items():
        if fraction <= 0 or any(u.home == split for u in units):
            continue
        trained = [u for u in units if u.home == "train"]
        holders = Counter(label for u in trained for label in set(labels[u.rows].tolist()))
        holders.update(anchored)
        spare = [u for u in trained if all(holders[label] > 1 for label in set(labels[u.rows].tolist()))]
        if spare:
            min(spare, key=lambda u: (len(u.rows), u.key)).home = split


def _rows_of(units: list[_Unit], split: str) -> np.ndarray:
    rows = [u.rows for u in units if u.home == split]
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
