"""Reading pictures of any format as 8-bit RGB, upright and of reasonable size."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tl_core.data.perceptual_hash import perceptual_hash
from tl_core.errors import DataError
from tl_core.workspace import Limits

_SUFFIXES = ".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .avif"
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
MAX_SIDE = 2048
"""Longest side of a stored copy, in pixels: several times the input of any backbone, and still quick to decode."""
MAX_ASPECT = 16
"""Largest aspect ratio of a stored copy: resizing the short side of a strip to 256 would give many megapixels."""

DEFAULT_LIMITS = Limits()

# Only formats that Pillow decodes itself: others, such as EPS, start external programs.
Image.init()
_FORMATS = tuple(f for f in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF") if f in Image.OPEN)
_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
_EXIF_ORIENTATION = 0x0112  # 2 to 8 mean a rotation or flip, and 5 to 8 swap width and height


@dataclass(frozen=True)
class NormalisedPicture:
    """A picture ready to store: bytes, suffix, size in the source, changes that were made, and perceptual hash."""

    data: bytes
    suffix: str
    width: int
    height: int
    changes: tuple[str, ...] = ()
    perceptual_hash: str = ""


def open_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Return a picture as 8-bit RGB `[H, W, 3]`: upright, first frame, transparency on white.

    Raises DataError, with the bare reason as message, where the file cannot be decoded.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"it cannot be opened ({error.strerror})") from error
    return _decode(data, limits)[0]


def normalise(data: bytes, limits: Limits = DEFAULT_LIMITS) -> NormalisedPicture:
    """Decode a picture fully, and return what to store: the original bytes if nothing must change, else a copy.

    Raises DataError, with the bare reason as message, where they cannot be decoded.
    """
    image, kind, size, changes = _decode(data, limits)
    if not changes:
        return NormalisedPicture(data, _suffix(kind), *size, perceptual_hash=perceptual_hash(image))
    buffer = io.BytesIO()
    lossy = kind in _LOSSY
    if lossy:
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        image.save(buffer, "PNG")
    return NormalisedPicture(
        buffer.getvalue(), ".jpg" if lossy else ".png", *size, tuple(changes), perceptual_hash(image)
    )


def _suffix(kind: str) -> str:
    return {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}.get(kind, f".{kind.lower()}")


def _decode(data: bytes, limits: Limits) -> tuple[Image.Image, str, tuple[int, int], list[str]]:
    """Return the RGB picture, its format, its upright size in the source, and the changes that were made."""
    if not data:
        raise DataError("the file is empty")
    with _as_data_error(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns at its own pixel limit, which is lower than ours
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > limits.pixels:
                raise DataError(f"it has {width:,} by {height:,} pixels, more than can be read safely")
            kind = image.format or ""
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
            rotated = orientation in range(2, 9)
            changes = ["only the first frame was kept"] if kind != "MPO" and getattr(image, "n_frames", 1) > 1 else []
            if max(width, height) > 2 * MAX_SIDE:
                image.draft(None, (MAX_SIDE, MAX_SIDE))
            image.load()
            upright = ImageOps.exif_transpose(image) if rotated else image
            changes += ["turned upright as its camera noted"] if rotated else []
            rgb, conversions = _to_rgb(upright)
            size = (height, width) if orientation in range(5, 9) else (width, height)
            rgb, fitted = _fit(rgb, size)
            return rgb, kind, size, changes + conversions + fitted


@contextmanager
def _as_data_error() -> Iterator[None]:
    """Turn any exception of a decoder (Pillow's plugins raise a dozen types) into a DataError with a plain reason."""
    try:
        yield
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError("it has more pixels than can be read safely") from error
    except Image.UnidentifiedImageError as error:
        raise DataError("it is not a picture, whatever its name says") from error
    except Exception as error:
        raise DataError("the picture is damaged or cut off") from error


def _to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return the picture as RGB, and the changes, except for plain grey values that were repeated three times."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _to_eight_bits(np.asarray(image))
    if mode == "RGB" and "transparency" not in image.info:
        return image.copy(), []
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema() == (255, 255):
            return layered.convert("RGB"), ["the unused transparency was dropped"]
        canvas = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(canvas, layered).convert("RGB"), ["transparency was laid on white"]
    if mode in ("L", "1", "P"):
        return image.convert("RGB"), []
    return image.convert("RGB"), [f"converted from {mode} to RGB colours"]


def _to_eight_bits(values: np.ndarray) -> tuple[Image.Image, list[str]]:
    """Scale grey values of more than 8 bits `[H, W]` to 8 bits, by the bit depth that they use (8, 12 or 16)."""
    fractions = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float64))
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        values, full = values - low, max(high - low, 1e-12)
    elif fractions and high <= 1:
        full = 1.0
    else:
        full = next(f for f in (255.0, 4095.0, 65535.0) if high <= f)
    grey = np.round(np.clip(values / full, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB"), ["scaled to 8 bits from deeper grey values"]


def _fit(image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, list[str]]:
    """Crop a strip to its centre, and shrink a picture larger than MAX_SIDE; `size` is that in the source."""
    changes = []
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        keep_w, keep_h = min(width, MAX_ASPECT * height), min(height, MAX_ASPECT * width)
        left, top = (width - keep_w) // 2, (height - keep_h) // 2
        image = image.crop((left, top, left + keep_w, top + keep_h))
        changes.append(f"cropped to its middle: at {size[0]:,} by {size[1]:,} pixels it is a thin strip")
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    if max(size) > MAX_SIDE and max(image.size) == MAX_SIDE:
        changes.append(f"shrunk from {size[0]:,} by {size[1]:,} pixels")
    return image, changes
