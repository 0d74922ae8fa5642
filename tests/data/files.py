"""Small pictures, made by code."""

import io

import numpy as np
from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (12, 10), kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return the bytes of a small picture of noise, different for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels).convert(mode), kind)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def see_through() -> Image.Image:
    """Return a palette picture whose left half is transparent."""
    image = Image.new("RGBA", (8, 8), (200, 30, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    palette = image.convert("RGB").quantize(2)
    palette.info["transparency"] = palette.getpixel((0, 0))
    return palette


def pictures(*names: str) -> dict[str, bytes]:
    """Return a different picture for each name."""
    return {name: picture(seed) for seed, name in enumerate(names)}


TWO_CLASSES = pictures("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png")
