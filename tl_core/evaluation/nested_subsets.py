"""Which training items a point of the data-efficiency curve may see: nested, stratified, seeded."""

import numpy as np


def label_counts(labels_N: np.ndarray) -> tuple[int, ...]:
    """Return total label counts, doubling from one item a class up to all N training labels.

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
    """Return positions `[N]` in an order whose every prefix is a subset to train on.

    Prefixes are nested by construction. The first item of every class comes first; from there on each prefix holds
    the classes in about the proportions of the whole. Which items, the seed draws.
    """
    generator = np.random.default_rng(seed)
    place_N = np.empty(len(labels_N))
    for label in np.unique(labels_N):
        rows = generator.permutation(np.flatnonzero(labels_N == label))
        place = (np.arange(len(rows)) + 0.5) / len(rows)
        place[0] = -1.0
        place_N[rows] = place
    return np.lexsort((generator.random(len(labels_N)), place_N))
