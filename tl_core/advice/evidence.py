"""The evidence: how well a linear head does at every depth of the frozen backbone, on the data itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tl_core.advice.linear import Held, cross_validate
from tl_core.advice.values import Pool, ProbeReport, TapScore, split_key
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.types import Estimate, Finding

RANK_ROWS = 1500
FINAL_ROWS = 10_000
MIN_ITEMS = 8
NO_EVIDENCE_L2 = 0.1
Z = 1.96


class Store(Protocol):
    """What the evidence reads: pooled features and the shift, from one earlier forward pass."""

    def features(self, dataset: Dataset, spec: BackboneSpec, tap: str | None = None, pool: str = "mean") -> np.ndarray:
        """Return features `[N, D]`."""
        ...

    def shift(self, dataset: Dataset, spec: BackboneSpec) -> dict[str, float]:
        """Return the normalisation-statistics shift of each layer group, empty where it is not measured."""
        ...


@dataclass(frozen=True)
class Choice:
    """A depth and a strength: `tap` indexes the depths, `l2` holds the index of the strength at each of them."""

    tap: int
    l2: tuple[int, ...]


def units(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a unit number for each row: identical items, and items of one group, share a unit."""
    items = dataset.items.iloc[rows]
    digest = items["digest"].factorize()[0]
    group = items["group"].fillna("").to_numpy(dtype=object)
    keyed = np.where(group == "", [f"row {row}" for row in rows], [f"group {name}" for name in group])
    names = np.unique(keyed, return_inverse=True)[1]
    n, edges = len(rows), np.arange(len(rows))
    ends = (np.concatenate([edges, edges]), np.concatenate([n + digest, 2 * n + names]))
    graph = coo_matrix((np.ones(2 * n), ends), shape=(3 * n, 3 * n))
    return np.unique(connected_components(graph, directed=False)[1][:n], return_inverse=True)[1]


def make_folds(y_N: np.ndarray, unit_N: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the fold of each item `[N]`, stratified, a unit whole in one fold; -1 is never held out.

    Ten folds up to 200 items, five above. A class that has a single unit cannot be learned and checked at once: it
    stays in every training part. Fewer units than folds make as many folds as units (leave one out).
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


def choose(held: Sequence[Held], rows_N: np.ndarray) -> Choice:
    """Return the depth and the strengths that the items `rows_N` (a mask) speak for.

    At each depth the most accurate strength; between equals, the lower cross-entropy. Of the depths, the deepest
    that is within one standard error of the best (the one-standard-error rule of Breiman et al. 1984, section 3.4.3, on
    paired differences; the larger of its estimates over folds and over items).
    """
    l2 = tuple(_strength(one, rows_N) for one in held)
    scores = np.stack([one.correct[index, rows_N] for one, index in zip(held, l2, strict=True)]).astype(float)
    best = int(np.argmax(scores.mean(axis=1)[::-1]))
    best = len(held) - 1 - best
    fold = held[0].fold[rows_N]
    for tap in range(len(held) - 1, best, -1):
        difference = scores[best] - scores[tap]
        if difference.mean() <= _standard_error(difference, fold):
            return Choice(tap, l2)
    return Choice(best, l2)


def _strength(held: Held, rows_N: np.ndarray) -> int:
    accuracy = held.correct[:, rows_N].mean(axis=1)
    surprise = held.surprise[:, rows_N].mean(axis=1)
    return int(np.lexsort((surprise, -accuracy))[0])


def _standard_error(difference_N: np.ndarray, fold_N: np.ndarray) -> float:
    means = np.array([difference_N[fold_N == fold].mean() for fold in np.unique(fold_N)])
    over_folds = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
    return float(max(over_folds, difference_N.std() / np.sqrt(len(difference_N))))
