"""Sizes of items: how they are spread, and in which shapes pictures come."""

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
"""Pictures of which the brightness is measured for a profile, at most."""
_PIXELS = 300_000_000  # decoded for that, at most: a few seconds
_GIANTS = 4.0  # times the 95th percentile: what is longer goes into the last bar
_SQUARE = 1.05


def quantiles(name: str, unit: str, values: np.ndarray, top: float | None = None) -> Quantiles:
    """Return how values `[N]` are spread; bars go from the least, or 0 where `top` is given, to the most, or `top`."""
    least, low5, middle, high95, most = np.percentile(values, [0, 5, 50, 95, 100]).round().astype(int).tolist()
    low, high = (0.0, top) if top is not None else (float(values.min()), float(values.max()))
    high = min(high, _GIANTS * max(1, high95)) if top is None else high
    bars = _bars(values, low, high, whole=top is None)
    return Quantiles(name, unit, least, low5, middle, high95, most, bars)


def _bars(values: np.ndarray, low: float, high: float, whole: bool) -> Bars:
    if high <= low:
        return Bars((low, low + 1), (len(values),))
    step = (high - low) / BARS
    step = math.ceil(step) if whole else step  # bars of whole pixels or tokens, or some would hold more than others
    count = math.ceil((high - low) / step) if whole else BARS
    edges = low + step * np.arange(count + 1)
    counts = np.histogram(np.clip(values, low, edges[-1]), edges)[0]
    return Bars(tuple(edges.tolist()), tuple(counts.tolist()))


def image_sizes(dataset: Dataset) -> tuple[Quantiles, ...]:
    """Return the spread of width and height, where the manifest knows them."""
    items = dataset.items
    sides = [side for side in ("width", "height") if side in items]
    return tuple(quantiles(side.capitalize(), "pixels", items[side].to_numpy()) for side in sides)


def pictures(dataset: Dataset, progress: OnProgress = no_progress) -> Pictures:
    """Return in which shapes pictures come, and how bright, rich in contrast and colourful a sample of them is."""
    shapes, cut, area = _shapes(dataset)
    found = picture_stats_of(dataset, _sample(area), progress)
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return Pictures(*shapes, cut, measured=0, grey=0)
    look = dict(zip(STAT_NAMES, found.T, strict=True))
    return Pictures(
        *shapes,
        cut,
        measured=len(found),
        grey=int((look["colour"] <= GREY).sum()),
        brightness=quantiles("Brightness", "percent", 100 * look["brightness"], top=100),
        contrast=quantiles("Contrast", "percent", 100 * look["contrast"], top=50),
    )


def _shapes(dataset: Dataset) -> tuple[tuple[int, int, int], float, np.ndarray]:
    """Return how many pictures are upright, square and wide, the share cut off the median one, and pixels `[N]`."""
    items = dataset.items
    if "width" not in items:
        return (0, 0, 0), 0.0, np.ones(len(items))
    width, height = (items[side].to_numpy(dtype=float) for side in ("width", "height"))
    wide, upright = int((width > _SQUARE * height).sum()), int((height > _SQUARE * width).sum())
    cut = float(np.median(1 - np.minimum(width, height) / np.maximum(width, height)))
    return (upright, len(items) - wide - upright, wide), cut, width * height


def _sample(area: np.ndarray) -> np.ndarray:
    """Return the rows to measure: so few that a few seconds are enough."""
    stored = np.minimum(area, MAX_SIDE**2)
    most = max(50, int(_PIXELS / max(1.0, float(stored.mean()))))
    return sample_rows(len(area), min(MEASURED, most))
