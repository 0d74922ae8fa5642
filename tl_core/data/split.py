"""Train, validation and test splits: stratified and random, or by time. Similar items stay in one split.

Legend: N rows, U units (sets of rows that stay together). In arrays a split is its index in SPLITS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pydantic

from tl_core.data.groups import components
from tl_core.types import Finding

SPLITS = ("train", "validation", "test")
_TRAIN, _VALIDATION, _TEST, _OPEN = 0, 1, 2, -1
_MIN_UNITS = 4  # units from which a class gets one in every split


@dataclass(frozen=True)
class SplitSpec:
    """How to split: fractions of the whole, a seed, and whether to use the split that the source names.

    `by` "time" tests on the newest items instead of random ones. `keep_near` keeps near-duplicates in one split.
    A spec saved by a version without these two fields still reads and writes without them, so that results stored under
    its hash are found again.
    """

    validation: float = 0.15
    test: float = 0.15
    seed: int = 0
    honour_given: bool = True
    by: Literal["random", "time"] = "random"
    keep_near: bool = True

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_older(cls, data: Any) -> Any:
        return {"keep_near": False} | data if isinstance(data, dict) and data else data

    @pydantic.model_serializer(mode="wrap")
    def _write_older(self, dump: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        if self.by == "random" and not self.keep_near:
            return {name: value for name, value in fields.items() if name not in ("by", "keep_near")}
        return fields


def assign(items: pd.DataFrame, spec: SplitSpec, ties: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return the split name of each row `[N]`, a pure function of the manifest, the spec and the ties.

    Items with equal digests, equal groups, or equal numbers in one of `ties` (`[N]` each, negative for untied) stay
    together, transitively. Every class keeps at least one item in train.

    With `honour_given`, rows that the source assigns stay there. Only a split that the source lacks is taken out of
    train: validation where it names train and test, test where it names train and validation. A row without a given
    split joins the split of the rows it is tied to, else train. A source that names no train split is split as if it
    named none.

    By time, the newest units go to test and the next to validation. A unit is as old as its oldest item, and units of
    one moment stay together. Items without a time go to train. Classes are ignored. Where fewer than two moments are
    known, the split is random (see `time_findings`).
    """
    _check(spec)
    if items.empty:
        return np.empty(0, dtype=object)
    units = together(items, ties)
    given = _given(items)
    if not (spec.honour_given and (given == _TRAIN).any()):
        fractions = {_TEST: spec.test, _VALIDATION: spec.validation}
        return _named(_carve(_Rows.of(items, units), fractions, spec))
    result = _complete(given, units)
    missing = [s for s in (_TEST, _VALIDATION) if not (result == s).any()]
    whole = 1 - sum({_TEST: spec.test, _VALIDATION: spec.validation}[s] for s in (1, 2) if s not in missing)
    fractions = {s: getattr(spec, SPLITS[s]) / whole for s in missing}
    leaking = np.zeros(units.max() + 1, dtype=bool)
    leaking[units[result != _TRAIN]] = True
    pool = np.flatnonzero((result == _TRAIN) & ~leaking[units])
    if fractions and len(pool):
        labels = items["label"].to_numpy(dtype=np.int64)
        anchored = np.unique(labels[(result == _TRAIN) & leaking[units]])
        result[pool] = _carve(_Rows.of(items.iloc[pool], units[pool], anchored), fractions, spec)
    return _named(result)


def split_rule(items: pd.DataFrame, spec: SplitSpec) -> Literal["given", "time", "random"]:
    """Return how `assign` splits the items: as the source names, by time, or at random."""
    if spec.honour_given and (items["given"] == "train").any():
        return "given"
    return "time" if spec.by == "time" and _moments(items) > 1 else "random"


def time_findings(items: pd.DataFrame, spec: SplitSpec) -> list[Finding]:
    """Return findings on a split by time: that it is impossible, or which items it could not place."""
    if spec.by != "time":
        return []
    if _moments(items) < 2:
        message = "The data cannot be split by time, because no two items have different times."
        return [Finding("warn", "no-time", f"{message} They are split at random.", "Name a column with dates.")]
    n = int((~np.isfinite(items["time"])).sum())
    if not n:
        return []
    message = (
        f"{n:,} {'item has' if n == 1 else 'items have'} no time and {'is' if n == 1 else 'are'} in the training set."
    )
    return [Finding("info", "some-without-time", message, "Fill in the missing dates if you can.")]


def given_findings(items: pd.DataFrame, spec: SplitSpec) -> list[Finding]:
    """Return a finding where the split that the source names leaves nothing to learn from."""
    named = items["given"][items["given"] != ""]
    if named.empty or (named == "train").any() or not spec.honour_given:
        return []
    which = " or ".join(name for name in SPLITS if (named == name).any())
    n = "the only item is" if len(items) == 1 else f"{len(named):,} of {len(items):,} items are"
    message = f"The data say that {n} for {which}, and none for train, so there would be nothing to learn from."
    hint = "If they are your test items, import them together with your training items."
    return [Finding("warn", "given-without-train", f"{message} Graft made a new split instead.", hint)]


