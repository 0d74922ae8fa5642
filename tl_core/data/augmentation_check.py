"""Whether augmentation preserves labels: not for digits, letters, and classes that name a side."""

import re

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.images import open_image

SMALL = 32
"""Longest side, in pixels, of grey pictures that are taken for characters (scikit-learn's digits: 8, MNIST: 28)."""
SAMPLED = 8
"""Pictures that are opened to find out."""
_CHARACTER_WORDS = "zero one two three four five six seven eight nine ten digit number letter numeral character"
_SIDE_WORDS = "left right leftward rightward clockwise counterclockwise anticlockwise links rechts gauche droite izquierda derecha"  # noqa: E501


def why_not_augment(dataset: Dataset) -> str:
    """Return why mirroring or cropping may change the class of a picture; "" where nothing suggests it."""
    words = [set(re.findall(r"[^\W_]+", name.lower())) for name in dataset.classes]
    single = [name for name in dataset.classes if len(name.strip()) == 1 or name.strip().isdecimal()]
    if (
        len(single) > len(dataset.classes) / 2
        or sum(bool(set(_CHARACTER_WORDS.split()) & name_words) for name_words in words) > 1
    ):
        return "its classes look like digits or letters, and a mirrored one is another character, or none"
    if any(set(_SIDE_WORDS.split()) & name_words for name_words in words):
        return "some of its classes name a side or a direction, which mirroring turns round"
    if "image" in dataset.parts and _tiny_and_grey(dataset):
        return f"its pictures are grey and at most {SMALL} pixels wide, as scans of digits and letters are"
    return ""


def _tiny_and_grey(dataset: Dataset) -> bool:
    rows = np.unique(np.linspace(0, len(dataset.items) - 1, min(SAMPLED, len(dataset.items))).astype(int))
    for path in dataset.items["path"].iloc[rows]:
        pixels = np.asarray(open_image(dataset.folder / path))
        if max(pixels.shape[:2]) > SMALL or (pixels != pixels[..., :1]).any():
            return False
    return True
