import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage

from tests.data.files import encoded, picture
from tl_core.data.picture_stats import (
    SIDE,
    STAT_NAMES,
    PictureStats,
    measure_picture,
    measure_picture_file,
    measure_picture_files,
)
from tl_core.errors import DataError


def noise(seed=0, shape=(40, 50, 3), low=0, high=255):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def test_the_numbers_are_those_of_their_definitions():
    pixels = noise()
    result = measure_picture(Image.fromarray(pixels))
    red, green, blue = pixels.astype(float).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert result.brightness == pytest.approx(luma.mean() / 255, rel=1e-5)
    assert result.contrast == pytest.approx(luma.std() / 255, rel=1e-5)
    assert result.sharpness == pytest.approx(ndimage.laplace(luma)[1:-1, 1:-1].var(), rel=1e-4)
    rg, yb = red - green, 0.5 * (red + green) - blue
    spread, mean = (rg.std() ** 2 + yb.std() ** 2) ** 0.5, (rg.mean() ** 2 + yb.mean() ** 2) ** 0.5
    assert result.colour == pytest.approx(spread + 0.3 * mean, rel=1e-5)


@pytest.mark.parametrize(("shade", "brightness"), [(0, 0.0), (51, 0.2), (255, 1.0)])
def test_one_shade_has_its_brightness_and_nothing_else(shade, brightness):
    result = measure_picture(Image.new("L", (30, 20), shade))
    assert result.brightness == pytest.approx(brightness, abs=1e-4)
    assert (result.contrast, result.sharpness, result.colour) == pytest.approx((0, 0, 0), abs=1e-3)
    assert result.grey


def test_half_black_half_white_has_the_largest_contrast():
    pixels = np.zeros((20, 20), np.uint8)
    pixels[:, 10:] = 255
    assert measure_picture(Image.fromarray(pixels)).contrast == pytest.approx(0.5, abs=1e-4)


def test_blur_takes_sharpness_away_and_little_else():
    sharp = Image.fromarray(noise(3, (200, 200, 3))).resize((400, 400), Image.Resampling.BICUBIC)
    series = [measure_picture(sharp.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    values = [stats.sharpness for stats in series]
    assert values == sorted(values, reverse=True)
    assert values[0] > 50 * values[-1]
    assert series[0].brightness == pytest.approx(series[-1].brightness, abs=0.01)


def test_a_grey_photograph_saved_as_jpeg_is_grey_and_a_spot_of_colour_is_not(tmp_path):
    shades = np.repeat(noise(1, (60, 60, 1)), 3, axis=2)
    for quality in (30, 60, 95):
        (tmp_path / "grey.jpg").write_bytes(encoded(Image.fromarray(shades), "JPEG", quality=quality))
        assert measure_picture_file(tmp_path / "grey.jpg").grey
    shades[:6, :6] = (220, 20, 20)
    assert not measure_picture(Image.fromarray(shades)).grey


def test_a_large_jpeg_decoded_small_measures_as_the_whole_of_it(tmp_path):
    base = Image.fromarray(noise(5, (200, 300, 3))).resize((1800, 1200), Image.Resampling.BICUBIC)
    (tmp_path / "large.jpg").write_bytes(encoded(base, "JPEG", quality=95))
    (tmp_path / "large.png").write_bytes(encoded(base, "PNG"))
    jpeg, png = measure_picture_file(tmp_path / "large.jpg"), measure_picture_file(tmp_path / "large.png")
    for name in STAT_NAMES:
        assert getattr(jpeg, name) == pytest.approx(getattr(png, name), rel=0.1), name


def test_pictures_smaller_than_the_copy_are_measured_as_they_are():
    pixels = noise(2, (SIDE, 7, 3))
    luma = pixels.astype(float) @ [0.299, 0.587, 0.114]
    assert measure_picture(Image.fromarray(pixels)).contrast == pytest.approx(luma.std() / 255, rel=1e-4)
    assert measure_picture(Image.new("RGB", (2, 90))).sharpness == 0


def test_all_of_them_in_order_and_an_unreadable_one_is_not_a_number(tmp_path):
    paths = []
    for seed in range(5):
        paths.append(tmp_path / f"{seed}.png")
        paths[-1].write_bytes(picture(seed))
    paths[2].write_bytes(b"no picture")
    result = measure_picture_files(paths)
    assert result.shape == (5, len(STAT_NAMES))
    assert result.dtype == np.float32
    assert np.isnan(result[2]).all()
    for row in (0, 1, 3, 4):
        assert PictureStats(*result[row].tolist()) == PictureStats(
            *np.float32([*vars(measure_picture_file(paths[row])).values()]).tolist()
        )
    with pytest.raises(DataError, match="damaged"):
        measure_picture_file(paths[2])
    assert measure_picture_files([]).shape == (0, len(STAT_NAMES))
