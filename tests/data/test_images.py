import hashlib
import io
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from tests.data.files import encoded, picture, see_through
from tl_core.data.images import MAX_SIDE, normalise, open_image
from tl_core.errors import DataError
from tl_core.workspace import Limits


def grey(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_plain_pictures_are_stored_as_they_are(kind, tmp_path):
    data = picture(kind=kind)
    stored = normalise(data)
    assert stored.data == data
    assert (stored.width, stored.height, stored.changes) == (12, 10, ())
    path = tmp_path / f"x{stored.suffix}"
    path.write_bytes(data)
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", (12, 10))


@pytest.mark.parametrize(
    ("data", "change"),
    [
        (encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "CMYK"),
        (grey(np.full((8, 8), 40_000, np.uint16)), "8 bits"),
        (encoded(Image.new("F", (8, 8), 0.5), "TIFF"), "8 bits"),
        (encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 0))), "white"),
        (encoded(Image.new("LA", (8, 8), (9, 0))), "white"),
        (encoded(see_through()), "white"),
        (encoded(see_through(), "GIF"), "white"),
    ],
)
def test_odd_pictures_are_converted_and_say_so(data, change, tmp_path):
    stored = normalise(data)
    assert change in " ".join(stored.changes)
    with Image.open(tmp_write(tmp_path, stored.data)) as image:
        assert image.mode == "RGB"
    if stored.suffix == ".png":
        assert np.array_equal(open_image(tmp_write(tmp_path, data)), open_image(tmp_write(tmp_path, stored.data)))


def tmp_write(folder, data):
    path = folder / f"{hashlib.sha256(data).hexdigest()}.bin"
    path.write_bytes(data)
    return path


def test_a_transparent_picture_lies_on_white(tmp_path):
    data = encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert open_image(tmp_write(tmp_path, data)).getpixel((0, 0)) == (255, 255, 255)


def test_deep_grey_values_keep_their_order_and_range(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    values = np.asarray(open_image(tmp_write(tmp_path, grey(ramp))))[..., 0].ravel()
    assert values[0] == 0
    assert values[-1] == 255
    assert np.all(np.diff(values.astype(int)) > 0)


def test_twelve_bit_values_are_not_left_dark(tmp_path):
    ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    assert np.asarray(open_image(tmp_write(tmp_path, grey(ramp)))).max() == 255


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert "first frame" in normalise(data).changes[0]
    assert open_image(tmp_write(tmp_path, data)).getpixel((0, 0))[2] == 0


def test_a_turned_photo_stands_upright(tmp_path):
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    data = encoded(image, "JPEG", exif=exif)
    stored = normalise(data)
    assert (stored.width, stored.height) == (20, 40)
    assert "upright" in stored.changes[0]
    for path in (tmp_write(tmp_path, data), tmp_write(tmp_path, stored.data)):
        upright = open_image(path)
        assert upright.size == (20, 40)
        assert upright.getpixel((10, 5))[0] < 50
        assert upright.getpixel((10, 35))[0] > 200


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_wide_picture_is_stored_smaller(kind):
    stored = normalise(encoded(Image.new("RGB", (20_000, 1500)), kind))
    assert (stored.width, stored.height) == (20_000, 1500)
    assert "shrunk from 20,000 by 1,500" in stored.changes[0]
    assert max(size_of(stored.data)) == MAX_SIDE


def size_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.size


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (20_000, 3)])
def test_a_thin_strip_is_cropped_to_its_middle(size):
    stored = normalise(encoded(Image.new("RGB", size)))
    assert (stored.width, stored.height) == size
    assert "cropped" in stored.changes[0]
    width, height = size_of(stored.data)
    assert max(width, height) <= 16 * min(width, height)


def test_a_strip_of_one_pixel_by_few_is_kept():
    assert normalise(encoded(Image.new("RGB", (1, 9)))).changes == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "not a picture"),
        (picture(kind="JPEG", size=(200, 200))[:-900], "damaged or cut off"),
        (picture(kind="PNG", size=(200, 200))[:-900], "damaged or cut off"),
        (picture(kind="GIF", size=(200, 200))[:300], "damaged or cut off|not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture"),
        (encoded(Image.new("1", (20_000, 20_000))), "more than can be read safely|more pixels than"),
    ],
)
def test_what_cannot_be_decoded_says_why(data, reason):
    with pytest.raises(DataError, match=reason):
        normalise(data)


def test_the_pixel_limit_is_the_workspaces():
    with pytest.raises(DataError, match="12 by 10 pixels"):
        normalise(picture(), Limits(pixels=100))


def test_the_decoders_own_lower_limit_does_not_count(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert normalise(picture(size=(12, 10))).width == 12


def test_every_cut_of_a_picture_is_one_sentence():
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        data = picture(kind=kind, size=(30, 30))
        for end in range(0, len(data) - 1, max(1, len(data) // 25)):
            with suppress(DataError):
                normalise(data[:end])


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        open_image(tmp_path / "none.png")
