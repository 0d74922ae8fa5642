"""A backbone is shown what it was trained to see."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.preprocess import describe, preprocessor
from tl_core.backbones.spec import BACKBONES, ImageInput, TextInput
from tl_core.errors import BackboneError

CPU = torch.device("cpu")


def noise(width: int, height: int) -> Image.Image:
    """A picture with coarse and fine structure, the same for the same size."""
    values = np.random.default_rng(width * 10_007 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("size", [(640, 427), (427, 640), (100, 80), (256, 256), (281, 300), (33, 900)])
def test_pictures_are_prepared_as_timm_does(number: int, size: tuple[int, int]):
    ensure_torchvision()
    import timm
    from timm.data import create_transform, resolve_data_config

    with torch.device("meta"):
        model = timm.create_model(f"tf_efficientnet_lite{number}")
    image = noise(*size)
    prepare = preprocessor(BACKBONES[f"efficientnet_lite{number}"])
    theirs = create_transform(**resolve_data_config({}, model=model))(image)
    ours = prepare.collate([prepare.crop(image)], CPU)[0][0]
    assert torch.equal(ours, theirs)


def test_colours_are_scaled_by_a_half_and_not_by_imagenets_figures():
    prepare = preprocessor(BACKBONES["efficientnet_lite0"])
    white = torch.full((3, 224, 224), 255, dtype=torch.uint8)
    maps = prepare.collate([white, torch.zeros_like(white)], CPU)[0]
    assert maps[0].unique().tolist() == [1.0]
    assert maps[1].unique().tolist() == [-1.0]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([0.5, 0.875, 0.9, 1.0]))
def test_any_shape_becomes_the_square(width: int, height: int, crop: float):
    prepare = preprocessor(replace(TINY_IMAGE, input=replace(TINY_IMAGE.input, crop=crop)))
    made = prepare.crop(noise(width, height))
    assert made.shape == (3, 32, 32)
    assert made.dtype == torch.uint8
    assert made.is_contiguous()


def test_a_picture_is_read_from_its_file(tmp_path: Path):
    noise(60, 50).save(tmp_path / "picture.png")
    prepare = preprocessor(TINY_IMAGE)
    assert torch.equal(prepare.prepare(tmp_path / "picture.png"), prepare.crop(noise(60, 50)))


def test_maps_are_laid_out_channels_last():
    maps = preprocessor(TINY_IMAGE).collate([torch.zeros(3, 32, 32, dtype=torch.uint8)] * 2, CPU)[0]
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_what_another_backbone_prepared_is_refused():
    pictures, texts = preprocessor(TINY_IMAGE), preprocessor(TINY_TEXT)
    with pytest.raises(BackboneError, match="32 x 32"):
        pictures.collate([torch.zeros(3, 224, 224, dtype=torch.uint8)], CPU)
    with pytest.raises(BackboneError, match="32 x 32"):
        pictures.collate([torch.zeros(3, 32, 32)], CPU)
    with pytest.raises(BackboneError, match="at most 24 tokens"):
        texts.collate([torch.ones(25, dtype=torch.int32)], CPU)
    with pytest.raises(BackboneError, match="only described"):
        preprocessor(BACKBONES["resnet50"])


def test_tokens_are_those_of_the_native_tokenizer():
    from transformers import AutoTokenizer

    spec = BACKBONES["all_minilm_l6_v2"]
    prepare = preprocessor(spec)
    native = AutoTokenizer.from_pretrained(tokenizer_file(spec).parent, local_files_only=True)
    for text in ["Hello, World!", "", "naïve café — 東京 🙂", "word " * 1000, "x" * 5000, "a b\nc\td " * 700]:
        expected = native(text, truncation=True, max_length=256)["input_ids"]
        assert prepare.prepare(text).tolist() == expected


def test_a_text_whose_first_page_is_blank_is_read_on():
    prepare = preprocessor(TINY_TEXT)
    assert prepare.prepare(" " * 5000 + "rain storm").tolist() == prepare.prepare("rain storm").tolist()


def test_what_stands_before_every_text_is_read_with_it():
    spec = replace(TINY_TEXT, input=replace(TINY_TEXT.input, prefix="rain "))
    assert preprocessor(spec).prepare("storm").tolist() == preprocessor(TINY_TEXT).prepare("rain storm").tolist()
    assert "rain" in describe(spec)


def test_padding_is_masked_and_no_longer_than_needed():
    prepare = preprocessor(TINY_TEXT)
    ids, mask = prepare.collate([prepare.prepare("rain"), prepare.prepare("rain storm wind")], CPU)
    assert ids.shape == mask.shape == (2, 5)
    assert mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert ids[0, 3:].tolist() == [0, 0]


def test_the_key_changes_with_what_decides_the_result():
    image = TINY_IMAGE.input
    assert isinstance(image, ImageInput)
    others = [replace(image, size=48), replace(image, crop=0.9), replace(image, mean=(0.4,) * 3)]
    keys = {preprocessor(replace(TINY_IMAGE, input=one)).key for one in [image, *others]}
    assert len(keys) == 4
    assert preprocessor(TINY_IMAGE).key == preprocessor(replace(TINY_IMAGE, name="another")).key
    text = TINY_TEXT.input
    assert isinstance(text, TextInput)
    for other in (replace(text, max_tokens=8), replace(text, prefix="query: ")):
        assert preprocessor(TINY_TEXT).key != preprocessor(replace(TINY_TEXT, input=other)).key


def test_a_person_is_told_what_happens():
    assert "256" in describe(BACKBONES["efficientnet_lite0"])
    assert "0.5" in describe(BACKBONES["efficientnet_lite0"])
    assert "256 tokens" in describe(BACKBONES["all_minilm_l6_v2"])
