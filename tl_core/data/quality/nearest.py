"""The nearest other items of every item, by a backbone's features. Legend: N items, D features, M distinct items."""

from collections.abc import Iterator

import numpy as np

from tl_core.data.quality.values import Nearest

EXACT = 20_000
"""Distinct items up to which each is compared with every other; above, with those of the nearest cells only."""
NEIGHBOURS = 10
_CELLS = 4  # how many cells of the nearest are searched
_WIDTH = 128  # directions that are kept of the features of very many items
_SAMPLE = 10_000  # items that directions and cells are found on
_CHUNK = 1024


def directions(features_ND: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return unit vectors float32 `[N, d]`: features about their mean, so that cosines tell items apart.

    Up to EXACT items d is D. Above, the 128 directions in which a sample of 10,000 varies most are kept, so that
    memory stays small. The mean is over the items where `inside` holds.
    """
    rows = np.flatnonzero(inside)
    chosen = np.random.default_rng(0).permutation(rows)[:_SAMPLE]
    sample = features_ND[np.sort(chosen)]
    mean = sample.mean(axis=0)
    basis = None
    if len(rows) > EXACT and features_ND.shape[1] > _WIDTH:
        basis = np.linalg.eigh(np.cov(sample.T))[1][:, -_WIDTH:].astype(np.float32)
    width = features_ND.shape[1] if basis is None else _WIDTH
    found = np.empty((len(features_ND), width), dtype=np.float32)
    for start in range(0, len(found), _CHUNK):
        part = features_ND[start : start + _CHUNK] - mean
        part = part if basis is None else part @ basis
        found[start : start + _CHUNK] = part / (np.linalg.norm(part, axis=1, keepdims=True) + 1e-12)
    return found


class Search:
    """Finds the nearest items; `found` is whole once `steps` has run to its end."""

    def __init__(self, units_ND: np.ndarray, same_N: np.ndarray, inside: np.ndarray) -> None:
        """Take unit vectors, a number that identical items share, and which items take part."""
        n = len(units_ND)
        self._same, self._inside = same_N, inside
        rows = np.flatnonzero(inside)
        self._first = rows[np.unique(same_N[rows], return_index=True)[1]]
        self._units = units_ND[self._first]
        self._k = max(0, min(NEIGHBOURS, len(self._first) - 1))
        self.found = Nearest(
            np.full((n, NEIGHBOURS), np.inf, dtype=np.float32), np.full((n, NEIGHBOURS), -1, dtype=np.int64)
        )

    @property
    def exact(self) -> bool:
        """Return whether every pair is looked at."""
        return len(self._first) <= EXACT

    def steps(self) -> Iterator[tuple[int, int]]:
        """Search; yields (done, total) distinct items."""
        total, done = len(self._first), 0
        if not self._k:
            return
        for rows, among in self._parts():
            for start in range(0, len(rows), _CHUNK):
                part = rows[start : start + _CHUNK]
                self._compare(part, among)
                done += len(part)
                yield done, total
        home = np.zeros(int(self._same.max()) + 1, dtype=np.int64)
        home[self._same[self._first]] = self._first
        copies = np.flatnonzero(self._inside)
        self.found.distance[copies] = self.found.distance[home[self._same[copies]]]
        self.found.row[copies] = self.found.row[home[self._same[copies]]]

    def _parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield what to compare with what: places in the distinct items."""
        every = np.arange(len(self._first))
        if self.exact:
            yield every, every
            return
        from sklearn.cluster import MiniBatchKMeans

        cells = int(np.sqrt(len(every)))
        sample = np.random.default_rng(0).permutation(every)[:_SAMPLE]
        made = MiniBatchKMeans(cells, random_state=0, n_init=1, batch_size=4096).fit(self._units[np.sort(sample)])
        cell = np.concatenate([made.predict(self._units[start : start + 8192]) for start in range(0, len(every), 8192)])
        centres = made.cluster_centers_
        apart = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
        inside = [np.flatnonzero(cell == number) for number in range(cells)]
        for number in range(cells):
            if len(inside[number]):
                near = np.argsort(apart[number], kind="stable")[:_CELLS]
                yield inside[number], np.concatenate([inside[other] for other in near])

    def _compare(self, rows: np.ndarray, among: np.ndarray) -> None:
        distance = 1 - self._units[rows] @ self._units[among].T
        distance[rows[:, None] == among[None]] = np.inf
        k = min(self._k, len(among) - 1)
        if k < 1:
            return
        near = np.argpartition(distance, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(distance, near, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        places = self._first[rows]
        self.found.distance[places, :k] = np.maximum(np.take_along_axis(values, order, axis=1), 0)
        self.found.row[places, :k] = self._first[among[np.take_along_axis(near, order, axis=1)]]
