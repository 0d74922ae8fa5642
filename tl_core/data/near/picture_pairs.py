"""Near-duplicate pictures: their perceptual hashes are close, and so are their pixels.

Measured on the packaged samples (1,797 digits, 600 pictures of cloth) and on photographs cut into 208 patches. Pictures
were saved as JPEG of quality 50 and 75, resized to a half, nine tenths and double, and brightened. Hashes within 8 bits
find 65 to 100 % of these copies, but also 1,514 pairs of different digits (0.09 % of all pairs). When the pixels must
agree too, 10 wrong pairs of digits remain (6 in a million), and none of cloth or photographs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from tl_core.data.groups import components, spanning_edges
from tl_core.data.images import open_image
from tl_core.data.near.hamming import Bands
from tl_core.data.options import OnProgress, no_progress
from tl_core.data.perceptual_hash import perceptual_hash
from tl_core.data.sampling import sample_rows
from tl_core.errors import DataError

BITS = 8
"""Largest Hamming distance of the hashes of near-duplicates, of 64 bits."""
ALIKE = 0.98
"""Correlation of 16 x 16 grey values from which two pictures are near-duplicates."""
_SIDE = 16
_LOOKUP_COST, _PIXEL_COST = 8, 250  # of one lookup, and one comparison of pixels; comparing two hashes costs 1
_SAMPLE, _FEW = 512, 5000
_BLOCK = 256  # crowded pictures that are compared with all others at a time
_STRIP = 8192  # of the others at a time, so that the distances fit a processor's cache
_PAIRS = 1024  # pairs from the lookup that are compared at a time
_KEPT_EDGES = 1_000_000


def near_pictures(
    paths: Sequence[Path], hashes: Sequence[str] | None, progress: OnProgress = no_progress
) -> np.ndarray:
    """Return pairs `[E, 2]` of near-duplicate pictures, enough to connect every group of them.

    `hashes` are 16 hex digits, or "" for a picture that is too plain to compare; None computes them. Pictures are
    opened only where hashes are close.
    """
    if hashes is None:
        hashes = _read_hashes(paths, progress)
    rows = [row for row, code in enumerate(hashes) if code]
    codes = np.array([int(hashes[row], 16) for row in rows], dtype=np.uint64)
    comparer = _PictureComparer(codes, _Thumbnails([paths[row] for row in rows]), progress)
    crowded = _crowded(codes)
    crowd, others = np.flatnonzero(crowded), np.flatnonzero(~crowded)
    comparer.compare_crowd(crowd, others)
    for done, pairs in Bands(codes[others], BITS).pairs():
        comparer.report(len(crowd) + done)
        comparer.compare(others[pairs])
    comparer.report(len(codes))
    return np.array(rows, dtype=np.int64)[comparer.edges()]


def _crowded(codes_N: np.ndarray) -> np.ndarray:
    """Return for which pictures comparing them with all others is cheaper than the lookup: bool `[N]`."""
    n, sample = len(codes_N), sample_rows(len(codes_N), _SAMPLE)
    close = np.zeros(n)
    for row in sample.tolist():
        close += np.bitwise_count(codes_N ^ codes_N[row]) <= BITS
    lookup = _LOOKUP_COST * Bands(codes_N, BITS).count_comparisons()
    return lookup + _PIXEL_COST * n / max(1, len(sample)) * close > max(n, _FEW)


class _PictureComparer:
    """Compares pictures `[N]` and collects pairs that connect near-duplicates."""

    def __init__(self, codes: np.ndarray, thumbs: "_Thumbnails", progress: OnProgress) -> None:
        self._codes, self._thumbs, self._progress, self._done = codes, thumbs, progress, 0
        self._component = np.arange(len(codes))
        self._parts, self._pending = [np.empty((0, 2), dtype=np.int64)], 0

    def edges(self) -> np.ndarray:
        """Return fewer than N pairs that connect the near-duplicates found so far."""
        if self._pending:
            self._parts, self._pending = [spanning_edges(len(self._codes), np.concatenate(self._parts))], 0
            self._component = components(len(self._codes), self._parts[0])
        return self._parts[0]

    def report(self, done: int | None = None) -> None:
        """Report progress, so that the caller can cancel; `done` None repeats the last number of pictures."""
        self._done = self._done if done is None else done
        self._progress("Looking for pictures that are nearly the same", self._done, len(self._codes))

    def compare(self, pairs_E2: np.ndarray) -> None:
        """Connect those pairs whose pixels agree."""
        pairs_E2 = pairs_E2[self._component[pairs_E2[:, 0]] != self._component[pairs_E2[:, 1]]]
        for start in range(0, len(pairs_E2), _PAIRS):
            self.report()
            pairs = pairs_E2[start : start + _PAIRS]
            left, i = np.unique(pairs[:, 0], return_inverse=True)
            right, j = np.unique(pairs[:, 1], return_inverse=True)
            agreement = np.einsum("ij,ij->i", self._thumbs[left][i], self._thumbs[right][j])
            self._add(pairs[agreement >= ALIKE])

    def compare_crowd(self, crowd: np.ndarray, others: np.ndarray) -> None:
        """Connect each crowded picture with all pictures whose hash is close and whose pixels agree.

        Pictures that are connected already are not compared again, so that many versions of one picture take no longer
        than as many different pictures.
        """
        for done in range(0, len(crowd), _BLOCK):
            self.report(done)
            crowd[done:] = crowd[done:][np.argsort(self._component[crowd[done:]], kind="stable")]
            block, right = crowd[done : done + _BLOCK], np.concatenate([crowd[done:], others])
            connected = np.unique(self._component[block])
            if len(connected) == 1:
                right = right[self._component[right] != connected[0]]
            for start in range(0, len(right), _STRIP):
                self.report()
                self._compare_all(block, right[start : start + _STRIP])
            self.edges()

    def _compare_all(self, left: np.ndarray, right: np.ndarray) -> None:
        close = np.bitwise_count(self._codes[left, None] ^ self._codes[None, right]) <= BITS
        left_close, right_close = close.any(axis=1), close.any(axis=0)
        if left_close.any():
            left, right = left[left_close], right[right_close]
            similar = self._thumbs[left] @ self._thumbs[right].T >= ALIKE
            i, j = np.nonzero(similar & close[np.ix_(left_close, right_close)])
            self._add(np.stack([left[i], right[j]], axis=1))

    def _add(self, edges_E2: np.ndarray) -> None:
        self._parts.append(edges_E2)
        self._pending += len(edges_E2)
        if self._pending > _KEPT_EDGES:
            self.edges()


class _Thumbnails:
    """Grey values of pictures at 16 x 16, centred and of length 1; read when first needed, 0 where unreadable."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._values = np.zeros((len(paths), _SIDE**2), dtype=np.float16)
        self._known = np.zeros(len(paths), dtype=bool)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        new = rows[~self._known[rows]]
        if len(new):
            with ThreadPoolExecutor(cpu_count()) as pool:
                for row, values in zip(new, pool.map(_thumbnail, [self._paths[row] for row in new]), strict=True):
                    self._values[row] = values
            self._known[new] = True
        return self._values[rows].astype(np.float32)


def _thumbnail(path: Path) -> np.ndarray:
    """Return the grey values of a stored picture `[256]`, centred and of length 1."""
    try:
        with Image.open(path) as image:
            image.draft("L", (64, 64))
            grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return np.zeros(_SIDE**2, dtype=np.float32)
    centred = grey.ravel() - grey.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def _read_hashes(paths: Sequence[Path], progress: OnProgress) -> list[str]:
    hashes = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, code in enumerate(pool.map(_hash_of, paths)):
            progress("Reading pictures", done, len(paths))
            hashes.append(code)
    return hashes


def _hash_of(path: Path) -> str:
    try:
        return perceptual_hash(open_image(path))
    except DataError:
        return ""
