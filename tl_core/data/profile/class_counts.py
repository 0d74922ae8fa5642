"""Items per class and subgroup, the effect of class imbalance on scores, and labels that occur together."""

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.profile.data_profile import ClassCount, Imbalance, MultilabelStats, Pair, Span
from tl_core.data.split import SPLITS

SHOWN_TOGETHER = 12
"""Labels in the table of labels that occur together."""
_PAIRS = 20
_SUBGROUPS = 1000  # the largest ones


def count_classes(dataset: Dataset) -> tuple[ClassCount, ...]:
    """Count the items of each class in each split. An item with several labels counts in each of its classes."""
    if dataset.multilabel:
        table = [dataset.targets[dataset.splits == split].sum(axis=0, dtype=np.int64).tolist() for split in SPLITS]
    else:
        kinds = len(dataset.classes)
        table = [np.bincount(dataset.labels[dataset.splits == s], minlength=kinds).tolist() for s in SPLITS]
    return tuple(ClassCount(name, *counts) for name, *counts in zip(dataset.classes, *table, strict=True))


def imbalance(counts: tuple[ClassCount, ...]) -> Imbalance | None:
    """Return the effect of class imbalance on scores; None where classes are equal, or there is only one."""
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
    """Return how labels occur together in the rows `inside` (bool `[N]`); None unless the data set is multilabel."""
    if not dataset.multilabel:
        return None
    targets = dataset.targets[inside]
    together = (targets.T @ targets).astype(np.int64)  # float32 is exact up to 2^24 items per pair
    order = np.argsort(-np.diag(together), kind="stable")[:SHOWN_TOGETHER]
    left, right = np.triu_indices(len(together), k=1)
    counts = together[left, right]
    most = np.argsort(-counts, kind="stable")[:_PAIRS]
    names = dataset.classes
    return MultilabelStats(
        tuple(np.bincount(targets.sum(axis=1).astype(np.int64)).tolist()),
        tuple(names[i] for i in order),
        tuple(tuple(row) for row in together[np.ix_(order, order)].tolist()),
        tuple(Pair(names[left[i]], names[right[i]], int(counts[i])) for i in most if counts[i]),
    )


def subgroups(dataset: Dataset) -> tuple[ClassCount, ...]:
    """Count the items of each subgroup in each split, largest first; () where there is no subgroup column."""
    import pandas as pd

    number, names = pd.factorize(dataset.items["subgroup"])
    if not any(names):
        return ()
    table = np.array([np.bincount(number[dataset.splits == split], minlength=len(names)) for split in SPLITS])
    order = np.argsort(-table.sum(axis=0), kind="stable")[:_SUBGROUPS]
    return tuple(ClassCount(str(names[i]), *table[:, i].tolist()) for i in order if table[:, i].any())


def span(dataset: Dataset, inside: np.ndarray) -> Span | None:
    """Return the first and last date of the items `inside` (bool `[N]`); None where no time is known."""
    times = dataset.items["time"].to_numpy(dtype=float)[inside]
    times = times[np.isfinite(times)]
    if not len(times):
        return None
    first, last = (str(np.datetime64(int(value), "s"))[:10] for value in (times.min(), times.max()))
    return Span(first, last, len(times))
