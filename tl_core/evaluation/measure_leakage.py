"""Measure leakage through copies: accuracy under a split that ignores copies, against one that keeps them together.

Both splits are drawn several times from the training and validation items; the test items are not used.
"""

from collections.abc import Iterator

import numpy as np

from tl_core.advice.evidence import sample
from tl_core.advice.linear import TOLERANCE, solve, standardise
from tl_core.data.dataset import Dataset
from tl_core.data.split import SplitSpec, assign, together
from tl_core.evaluation.leakage import LeakageBias
from tl_core.statistics.intervals import corrected_t_interval
from tl_core.types import Estimate

DRAWS = 8
HELD_OUT_SHARE = 0.25
"""Share of the items that each draw holds out."""
MAX_ITEMS = 2000
"""Items to draw from: more would take longer and show the same."""
MIN_ITEMS = 40
"""With fewer items the two kinds of split cannot be told apart."""
MIN_REPEATED_SHARE = 0.005
"""Share of items with a copy below which ignoring copies cannot show."""


def worth_measuring(dataset: Dataset) -> bool:
    """Return whether enough training and validation items have a copy, and items have one label each."""
    rows = dataset.rows("train", "validation")
    if dataset.multilabel or len(rows) < MIN_ITEMS or len(np.unique(dataset.labels[rows])) < 2:
        return False
    return bool(_repeated(_units(dataset, rows)).mean() >= MIN_REPEATED_SHARE)


def measure_leakage(dataset: Dataset, backbone: str, features_ND: np.ndarray, l2: float) -> Iterator[LeakageBias | int]:
    """Yield the number of solved heads, out of 2 * DRAWS, and at the end the result.

    `features_ND` are the features of all items `[N, D]`; `l2` is the strength per item that the probe found best.
    Call this only if worth_measuring() is true.
    """
    rows = dataset.rows("train", "validation")
    unit = _units(dataset, rows)
    chosen = sample(dataset.labels[rows], unit, MAX_ITEMS)
    rows, unit = rows[chosen], np.unique(unit[chosen], return_inverse=True)[1]
    labels = np.unique(dataset.labels[rows], return_inverse=True)[1]
    scores = np.zeros((2, DRAWS))
    share = 0.0
    for draw in range(DRAWS):
        for kind, units in enumerate((unit, np.arange(len(rows)))):
            held = _draw(dataset, rows, units, draw)
            scores[kind, draw] = head_accuracy(features_ND[rows], labels, held, l2)
            share += held.mean() / scores.size
            yield 2 * draw + kind + 1
    yield LeakageBias(
        *(dataset.fingerprint, backbone),
        grouped=_estimate(scores[0], share, len(rows), clip=True),
        naive=_estimate(scores[1], share, len(rows), clip=True),
        inflation=_estimate(scores[1] - scores[0], share, len(rows)),
        items=len(rows),
        repeated=int(_repeated(unit).sum()),
        has_groups=bool((dataset.items["group"].iloc[rows] != "").any()),
    )


def _units(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the unit of each row: copies, near-duplicates and items of one group share one, whatever the split."""
    return np.unique(together(dataset.items, [dataset.near_groups()])[rows], return_inverse=True)[1]


def _repeated(unit_N: np.ndarray) -> np.ndarray:
    return np.bincount(unit_N)[unit_N] > 1


def _draw(dataset: Dataset, rows: np.ndarray, unit_N: np.ndarray, seed: int) -> np.ndarray:
    """Return which rows a draw holds out: bool `[N]`. Drawn like a data set's own split, with the given units."""
    items = dataset.items.iloc[rows].assign(group="", given="", label=dataset.labels[rows])
    items = items.assign(digest=[f"{number:09d}" for number in np.random.default_rng(seed).permutation(len(rows))])
    return assign(items, SplitSpec(validation=0.0, test=HELD_OUT_SHARE, seed=seed), [unit_N]) == "test"


def head_accuracy(x_ND: np.ndarray, y_N: np.ndarray, held_N: np.ndarray, l2: float) -> float:
    """Return the accuracy on the held-out items of a head trained on the others."""
    train, test = standardise(x_ND[~held_N], x_ND[held_N])
    if len(train) < train.shape[1]:  # fewer items than features: rotate into the space that the items span
        basis = np.linalg.svd(train, full_matrices=False)[2].T
        train, test = train @ basis, test @ basis
    onehot = np.eye(int(y_N.max()) + 1, dtype=np.float32)[y_N[~held_N]]
    weights = solve(train, onehot, l2, np.zeros((train.shape[1] + 1, onehot.shape[1])), tolerance=TOLERANCE)
    return float(((test @ weights[:-1] + weights[-1]).argmax(axis=1) == y_N[held_N]).mean())


def _estimate(scores: np.ndarray, share: float, n: int, clip: bool = False) -> Estimate:
    """Return the mean over draws with a t interval, corrected because the draws overlap."""
    mean, half = corrected_t_interval(scores, share)
    low, high = mean - half, mean + half
    method = f"{len(scores)} draws, corrected for their overlap"
    return Estimate(mean, max(0.0, low) if clip else low, min(1.0, high) if clip else high, n, method)
