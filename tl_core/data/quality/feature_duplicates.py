"""Near-duplicates in feature space: items far closer to each other than items of the data set usually are."""

import numpy as np

from tl_core.data.decisions import Decision
from tl_core.data.groups import components
from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Nearest, Suspicion
from tl_core.data.quality.exact_copies import as_tuples, crossing_split, members
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.types import Finding

CLOSE = 0.5
"""Largest distance of near-duplicates. The unit is the root mean square distance of items to their mean."""
TIMES = 2.0
"""How many times nearer near-duplicates are to each other than either is to its tenth nearest item."""
ODD = 3.0
"""Robust deviations by which the log distance of near-duplicates lies below the median one to a nearest item."""


def alike_groups(nearest: Nearest, inside: np.ndarray) -> np.ndarray:
    """Return the group of near-duplicates of each item `[N]`; -1 for an item without one.

    Two items are near-duplicates if their distance is below CLOSE, ODD deviations below the median nearest distance
    of the data set, and TIMES smaller than the distance of each to its tenth nearest item.
    """
    n = len(inside)
    distance, row = nearest.distance, nearest.row
    first = np.log(np.where(np.isfinite(distance[:, 0]), distance[:, 0], np.nan) + 1e-7)
    finite = first[inside & np.isfinite(first)]
    if not len(finite):
        return np.full(n, -1)
    middle = float(np.median(finite))
    upper = np.percentile(finite, 84) - middle  # near-duplicates widen only the lower side
    limit = min(CLOSE, float(np.exp(middle - ODD * max(upper, 0.1))))
    tenth = np.where(row >= 0, distance, -np.inf).max(axis=1)
    left, place = np.nonzero((row >= 0) & (distance < limit) & inside[:, None])
    right = row[left, place]
    near = distance[left, place] * TIMES < np.minimum(tenth[left], tenth[right])
    number = components(n, np.stack([left[near], right[near]], axis=1))
    number[(np.bincount(number)[number] < 2) | ~inside] = -1
    return number


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return the groups of near-duplicates by features, and say how many of them cross the split."""
    assert check_input.nearest is not None
    dataset = check_input.dataset
    groups = check_input.undecided(members(alike_groups(check_input.nearest, check_input.inside)), "alike")
    if not groups:
        return []
    one, many = NOUNS[dataset.modality]
    rows = np.concatenate(groups)
    proposed = tuple(Decision("together", tuple(g.tolist()), code="alike") for g in groups)
    across = crossing_split(groups, dataset.splits)
    also = f" {count(len(across), 'group has', 'groups have')} items in train and outside of it." if across else ""
    finding = Finding(
        "warn" if across else "info",
        "alike",
        f"{count(len(groups), 'group', 'groups')} of {many} ({len(rows):,} in all) look like versions of one "
        f"{one} to the model that read your data.{also} Many of these groups are copies; some only look alike.",
        "Tie each group together, so that it lies on one side of the split and no training item is tested on; "
        "or say that they are different.",
        check_input.ids([int(g[0]) for g in groups[:NAMED]]),
    )
    return [Suspicion(finding, tuple(rows.tolist()), as_tuples(groups), proposed=proposed)]


CHECKS.add(Check(name="alike", title="Near-duplicates, as a model sees them", find=find, rank=30, needs=("features",)))
