"""Distributions of item sizes, and the shapes and colours of pictures."""

import math

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.images import MAX_SIDE
from tl_core.data.options import OnProgress, no_progress
from tl_core.data.picture_stats import GREY, STAT_NAMES, picture_stats_of
from tl_core.data.profile.data_profile import Bars, Pictures, Quantiles
from tl_core.data.sampling import sample_rows

BARS = 24
"""Bars of a histogram."""
MEASURED = 2000
"""Most pictures that are measured for a profile."""
_PIXELS = 300_000_000  # most pixels decoded for it: a few seconds
_CLIP = 4.0  # times the 95th percentile: larger values go into the last bar
_SQUARE = 1.05  # largest ratio of the sides of a square picture


def quantiles(name: str, unit: str, values: np.ndarray, top: float | None = None) -> Quantiles:
    """Return the distribution of values `[N]`. With `top`, bars go from 0 to `top`, else from minimum to maximum."""
    minimum, low5, median, high95, maximum = np.percentile(values, [0, 5, 50, 95, 100]).round().astype(int).tolist()
    low, high = (0.0, top) if top is not None else (float(values.min()), float(values.max()))
    high = min(high, _CLIP * max(1, high95)) if top is None else high
    bars = _bars(values, low, high, whole=top is None)
    return Quantiles(name, unit, minimum, low5, median, high95, maximum, bars)


def _bars(values: np.ndarray, low: float, high: float, whole: bool) -> Bars:
    if high <= low:
        return Bars((low, low + 1), (len(values),))
    step = (high - low) / BARS
    step = math.ceil(step) if whole else step  # whole pixels or tokens per bar, so that bars are comparable
    count = math.ceil((high - low) / step) if whole else BARS
    edges = low + step * np.arange(count + 1)
    counts = np.histogram(np.clip(values, low, edges[-1]), edges)[0]
    return Bars(tuple(edges.tolist()), tuple(counts.tolist()))


def image_sizes(dataset: Dataset) -> tuple[Quantiles, ...]:
    """Return the distributions of width and height, where the manifest has them."""
    items = dataset.items
    sides = [side for side in ("width", "height") if side in items]
    return tuple(quantiles(side.capitalize(), "pixels", items[side].to_numpy()) for side in sides)


def pictures(dataset: Dataset, progress: OnProgress = no_progress) -> Pictures:
    """Return the shapes of pictures, and brightness, contrast and colour of a sample."""
    shapes, cut, area = _shapes(dataset)
    stats = picture_stats_of(dataset, _sample(area), progress)
    stats = stats[np.isfinite(stats).all(axis=1)]
    if not len(stats):
        return Pictures(*shapes, cut, measured=0, grey=0)
    by_name = dict(zip(STAT_NAMES, stats.T, strict=True))
    return Pictures(
        *shapes,
        cut,
        measured=len(stats),
        grey=int((by_name["colour"] <= GREY).sum()),
        brightness=quantiles("Brightness", "percent", 100 * by_name["brightness"], top=100),
        contrast=quantiles("Contrast", "percent", 100 * by_name["contrast"], top=50),
    )


def _shapes(dataset: Dataset) -> tuple[tuple[int, int, int], float, np.ndarray]:
    """Count upright, square and wide pictures; return also the share cut off the median one, and pixels `[N]`."""
    items = dataset.items
    if "width" not in items:
        return (0, 0, 0), 0.0, np.ones(len(items))
    width, height = (items[side].to_numpy(dtype=float) for side in ("width", "height"))
    wide, upright = int((width > _SQUARE * height).sum()), int((height > _SQUARE * width).sum())
    cut = float(np.median(1 - np.minimum(width, height) / np.maximum(width, height)))
    return (upright, len(items) - wide - upright, wide), cut, width * height


def _sample(area: np.ndarray) -> np.ndarray:
    """Return the rows to measure, few enough for a few seconds."""
    stored = np.minimum(area, MAX_SIDE**2)
    most = max(50, int(_PIXELS / max(1.0, float(stored.mean()))))
    return sample_rows(len(area), min(MEASURED, most))
