"""Pictures that are nearly the same: close in their 64-bit looks, then in their pixels.

Measured on the packaged samples (digits 1,797, cloth 600) and on photographs cut into 208 patches, with pictures saved
as JPEG of quality 50 and 75, sized to a half, nine tenths and double, and brightened: looks within 8 bits hold 65 to
100 % of what a person calls the same picture, but alone also 1,514 pairs of different digits (0.09 % of all pairs).
With the pixels to agree, 10 pairs of digits are left (6 in a million), and of cloth and photographs none.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from tl_core.data.groups import spanning
from tl_core.data.images import open_image
from tl_core.data.looks import look
from tl_core.data.options import Progress, silent
from tl_core.errors import DataError

BITS = 8
"""Bits of 64 in which the looks of two pictures may differ."""
ALIKE = 0.98
"""Correlation of their 16 x 16 grey values from which two pictures are nearly the same."""
_SIDE = 16
_BLOCK = 256  # pictures compared with all later ones at a time
_STRIP = 8192  # and how many of those at a time: the distances then fit a processor's cache
_KEPT_EDGES = 1_000_000


def near_pictures(paths: Sequence[Path], looks: Sequence[str] | None, progress: Progress = silent) -> np.ndarray:
    """Return pairs `[E, 2]` of nearly equal pictures, enough to connect all that belong together.

    `looks` are 16 hex digits, or "" for what is too plain to be compared; None: they are made here. Every pair of
    looks is compared, about a nanosecond each; pictures are opened again only where looks are close.
    """
    if looks is None:
        looks = _read_looks(paths, progress)
    rows = [row for row, each in enumerate(looks) if each]
    codes = np.array([int(looks[row], 16) for row in rows], dtype=np.uint64)
    thumbs = _Thumbs([paths[row] for row in rows])
    parts, waiting = [np.empty((0, 2), dtype=np.int64)], 0
    stage = "Looking for pictures that are nearly the same"
    for start in range(0, len(codes), _BLOCK):
        progress(stage, start, len(codes))
        for near in _close(codes, start):
            parts.append(_alike(near, thumbs))
            waiting += len(parts[-1])
            if waiting > _KEPT_EDGES:
                parts, waiting = [spanning(len(codes), np.concatenate(parts))], 0
    progress(stage, len(codes), len(codes))
    return np.array(rows, dtype=np.int64)[spanning(len(codes), np.concatenate(parts))]


def _close(codes_N: np.ndarray, start: int) -> Iterator[np.ndarray]:
    """Yield pairs `[E, 2]` of a block of pictures and all later ones whose looks are close."""
    mine = codes_N[start : start + _BLOCK, None]
    for other in range(start, len(codes_N), _STRIP):
        theirs = codes_N[None, other : other + _STRIP]
        first, second = np.divmod(np.flatnonzero(np.bitwise_count(mine ^ theirs) <= BITS), theirs.shape[1])
        pairs = np.stack([first + start, second + other], axis=1)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        if len(pairs):
            yield pairs


def _alike(pairs_E2: np.ndarray, thumbs: "_Thumbs") -> np.ndarray:
    """Return those of the pairs whose pixels agree."""
    left, i = np.unique(pairs_E2[:, 0], return_inverse=True)
    right, j = np.unique(pairs_E2[:, 1], return_inverse=True)
    agreement = thumbs[left] @ thumbs[right].T
    return pairs_E2[agreement[i, j] >= ALIKE]


class _Thumbs:
    """Grey values of pictures in 16 x 16, centred and of length 1, read when first asked for; 0 for unreadable ones."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._values = np.zeros((len(paths), _SIDE**2), dtype=np.float16)
        self._known = np.zeros(len(paths), dtype=bool)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        new = rows[~self._known[rows]]
        if len(new):
            with ThreadPoolExecutor(cpu_count()) as pool:
                for row, values in zip(new, pool.map(_thumb, [self._paths[row] for row in new]), strict=True):
                    self._values[row] = values
            self._known[new] = True
        return self._values[rows].astype(np.float32)


def _thumb(path: Path) -> np.ndarray:
    """Return the grey values of a stored picture `[256]`, centred and of length 1."""
    try:
        with Image.open(path) as image:
            image.draft("L", (64, 64))
            grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return np.zeros(_SIDE**2, dtype=np.float32)
    centred = grey.ravel() - grey.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def _read_looks(paths: Sequence[Path], progress: Progress) -> list[str]:
    found = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, each in enumerate(pool.map(_look_of, paths)):
            progress("Reading pictures", done, len(paths))
            found.append(each)
    return found


def _look_of(path: Path) -> str:
    try:
        return look(open_image(path))
    except DataError:
        return ""
