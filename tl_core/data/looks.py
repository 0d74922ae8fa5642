"""What a picture looks like, in 64 bits: two pictures of nearly equal bits are worth comparing."""

import numpy as np
from PIL import Image

PLAIN = 4.0
"""Standard deviation of the grey values (0 to 255) below which a picture has no look: its bits would be noise."""
_ENOUGH = 64  # pixels of the shorter side from which a larger picture tells nothing more


def look(image: Image.Image) -> str:
    """Return the perceptual hash of an RGB picture as 16 hex digits, "" where it is too plain to have one.

    The signs, against their median, of the 8 x 8 lowest frequencies of the cosine transform of 32 x 32 grey values:
    `imagehash.phash`, after https://www.phash.org.
    """
    import imagehash

    factor = min(image.size) // _ENOUGH
    small = (image.reduce(factor) if factor > 1 else image).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    return str(imagehash.phash(small)) if np.asarray(small).std() >= PLAIN else ""
