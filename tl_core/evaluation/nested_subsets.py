"""The training subsets of the data-efficiency curve: nested, stratified, seeded."""

import numpy as np


def label_counts(labels_N: np.ndarray) -> tuple[int, ...]:
    """Return total label counts, doubled from one item a class up to all N training labels.

    >>> label_counts(np.repeat([0, 1], 10))
    (2, 4, 8, 20)
    """
    n, count = len(labels_N), len(np.unique(labels_N))
    counts = []
    while 0 < count <= 0.7 * n:
        counts.append(count)
        count *= 2
    return (*counts, n) if n else ()


def nested_order(labels_N: np.ndarray, seed: int) -> np.ndarray:
    """Return positions `[N]` in an order in which every prefix is a training subset.

    Prefixes are nested by construction. One item of every class comes first; after that each prefix has about the
    class proportions of the whole. The seed decides which items come first.
    """
    generator = np.random.default_rng(seed)
    key_N = np.empty(len(labels_N))
    for label in np.unique(labels_N):
        rows = generator.permutation(np.flatnonzero(labels_N == label))
        key = (np.arange(len(rows)) + 0.5) / len(rows)
        key[0] = -1.0
        key_N[rows] = key
    return np.lexsort((generator.random(len(labels_N)), key_N))
