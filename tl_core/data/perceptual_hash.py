"""Perceptual hash of a picture: 64 bits that hardly change when the picture is resized, brightened or saved again."""

import numpy as np
from PIL import Image

PLAIN = 4.0
"""Standard deviation of the grey values (0 to 255) below which a picture has no hash: its bits would be noise."""
_MIN_SIDE = 64  # pixels of the shorter side; a larger picture is reduced to about this first, which changes little


def perceptual_hash(image: Image.Image) -> str:
    """Return the perceptual hash of an RGB picture as 16 hex digits, or "" where the picture is too plain.

    The bits are the signs, relative to their median, of the 8 x 8 lowest frequencies of the cosine transform of
    32 x 32 grey values: `imagehash.phash`, after https://www.phash.org.
    """
    import imagehash

    factor = min(image.size) // _MIN_SIDE
    small = (image.reduce(factor) if factor > 1 else image).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    return str(imagehash.phash(small)) if np.asarray(small).std() >= PLAIN else ""
