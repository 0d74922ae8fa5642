import imagehash
import numpy as np
import pytest
from PIL import Image

from tests.data.files import encoded
from tl_core.data.images import normalise
from tl_core.data.perceptual_hash import perceptual_hash
from tl_core.data.sources import import_data


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Return a smooth picture of random shades, different for every seed."""
    shades = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(shades).resize(size, Image.Resampling.BICUBIC)


def bits_apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_a_hash_is_the_perceptual_hash_of_the_library():
    image = scene(1, (64, 64))
    assert perceptual_hash(image) == str(imagehash.phash(image))


@pytest.mark.parametrize("seed", range(10))
def test_a_picture_saved_or_resized_again_keeps_its_hash(seed):
    image = scene(seed)
    again = normalise(encoded(image, "JPEG", quality=60))
    smaller = normalise(encoded(image.resize((80, 60), Image.Resampling.LANCZOS)))
    assert max(bits_apart(perceptual_hash(image), other.perceptual_hash) for other in (again, smaller)) <= 8
    assert bits_apart(perceptual_hash(image), perceptual_hash(scene(seed + 100))) > 8


def test_a_large_picture_has_the_hash_of_its_small_copy():
    image = scene(3, (2000, 1500))
    assert bits_apart(perceptual_hash(image), perceptual_hash(image.resize((200, 150), Image.Resampling.LANCZOS))) <= 4


@pytest.mark.parametrize("noise", [0, 3])
def test_a_plain_picture_has_no_hash(noise):
    grey = np.random.default_rng(0).integers(120 - noise, 121 + noise, (50, 60), dtype=np.uint8)
    assert perceptual_hash(Image.fromarray(grey).convert("RGB")) == ""


def test_the_hash_is_in_the_manifest(make_folder, workspace):
    files = {f"{kind}/{n}.png": encoded(scene(10 * k + n)) for k, kind in enumerate(("cats", "dogs")) for n in range(2)}
    dataset = import_data(make_folder(files), workspace)
    assert dataset.items["perceptual_hash"].tolist() == [perceptual_hash(scene(seed)) for seed in (0, 1, 10, 11)]
