"""Nearest neighbours of every item by a backbone's features. Legend: N items, D features."""

from collections.abc import Iterator

import numpy as np

from tl_core.data.quality.checks import Nearest
from tl_core.data.sampling import sample_rows

EXACT = 20_000
"""Distinct items up to which the search is exact. Above, each is compared only with those of the nearest cells."""
NEIGHBOURS = 10
_CELLS = 4  # nearest cells that are searched
_WIDTH = 256  # random directions that wide features are projected on
_SAMPLE = 10_000  # items that mean and cells are estimated from
_CHUNK = 1024
_MOST_PAIRS = 2**25  # whose distances are in memory at a time


def points(features_ND: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return features float32 `[N, d]` minus their mean, in units of the root mean square distance to it.

    Up to EXACT items d is D. Above, wide features are projected on 256 random directions, which preserves distances to
    a few percent (Johnson and Lindenstrauss 1984) and saves memory. Mean and unit come from items with `inside`.
    """
    rows = np.flatnonzero(inside)
    sample = features_ND[rows[sample_rows(len(rows), _SAMPLE)]]
    mean = sample.mean(axis=0)
    unit = float(np.sqrt(np.square(sample - mean, dtype=np.float64).sum(axis=1).mean())) or 1.0
    width, basis = features_ND.shape[1], None
    if len(rows) > EXACT and width > _WIDTH:
        basis = np.random.default_rng(0).normal(0, _WIDTH**-0.5, (width, _WIDTH)).astype(np.float32)
        width = _WIDTH
    nearest = np.empty((len(features_ND), width), dtype=np.float32)
    for start in range(0, len(nearest), _CHUNK):
        part = (features_ND[start : start + _CHUNK] - mean) / unit
        nearest[start : start + _CHUNK] = part if basis is None else part @ basis
    return nearest


def distances(some_AD: np.ndarray, others_BD: np.ndarray) -> np.ndarray:
    """Return Euclidean distances `[A, B]`, precise to about 0.001 of the points' lengths."""
    squared = np.square(some_AD).sum(axis=1)[:, None] + np.square(others_BD).sum(axis=1)[None]
    squared -= 2 * (some_AD @ others_BD.T)
    distances: np.ndarray = np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    return distances


class NearestSearch:
    """Finds the nearest items in steps. `nearest` is complete once `steps` has run to its end."""

    def __init__(self, points_ND: np.ndarray, same_N: np.ndarray, inside: np.ndarray) -> None:
        """Take points, a number per item that identical items share, and which items take part."""
        n = len(points_ND)
        self._same, self._inside = same_N, inside
        rows = np.flatnonzero(inside)
        self._first = rows[np.unique(same_N[rows], return_index=True)[1]]
        self._points = points_ND[self._first]
        self._k = max(0, min(NEIGHBOURS, len(self._first) - 1))
        self.nearest = Nearest(
            np.full((n, NEIGHBOURS), np.inf, dtype=np.float32), np.full((n, NEIGHBOURS), -1, dtype=np.int64)
        )

    @property
    def exact(self) -> bool:
        """Return whether every pair of distinct items is compared."""
        return len(self._first) <= EXACT

    def steps(self) -> Iterator[tuple[int, int]]:
        """Search, yielding (done, total) distinct items."""
        total, done = len(self._first), 0
        if not self._k:
            return
        for rows, among in self._parts():
            size = max(1, min(_CHUNK, _MOST_PAIRS // len(among)))
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                self._compare(part, among)
                done += len(part)
                yield done, total
        first_of = np.zeros(int(self._same.max()) + 1, dtype=np.int64)
        first_of[self._same[self._first]] = self._first
        copies = np.flatnonzero(self._inside)
        self.nearest.distance[copies] = self.nearest.distance[first_of[self._same[copies]]]
        self.nearest.row[copies] = self.nearest.row[first_of[self._same[copies]]]

    def _parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield which distinct items to compare with which, as indices."""
        every = np.arange(len(self._first))
        if self.exact:
            yield every, every
            return
        from sklearn.cluster import MiniBatchKMeans

        cells = int(np.sqrt(len(every)))
        kmeans = MiniBatchKMeans(cells, random_state=0, n_init=1, batch_size=4096).fit(
            self._points[sample_rows(len(every), _SAMPLE)]
        )
        cell = np.concatenate(
            [kmeans.predict(self._points[start : start + 8192]) for start in range(0, len(every), 8192)]
        )
        centres = kmeans.cluster_centers_
        gaps = distances(centres, centres)
        members = [np.flatnonzero(cell == number) for number in range(cells)]
        for number in range(cells):
            if len(members[number]):
                near = np.argsort(gaps[number], kind="stable")[:_CELLS]
                yield members[number], np.concatenate([members[other] for other in near])

    def _compare(self, rows: np.ndarray, among: np.ndarray) -> None:
        distance = distances(self._points[rows], self._points[among])
        distance[rows[:, None] == among[None]] = np.inf
        k = min(self._k, len(among) - 1)
        if k < 1:
            return
        near = np.argpartition(distance, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(distance, near, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        places = self._first[rows]
        self.nearest.distance[places, :k] = np.take_along_axis(values, order, axis=1)
        self.nearest.row[places, :k] = self._first[among[np.take_along_axis(near, order, axis=1)]]
