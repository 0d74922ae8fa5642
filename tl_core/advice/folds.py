"""Folds and samples of items that keep together what belongs together. N items; a unit is never divided."""

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import tied_groups
from tl_core.data.split import together


def units(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a unit number for each row: items that the split or a person keeps together share a unit."""
    ties = (*dataset.near_ties, tied_groups(dataset.decisions, len(dataset.items)))
    return np.unique(together(dataset.items, ties)[rows], return_inverse=True)[1]


def make_folds(y_N: np.ndarray, unit_N: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the fold of each item `[N]`, stratified by class, each unit whole in one fold; -1 is never held out.

    There are ten folds up to 200 items, five above, and never more than the largest class has units. A class with a
    single unit cannot be both learned and tested: it stays in every training part.
    """
    order = np.random.default_rng(seed).permutation(unit_N.max() + 1)
    size = np.bincount(unit_N)
    label = np.zeros(len(size), dtype=np.int64)
    label[unit_N[::-1]] = y_N[::-1]
    per_class = np.bincount(label, minlength=y_N.max() + 1)
    count = min(10 if len(y_N) <= 200 else 5, int(per_class.max()))
    fold = np.full(len(size), -1)
    filled = np.zeros((count, len(per_class)))
    for unit in sorted(order, key=lambda u: (label[u], -size[u])):
        if per_class[label[unit]] > 1 and count > 1:
            place = np.lexsort((filled.sum(axis=1), filled[:, label[unit]]))[0]
            fold[unit] = place
            filled[place, label[unit]] += size[unit]
    return fold[unit_N]


def sample(y_N: np.ndarray, unit_N: np.ndarray, count: int) -> np.ndarray:
    """Return about `count` rows: whole units, each class by its share, and at least two units where it has them."""
    if len(y_N) <= count:
        return np.arange(len(y_N))
    order = np.random.default_rng(0).permutation(unit_N.max() + 1)[unit_N]
    rows = []
    for label in np.unique(y_N):
        members = np.flatnonzero(y_N == label)
        members = members[np.argsort(order[members], kind="stable")]
        share = max(2, round(count * len(members) / len(y_N)))
        rows.append(members[np.isin(unit_N[members], unit_N[members[:share]])])
    return np.sort(np.concatenate(rows))
