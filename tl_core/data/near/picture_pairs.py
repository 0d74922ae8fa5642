"""Pictures that are nearly the same: close in their 64-bit hashes, then in their pixels.

Measured on the packaged samples (digits 1,797, cloth 600) and on photographs cut into 208 patches, with pictures saved
as JPEG of quality 50 and 75, sized to a half, nine tenths and double, and brightened: hashes within 8 bits hold 65 to
100 % of what a person calls the same picture, but alone also 1,514 pairs of different digits (0.09 % of all pairs).
With the pixels to agree, 10 pairs of digits are left (6 in a million), and of cloth and photographs none.
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
"""Bits of 64 in which the hashes of two pictures may differ."""
ALIKE = 0.98
"""Correlation of their 16 x 16 grey values from which two pictures are nearly the same."""
_SIDE = 16
_FOUND, _CHECKED = (
    8,
    250,
)  # costs of looking up a picture, and of comparing its pixels, in costs of comparing two hashes
_SAMPLE, _FEW = 512, 5000
_BLOCK = 256  # pictures of a crowd that are compared with all others at a time
_STRIP = 8192  # and how many of those at a time: the distances then fit a processor's cache
_PAIRS = 1024  # that are compared at a time, where looking up found them
_KEPT_EDGES = 1_000_000


def near_pictures(
    paths: Sequence[Path], hashes: Sequence[str] | None, progress: OnProgress = no_progress
) -> np.ndarray:
    """Return pairs `[E, 2]` of nearly equal pictures, enough to connect all that belong together.

    `hashes` are 16 hex digits, or "" for what is too plain to be compared; None: they are made here. Pictures are
    opened again only where hashes are close.
    """
    if hashes is None:
        hashes = _read_hashes(paths, progress)
    rows = [row for row, each in enumerate(hashes) if each]
    codes = np.array([int(hashes[row], 16) for row in rows], dtype=np.uint64)
    near = _PictureComparer(codes, _Thumbnails([paths[row] for row in rows]), progress)
    crowded = _crowded(codes)
    crowd, others = np.flatnonzero(crowded), np.flatnonzero(~crowded)
    near.compare_crowd(crowd, others)
    for done, pairs in Bands(codes[others], BITS).pairs():
        near.tell(len(crowd) + done)
        near.compare(others[pairs])
    near.tell(len(codes))
    return np.array(rows, dtype=np.int64)[near.edges()]


def _crowded(codes_N: np.ndarray) -> np.ndarray:
    """Return for which pictures it costs less to compare them with all others than to look up which are close."""
    n, sample = len(codes_N), sample_rows(len(codes_N), _SAMPLE)
    close = np.zeros(n)
    for row in sample.tolist():
        close += np.bitwise_count(codes_N ^ codes_N[row]) <= BITS
    return _FOUND * Bands(codes_N, BITS).crowd() + _CHECKED * n / max(1, len(sample)) * close > max(n, _FEW)


class _PictureComparer:
    """Pictures `[N]` and which of them are known to belong together."""

    def __init__(self, codes: np.ndarray, thumbs: "_Thumbnails", progress: OnProgress) -> None:
        self._codes, self._thumbs, self._progress, self._done = codes, thumbs, progress, 0
        self._component = np.arange(len(codes))
        self._parts, self._waiting = [np.empty((0, 2), dtype=np.int64)], 0

    def edges(self) -> np.ndarray:
        """Return fewer than N pairs that connect what belongs together."""
        if self._waiting:
            self._parts, self._waiting = [spanning_edges(len(self._codes), np.concatenate(self._parts))], 0
            self._component = components(len(self._codes), self._parts[0])
        return self._parts[0]

    def tell(self, done: int | None = None) -> None:
        """Tell how many pictures are done, None: as many as before, as a chance to be cancelled."""
        self._done = self._done if done is None else done
        self._progress("Looking for pictures that are nearly the same", self._done, len(self._codes))

    def compare(self, pairs_E2: np.ndarray) -> None:
        """Join those of the pairs whose pixels agree."""
        pairs_E2 = pairs_E2[self._component[pairs_E2[:, 0]] != self._component[pairs_E2[:, 1]]]
        for start in range(0, len(pairs_E2), _PAIRS):
            self.tell()
            pairs = pairs_E2[start : start + _PAIRS]
            left, i = np.unique(pairs[:, 0], return_inverse=True)
            right, j = np.unique(pairs[:, 1], return_inverse=True)
            agreement = np.einsum("ij,ij->i", self._thumbs[left][i], self._thumbs[right][j])
            self._add(pairs[agreement >= ALIKE])

    def compare_crowd(self, crowd: np.ndarray, others: np.ndarray) -> None:
        """Join each picture of a crowd with all of the crowd and of the others that are close and agree.

        What is known to belong together is not compared again, so that many versions of one picture take no longer
        than as many different ones.
        """
        for done in range(0, len(crowd), _BLOCK):
            self.tell(done)
            crowd[done:] = crowd[done:][np.argsort(self._component[crowd[done:]], kind="stable")]
            block, right = crowd[done : done + _BLOCK], np.concatenate([crowd[done:], others])
            known = np.unique(self._component[block])
            if len(known) == 1:
                right = right[self._component[right] != known[0]]
            for start in range(0, len(right), _STRIP):
                self.tell()
                self._compare_all(block, right[start : start + _STRIP])
            self.edges()

    def _compare_all(self, left: np.ndarray, right: np.ndarray) -> None:
        close = np.bitwise_count(self._codes[left, None] ^ self._codes[None, right]) <= BITS
        mine, theirs = close.any(axis=1), close.any(axis=0)
        if mine.any():
            left, right = left[mine], right[theirs]
            alike = self._thumbs[left] @ self._thumbs[right].T >= ALIKE
            i, j = np.nonzero(alike & close[np.ix_(mine, theirs)])
            self._add(np.stack([left[i], right[j]], axis=1))

    def _add(self, edges_E2: np.ndarray) -> None:
        self._parts.append(edges_E2)
        self._waiting += len(edges_E2)
        if self._waiting > _KEPT_EDGES:
            self.edges()


class _Thumbnails:
    """Grey values of pictures in 16 x 16, centred and of length 1, read when first asked for; 0 for unreadable ones."""

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
    found = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, each in enumerate(pool.map(_hash_of, paths)):
            progress("Reading pictures", done, len(paths))
            found.append(each)
    return found


def _hash_of(path: Path) -> str:
    try:
        return perceptual_hash(open_image(path))
    except DataError:
        return ""
