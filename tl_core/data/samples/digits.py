"""Handwritten digits of 8 by 8 pixels, from scikit-learn."""

import io
from functools import partial

import numpy as np
from PIL import Image

from tl_core.data.options import RawItem
from tl_core.data.samples import SAMPLES, Sample


def _items() -> list[RawItem]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return [
        RawItem(f"{label}/{i:04d}.png", str(label), read=partial(_png, pixels))
        for i, (pixels, label) in enumerate(zip(grey, digits.target.tolist(), strict=True))
    ]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


SAMPLES.add(
    Sample(
        name="digits",
        title="Handwritten digits",
        summary="1,797 handwritten digits, 8 by 8 pixels each, in ten classes.",
        modality="image",
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80",
        items=_items,
    ),
)
