"""Near copies that only a model sees as such: far nearer to each other than the data set's items are."""

import numpy as np

from tl_core.data.decisions import Decision
from tl_core.data.groups import components
from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Nearest, Suspicion
from tl_core.data.quality.exact_copies import members, plain, straddling
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.types import Finding

CLOSE = 0.5
"""Distance, in units of the usual one from the middle of all items, above which two are never called near copies."""
TIMES = 2.0
"""How many times nearer near copies are to each other than to the tenth nearest item of each."""
ODD = 3.0
"""Robust deviations by which the log distance of near copies is below the usual one to the nearest item."""


def alike_groups(nearest: Nearest, inside: np.ndarray) -> np.ndarray:
    """Return a group number for each item `[N]`, -1 for those without a near copy.

    Two items are near copies where their distance is below CLOSE, ODD deviations below the data set's usual nearest
    distance, and TIMES below the distance of both to their tenth nearest item.
    """
    n = len(inside)
    distance, row = nearest.distance, nearest.row
    first = np.log(np.where(np.isfinite(distance[:, 0]), distance[:, 0], np.nan) + 1e-7)
    known = first[inside & np.isfinite(first)]
    if not len(known):
        return np.full(n, -1)
    middle = float(np.median(known))
    upper = np.percentile(known, 84) - middle  # near copies are on the lower side only, so the upper tells the spread
    limit = min(CLOSE, float(np.exp(middle - ODD * max(upper, 0.1))))
    tenth = np.where(row >= 0, distance, -np.inf).max(axis=1)
    left, place = np.nonzero((row >= 0) & (distance < limit) & inside[:, None])
    right = row[left, place]
    near = distance[left, place] * TIMES < np.minimum(tenth[left], tenth[right])
    number = components(n, np.stack([left[near], right[near]], axis=1))
    number[(np.bincount(number)[number] < 2) | ~inside] = -1
    return number


def find(material: CheckInput) -> list[Suspicion]:
    """Return near copies by features, and those of them that stand on both sides of the split."""
    assert material.nearest is not None
    dataset = material.dataset
    groups = material.undecided(members(alike_groups(material.nearest, material.inside)), "alike")
    if not groups:
        return []
    one, many = NOUNS[dataset.modality]
    rows = np.concatenate(groups)
    proposed = tuple(Decision("together", tuple(g.tolist()), code="alike") for g in groups)
    across = straddling(groups, dataset.splits)
    also = f" {count(len(across), 'group has', 'groups have')} items in train and outside of it." if across else ""
    finding = Finding(
        "warn" if across else "info",
        "alike",
        f"{count(len(groups), 'group', 'groups')} of {many} ({len(rows):,} in all) look like versions of one "
        f"{one} to the model that looked at your data.{also} Many such groups are right, some are only alike.",
        "Tie each group together, so that it lies on one side of the split and nothing learned is measured again; "
        "or say that they are different.",
        material.name([int(g[0]) for g in groups[:NAMED]]),
    )
    return [Suspicion(finding, tuple(rows.tolist()), plain(groups), proposed=proposed)]


CHECKS.add(Check(name="alike", title="Near copies, as a model sees them", find=find, rank=30, needs=("features",)))
