"""Which training items a point of the data-efficiency curve may see: nested, stratified, seeded."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tl_core.data.dataset import Dataset


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


@dataclass(frozen=True)
class Part(Dataset):
    """A data set of which only the training rows in `kept` may be trained on; the other splits are as they were.

    Training rows that are left out get the split "left out".
    """

    kept: np.ndarray = field(default_factory=lambda: np.empty(0, int))

    @cached_property
    def splits(self) -> np.ndarray:
        """Split names `[N]`."""
        splits = Dataset.splits.func(self).astype(object)  # type: ignore[attr-defined]
        left_out = splits == "train"
        left_out[self.kept] = False
        splits[left_out] = "left out"
        return splits


def part(dataset: Dataset, kept: np.ndarray) -> Part:
    """Return `dataset` with only the rows `kept` of its training split."""
    fields = {name: getattr(dataset, name) for name in Dataset.__dataclass_fields__}
    return Part(**fields, kept=np.asarray(kept))
