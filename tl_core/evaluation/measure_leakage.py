"""What a split that ignores copies would have shown, beside one that keeps them together: the inflation, seen.

Both are drawn anew, several times, from the training and validation items; the test items are not touched.
"""

from collections.abc import Iterator

import numpy as np

from tl_core.advice.evidence import sample
from tl_core.advice.linear import TOLERANCE, solve, standardise
from tl_core.data.dataset import Dataset
from tl_core.data.near import near_groups
from tl_core.data.split import SplitSpec, assign, together
from tl_core.evaluation.leakage import LeakageBias
from tl_core.statistics.intervals import overlapping_draws
from tl_core.types import Estimate

DRAWS = 8
HELD = 0.25
"""Share of the items that a draw measures on."""
MOST = 2000
"""Items that are drawn from: more would take long to say the same."""
FEWEST = 40
"""Items below which the two kinds of split cannot be told apart."""
REPEATED = 0.005
"""Share of the items that must be like another one, so that ignoring it can show."""


def worth_measuring(dataset: Dataset) -> bool:
    """Return whether enough of the items to learn from are tied to another one, and have one label each."""
    rows = dataset.rows("train", "validation")
    if dataset.multilabel or len(rows) < FEWEST or len(np.unique(dataset.labels[rows])) < 2:
        return False
    return bool(_repeated(_units(dataset, rows)).mean() >= REPEATED)


def measure_leakage(dataset: Dataset, backbone: str, features_ND: np.ndarray, l2: float) -> Iterator[LeakageBias | int]:
    """Yield how many of the 2 * DRAWS heads are solved, and at last the score.

    `features_ND` are those of all items `[N, D]`, `l2` the strength per item that the probe found best.
    Call it where worth_measuring() says so.
    """
    rows = dataset.rows("train", "validation")
    unit = _units(dataset, rows)
    chosen = sample(dataset.labels[rows], unit, MOST)
    rows, unit = rows[chosen], np.unique(unit[chosen], return_inverse=True)[1]
    labels = np.unique(dataset.labels[rows], return_inverse=True)[1]
    scores = np.zeros((2, DRAWS))
    share = 0.0
    for draw in range(DRAWS):
        for kind, tied in enumerate((unit, np.arange(len(rows)))):
            held = _draw(dataset, rows, tied, draw)
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
    """Return a unit number for each row, whether or not the present split keeps near copies together."""
    return np.unique(together(dataset.items, [near_groups(dataset)])[rows], return_inverse=True)[1]


def _repeated(unit_N: np.ndarray) -> np.ndarray:
    return np.bincount(unit_N)[unit_N] > 1


def _draw(dataset: Dataset, rows: np.ndarray, unit_N: np.ndarray, seed: int) -> np.ndarray:
    """Return which rows a draw measures on: as the split of a data set is made, but for what it keeps together."""
    items = dataset.items.iloc[rows].assign(group="", given="", label=dataset.labels[rows])
    items = items.assign(digest=[f"{number:09d}" for number in np.random.default_rng(seed).permutation(len(rows))])
    return assign(items, SplitSpec(validation=0.0, test=HELD, seed=seed), [unit_N]) == "test"


def head_accuracy(x_ND: np.ndarray, y_N: np.ndarray, held_N: np.ndarray, l2: float) -> float:
    """Return the accuracy on the held items of a head that learned from the others."""
    train, test = standardise(x_ND[~held_N], x_ND[held_N])
    if len(train) < train.shape[1]:  # fewer items than features are rotated into their own space
        basis = np.linalg.svd(train, full_matrices=False)[2].T
        train, test = train @ basis, test @ basis
    onehot = np.eye(int(y_N.max()) + 1, dtype=np.float32)[y_N[~held_N]]
    weights = solve(train, onehot, l2, np.zeros((train.shape[1] + 1, onehot.shape[1])), tolerance=TOLERANCE)
    return float(((test @ weights[:-1] + weights[-1]).argmax(axis=1) == y_N[held_N]).mean())


def _estimate(scores: np.ndarray, share: float, n: int, clip: bool = False) -> Estimate:
    """Return the mean of draws that share items, with a t interval that is corrected for that."""
    mean, half = overlapping_draws(scores, share)
    low, high = mean - half, mean + half
    method = f"{len(scores)} draws, corrected for what they share"
    return Estimate(mean, max(0.0, low) if clip else low, min(1.0, high) if clip else high, n, method)
