"""Measurements of a picture: brightness, contrast, sharpness and colourfulness."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tl_core.data.dataset import Dataset
from tl_core.data.measurement_cache import Measure, MeasurementCache
from tl_core.data.options import OnProgress, no_progress
from tl_core.errors import DataError

SIDE = 512
"""Longest side, in pixels, of the copy that is measured: the same for all pictures, and more than a backbone sees."""
GREY = 4.0
"""Colourfulness up to which a picture counts as grey: a grey photograph saved as JPEG has about that much."""
_CHUNK = 64
_FILE = "looks.npz"  # the name that older versions gave it
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's mode L
_DAMAGE = (OSError, ValueError, SyntaxError, IndexError, TypeError)  # raised by Pillow's decoders for a broken file


@dataclass(frozen=True)
class PictureStats:
    """Four measurements of one picture, on a copy of at most SIDE pixels per side.

    `brightness` is the mean luma, 0 (black) to 1 (white). `contrast` is its standard deviation, 0 (one shade) to 0.5
    (RMS contrast; Peli 1990, doi:10.1364/JOSAA.7.002032). `sharpness` is the variance of the luma's Laplacian
    (4 neighbours, inner pixels, luma from 0 to 255), 0 for a flat picture (Pech-Pacheco et al. 2000,
    doi:10.1109/ICPR.2000.903548). `colour` is the colourfulness M of Hasler and Suesstrunk (2003,
    doi:10.1117/12.477378), the root of var(rg) + var(yb), plus 0.3 times the root of mean(rg)^2 + mean(yb)^2, where
    rg = R - G and yb = (R + G) / 2 - B, from 0 to 255: 0 is grey, 15 slightly, 59 quite colourful to their viewers.
    """

    brightness: float
    contrast: float
    sharpness: float
    colour: float

    @property
    def grey(self) -> bool:
        """Return whether the picture counts as grey."""
        return self.colour <= GREY


STAT_NAMES = ("brightness", "contrast", "sharpness", "colour")
"""The columns of `measure_picture_files`, in order."""


def measure_picture(image: Image.Image) -> PictureStats:
    """Measure a picture."""
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.HAMMING)
    pixels = np.asarray(image, dtype=np.float32)
    luma = pixels @ _LUMA
    rg = pixels[..., 0] - pixels[..., 1]
    yb = (pixels[..., 0] + pixels[..., 1]) / 2 - pixels[..., 2]
    colour = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    return PictureStats(float(luma.mean() / 255), float(luma.std() / 255), _sharpness(luma), float(colour))


def _sharpness(luma: np.ndarray) -> float:
    if min(luma.shape) < 3:
        return 0.0
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * luma[1:-1, 1:-1]).var())


def measure_picture_file(path: Path) -> PictureStats:
    """Measure a picture file. Raises DataError where it cannot be read."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIDE, SIDE))  # decodes a JPEG no larger than needed
            return measure_picture(image)
    except _DAMAGE as error:
        raise DataError("the picture is damaged or cut off") from error


def measure_picture_files(paths: Iterable[Path]) -> np.ndarray:
    """Return the measurements of pictures, float32 `[N, 4]` in the order of STAT_NAMES; nan where one is unreadable."""
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(_row, paths))
    return np.array(rows, dtype=np.float32).reshape(-1, len(STAT_NAMES))


def picture_stats_of(dataset: Dataset, rows: np.ndarray, progress: OnProgress = no_progress) -> np.ndarray:
    """Return the measurements of the pictures in `rows`, float32 `[len(rows), 4]`, as `measure_picture_files` does.

    Measurements are stored beside the manifest, also where `progress` ends the work by raising.
    """
    with picture_stats_cache(dataset) as measure:
        return measure(rows, progress)


@contextmanager
def picture_stats_cache(dataset: Dataset) -> Iterator[Measure]:
    """Yield a function like `picture_stats_of` for many calls, which stores its measurements when the block ends."""
    n, paths = len(dataset.items), dataset.items["path"]
    blank = {"values": np.full((n, len(STAT_NAMES)), np.nan, dtype=np.float32), "known": np.zeros(n, dtype=bool)}
    with MeasurementCache(dataset.folder / _FILE, **blank) as cache:
        values, measured = cache["values"], cache["known"]

        def measure(rows: np.ndarray, progress: OnProgress = no_progress) -> np.ndarray:
            missing = rows[~measured[rows]]
            for start in range(0, len(missing), _CHUNK):
                progress("Measuring pictures", start, len(missing))
                batch = missing[start : start + _CHUNK]
                values[batch] = measure_picture_files(dataset.folder / path for path in paths.iloc[batch])
                measured[batch] = True
                cache.mark_changed()
            return values[rows]

        yield measure


def _row(path: Path) -> tuple[float, ...]:
    try:
        return astuple(measure_picture_file(path))
    except DataError:
        return (float("nan"),) * len(STAT_NAMES)