def group_findings(items: pd.DataFrame, spec: SplitSpec, ties: Sequence[np.ndarray] = ()) -> list[Finding]:
    """Return a finding on how many groups the split keeps in one part that it would divide if it ignored them."""
    groups = items["group"][items["group"] != ""]
    several = groups[groups.duplicated(keep=False)]
    if several.empty or split_rule(items, spec) == "given":
        return []
    without = pd.Series(assign(items.assign(group=""), spec, ties), index=items.index)
    divided = int((without[several.index].groupby(several).nunique() > 1).sum())
    message = (
        f"Items of a group stay in one part of the split: {divided:,} of {several.nunique():,} groups of several items "
        "would have been divided."
    )
    return [Finding("info", "groups-kept", message, "So the scores are those on groups that the model has not seen.")]


def _moments(items: pd.DataFrame) -> int:
    """Return the number of different times."""
    return int(items["time"][np.isfinite(items["time"])].nunique()) if "time" in items else 0


def _check(spec: SplitSpec) -> None:
    if not (0 <= spec.validation < 1 and 0 <= spec.test < 1 and spec.validation + spec.test < 1):
        raise ValueError(f"validation {spec.validation} and test {spec.test} must leave something to train on")


def _named(codes: np.ndarray) -> np.ndarray:
    return np.array(SPLITS, dtype=object)[codes]


def _given(items: pd.DataFrame) -> np.ndarray:
    codes, names = pd.factorize(items["given"])
    indices = [SPLITS.index(name) if name in SPLITS else _OPEN for name in names]
    return np.array([*indices, _OPEN], dtype=np.int8)[codes]


