"""Outliers: items far from everything in their class and in the data set. Legend: N items, D features."""

import numpy as np

from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.nearest_neighbours import NEIGHBOURS, distances
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.data.quality.robust_z import robust_z
from tl_core.data.sampling import sample_rows
from tl_core.types import Finding

FAR = 4.0
"""Robust deviations of the log distance, both within the class and the data set, from which an item is an outlier."""
_SMALL = 2 * NEIGHBOURS  # items below which a class is too small to estimate its spread
_SAMPLE = 1000  # items of a class that distances are computed to
_CHUNK = 1024


def class_distance(points_ND: np.ndarray, labels_N: np.ndarray, inside_N: np.ndarray) -> np.ndarray:
    """Return the mean Euclidean distance of each item to the ten nearest others of its class `[N]`.

    The kNN outlier score of Angiulli and Pizzuti (2002), within classes. In a class of more than 1,000 items, a sample
    of 1,000 is searched. nan for items that take no part, and in classes of fewer than 20.
    """
    distances_N = np.full(len(points_ND), np.nan)
    for label in np.unique(labels_N[inside_N]).tolist():
        rows = np.flatnonzero(inside_N & (labels_N == label))
        if len(rows) < _SMALL:
            continue
        others = rows[sample_rows(len(rows), _SAMPLE)]
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            distance = distances(points_ND[part], points_ND[others])
            distance[part[:, None] == others[None]] = np.inf
            distances_N[part] = np.partition(distance, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS].mean(axis=1)
    return distances_N


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return the items that are far from their class and from everything else, farthest first."""
    assert check_input.features is not None
    assert check_input.nearest is not None
    dataset, inside = check_input.dataset, check_input.inside
    near = check_input.nearest.distance.mean(axis=1)
    near[~np.isfinite(near)] = np.nan
    everywhere = robust_z(np.log(near + 1e-6), inside, 0.05)
    own = class_distance(check_input.features, dataset.labels, inside)
    within = np.zeros(len(own))
    for label in np.unique(dataset.labels[inside]).tolist():
        members = inside & (dataset.labels == label)
        within[members] = robust_z(np.log(own + 1e-6), members, 0.05)[members]
    score = np.minimum(np.nan_to_num(within), np.nan_to_num(everywhere))
    rows = np.flatnonzero(check_input.open("outlier") & (score > FAR))
    if not len(rows):
        return []
    rows = rows[np.argsort(-score[rows], kind="stable")]
    one, many = NOUNS[dataset.modality]
    finding = Finding(
        "info",
        "outlier",
        f"{count(len(rows), f'{one} is', f'{many} are')} unlike everything else to the model that read your data. "
        "That is a hint, not a proof: a rare but good example looks the same.",
        f"{'Look at it' if len(rows) == 1 else 'Look at the first few'}. Drop what does not belong in these data, "
        "such as a wrong file; keep what is rare but right. Nothing is dropped for you"
        f"{', the list is the farthest first' if len(rows) > 1 else ''}.",
        check_input.ids(rows[:NAMED]),
    )
    worst = float(score[rows[0]])
    return [Suspicion(finding, tuple(rows.tolist()), scores=tuple((score[rows] / worst).round(6).tolist()))]


CHECKS.add(Check(name="outliers", title="Items that are like nothing else", find=find, rank=60, needs=("features",)))
