"""How many items each class and each subgroup has, what unequal classes do to a score, and labels seen together."""

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.profile.data_profile import ClassCount, Imbalance, MultilabelStats, Pair, Span
from tl_core.data.split import SPLITS

SHOWN_TOGETHER = 12
"""Labels in the table of labels seen together."""
_PAIRS = 20
_SUBGROUPS = 1000  # the largest, and that many


def count_classes(dataset: Dataset) -> tuple[ClassCount, ...]:
    """Return the items of each class in each split; an item of several labels counts in each of its classes."""
    if dataset.multilabel:
        table = [dataset.targets[dataset.splits == split].sum(axis=0, dtype=np.int64).tolist() for split in SPLITS]
    else:
        kinds = len(dataset.classes)
        table = [np.bincount(dataset.labels[dataset.splits == s], minlength=kinds).tolist() for s in SPLITS]
    return tuple(ClassCount(name, *counts) for name, *counts in zip(dataset.classes, *table, strict=True))


def imbalance(counts: tuple[ClassCount, ...]) -> Imbalance | None:
    """Return what unequal classes do to a score; None where they are equal, or where there is only one."""
    totals = np.array([c.total for c in counts])
    if len(totals) < 2 or totals.min() == totals.max() or not totals.min():
        return None
    large, small = int(totals.argmax()), int(totals.argmin())
    share = float(totals[large] / totals.sum())
    return Imbalance(
        counts[large].name,
        counts[small].name,
        share,
        2 * share / (1 + share) / len(totals),
        float(totals[large] / totals[small]),
    )


def multilabel(dataset: Dataset, inside: np.ndarray) -> MultilabelStats | None:
    """Return how labels go together over the rows `inside` (bool `[N]`); None where an item has one label."""
    if not dataset.multilabel:
        return None
    targets = dataset.targets[inside]
    together = (targets.T @ targets).astype(np.int64)  # exact up to 2^24 items of a pair in float32
    order = np.argsort(-np.diag(together), kind="stable")[:SHOWN_TOGETHER]
    left, right = np.triu_indices(len(together), k=1)
    found = together[left, right]
    most = np.argsort(-found, kind="stable")[:_PAIRS]
    names = dataset.classes
    return MultilabelStats(
        tuple(np.bincount(targets.sum(axis=1).astype(np.int64)).tolist()),
        tuple(names[i] for i in order),
        tuple(tuple(row) for row in together[np.ix_(order, order)].tolist()),
        tuple(Pair(names[left[i]], names[right[i]], int(found[i])) for i in most if found[i]),
    )


def subgroups(dataset: Dataset) -> tuple[ClassCount, ...]:
    """Return the items of each subgroup in each split, the largest first; none where there is no such column."""
    import pandas as pd

    number, names = pd.factorize(dataset.items["subgroup"])
    if not any(names):
        return ()
    table = np.array([np.bincount(number[dataset.splits == split], minlength=len(names)) for split in SPLITS])
    order = np.argsort(-table.sum(axis=0), kind="stable")[:_SUBGROUPS]
    return tuple(ClassCount(str(names[i]), *table[:, i].tolist()) for i in order if table[:, i].any())


def span(dataset: Dataset, inside: np.ndarray) -> Span | None:
    """Return from when to when the items `inside` (bool `[N]`) were made; None where nothing says so."""
    times = dataset.items["time"].to_numpy(dtype=float)[inside]
    times = times[np.isfinite(times)]
    if not len(times):
        return None
    first, last = (str(np.datetime64(int(value), "s"))[:10] for value in (times.min(), times.max()))
    return Span(first, last, len(times))