def _complete(given: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Put rows without a given split where the rows are that they are tied to (train first), else into train."""
    split_of = np.full(units.max() + 1, _TRAIN, dtype=np.int8)
    for split in (_TEST, _VALIDATION, _TRAIN):
        split_of[units[given == split]] = split
    return np.where(given == _OPEN, split_of[units], given)


def together(items: pd.DataFrame, ties: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Number the units `[N]`: sets of rows that a digest, a group or a tie connects."""
    groups = items["group"].fillna("")
    named = np.where(groups == "", -1, pd.factorize(groups)[0])
    return unite(pd.factorize(items["digest"])[0], named, *ties)


def unite(*ties: np.ndarray) -> np.ndarray:
    """Number the sets of rows `[N]` that equal numbers in any of the arrays `[N]` connect; a negative one ties none."""
    n, rows, nodes, offset = len(ties[0]), [], [], len(ties[0])
    for tie in ties:
        tied = np.flatnonzero(tie >= 0)
        rows.append(tied)
        nodes.append(offset + tie[tied].astype(np.int64))
        offset += int(tie.max(initial=-1)) + 1
    edges = np.stack([np.concatenate(rows), np.concatenate(nodes)], axis=1)
    return np.unique(components(offset, edges)[:n], return_inverse=True)[1]


@dataclass(frozen=True)
class _Rows:
    """Rows to split `[N]`, and their units `[U]`. `rank` orders units independently of the order of the manifest.

    `label` of a unit is the most frequent one of its rows; `pairs` `[P, 2]` holds each unit with each label in it.
    Classes in `anchored` already have other items in train. `time` is inf where it is unknown.
    """

    unit: np.ndarray
    labels: np.ndarray
    size: np.ndarray
    rank: np.ndarray
    label: np.ndarray
    time: np.ndarray
    pairs: np.ndarray
    anchored: np.ndarray

    @classmethod
    def of(cls, items: pd.DataFrame, units: np.ndarray, anchored: np.ndarray | None = None) -> "_Rows":
        """Take the rows of a manifest with the number of each one's unit."""
        unit = np.unique(units, return_inverse=True)[1]
        labels = items["label"].to_numpy(dtype=np.int64)
        size = np.bincount(unit)
        digest = pc.rank(pa.array(items["digest"], type=pa.large_string()), tiebreaker="dense").to_numpy()
        rank = np.full(len(size), len(unit) + 1, dtype=np.int64)
        np.minimum.at(rank, unit, digest.astype(np.int64))
        time = np.full(len(size), np.inf)
        if "time" in items:
            when = items["time"].to_numpy(dtype=np.float64)
            np.minimum.at(time, unit, np.where(np.isfinite(when), when, np.inf))
        pairs, count = np.unique(unit * (labels.max() + 1) + labels, return_counts=True)
        pairs = np.stack(np.divmod(pairs, labels.max() + 1), axis=1)
        best = pairs[np.lexsort((pairs[:, 1], -count, pairs[:, 0]))]
        label = best[np.unique(best[:, 0], return_index=True)[1], 1]
        none = np.empty(0, dtype=np.int64)
        return cls(unit, labels, size, rank, label, time, pairs, none if anchored is None else anchored)

    def smallest(self, units: np.ndarray) -> int:
        """Return the smallest of some units, among equals the first in rank."""
        return int(units[np.lexsort((self.rank[units], self.size[units]))[0]])


def _carve(rows: _Rows, fractions: dict[int, float], spec: SplitSpec) -> np.ndarray:
    """Return the split of each row: the given fractions in their splits, the rest in train."""
    if spec.by == "time" and len(np.unique(rows.time[np.isfinite(rows.time)])) > 1:
        return _newest(rows, fractions)[rows.unit]
    split_of = np.full(len(rows.size), _TRAIN, dtype=np.int8)
    carry = dict.fromkeys(fractions, 0.0)
    by_label = np.lexsort((rows.rank, rows.label))
    for members in np.split(by_label, np.flatnonzero(np.diff(rows.label[by_label])) + 1):
        order = np.random.default_rng([spec.seed, int(rows.label[members[0]])]).permutation(len(members))
        _fill(members[order], rows.size, split_of, fractions, carry)
    _keep_in_train(rows, split_of)
    _fill_empty_splits(rows, split_of, fractions)
    return split_of[rows.unit]


def _newest(rows: _Rows, fractions: dict[int, float]) -> np.ndarray:
    """Return the split of each unit `[U]` by time. The oldest moment stays in train."""
    split_of = np.full(len(rows.size), _TRAIN, dtype=np.int8)
    moments, at = np.unique(rows.time, return_inverse=True)
    counts = np.bincount(at, weights=rows.size)
    counts, last = counts[np.isfinite(moments)], int(np.isfinite(moments).sum())
    wanted = [split for split, fraction in fractions.items() if fraction > 0]
    for left, split in reversed(list(enumerate(reversed(wanted)))):
        within = np.cumsum(counts[1:last][::-1])[: max(1, last - 1 - left)]  # leaves one moment for each split to come
        if len(within):
            taken = 1 + int(np.abs(within - fractions[split] * len(rows.unit)).argmin())
            split_of[(at < last) & (at >= last - taken)] = split
            last -= taken
    return split_of


def _fill(
    units: np.ndarray, sizes: np.ndarray, split_of: np.ndarray, fractions: dict[int, float], carry: dict[int, float]
) -> None:
    """Assign the units of one class in order. `carry` passes rounding errors on to the next class."""
    size = sizes[units]
    n, free = int(size.sum()), len(units) - 1
    unassigned = np.ones(len(units), dtype=bool)
    for split, fraction in fractions.items():
        carry[split] += fraction * n
        floor = 1 if fraction > 0 and len(units) >= _MIN_UNITS else 0
        quota = max(floor, int(np.floor(carry[split] + 0.5)))
        places = np.flatnonzero(unassigned)
        chosen, taken = _up_to(size[places], quota, free)
        if floor and not taken and free > 0:
            chosen = [int(size[places].argmin())]
            taken = int(size[places][chosen[0]])
        split_of[units[places[chosen]]] = split
        unassigned[places[chosen]] = False
        free -= len(chosen)
        carry[split] = max(-1.0, min(1.0, carry[split] - taken))


def _up_to(sizes: np.ndarray, quota: int, free: int) -> tuple[list[int], int]:
    """Return the places of units up to a quota, taken in turn but without large ones, and their number of rows."""
    chosen: list[int] = []
    taken = 0
    for place, size in enumerate(sizes.tolist()):
        if len(chosen) >= free or taken >= quota:
            break
        if size <= 2 * (quota - taken):
            chosen.append(place)
            taken += size
    return chosen, taken


def _keep_in_train(rows: _Rows, split_of: np.ndarray) -> None:
    """Move units to train until it has every class, smallest first. Units of mixed classes can leave one out."""
    pairs = rows.pairs
    inside = {*pairs[split_of[pairs[:, 0]] == _TRAIN, 1].tolist(), *rows.anchored.tolist()}
    for label in sorted(set(pairs[:, 1].tolist()) - inside):
        if label not in inside:
            back = rows.smallest(pairs[pairs[:, 1] == label, 0])
            split_of[back] = _TRAIN
            inside |= set(pairs[pairs[:, 0] == back, 1].tolist())


def _fill_empty_splits(rows: _Rows, split_of: np.ndarray, fractions: dict[int, float]) -> None:
    """Give each empty split the smallest unit that train can spare."""
    for split, fraction in fractions.items():
        if fraction <= 0 or (split_of == split).any():
            continue
        trained = rows.pairs[split_of[rows.pairs[:, 0]] == _TRAIN]
        holders = np.bincount(np.concatenate([trained[:, 1], rows.anchored]))
        needed = np.unique(trained[holders[trained[:, 1]] < 2, 0])
        spare = np.setdiff1d(trained[:, 0], needed)
        if len(spare):
            split_of[rows.smallest(spare)] = split
