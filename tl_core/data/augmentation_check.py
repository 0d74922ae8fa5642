"""Whether a varied picture may belong to another class: digits, letters, and classes that name a side."""

import re

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.images import open_image

SMALL = 32
"""Sides up to which grey pictures are taken for characters, as those of scikit-learn (8) and MNIST (28) are."""
LOOKED_AT = 8
_WORDS = "zero one two three four five six seven eight nine ten digit number letter numeral character"
_SIDES = "left right leftward rightward clockwise counterclockwise anticlockwise links rechts gauche droite izquierda derecha"  # noqa: E501


def why_not_augment(dataset: Dataset) -> str:
    """Return why mirroring and cropping may turn a picture into one of another class; empty where nothing says so."""
    words = [set(re.findall(r"[^\W_]+", name.lower())) for name in dataset.classes]
    single = [name for name in dataset.classes if len(name.strip()) == 1 or name.strip().isdecimal()]
    if len(single) > len(dataset.classes) / 2 or sum(bool(set(_WORDS.split()) & each) for each in words) > 1:
        return "its classes look like digits or letters, and a mirrored one is another, or none"
    if any(set(_SIDES.split()) & each for each in words):
        return "some of its classes name a side or a direction, which mirroring turns round"
    if dataset.modality == "image" and _tiny_and_grey(dataset):
        return f"its pictures are grey and at most {SMALL} pixels wide, as scans of digits and letters are"
    return ""


def _tiny_and_grey(dataset: Dataset) -> bool:
    rows = np.unique(np.linspace(0, len(dataset.items) - 1, min(LOOKED_AT, len(dataset.items))).astype(int))
    for path in dataset.items["path"].iloc[rows]:
        pixels = np.asarray(open_image(dataset.folder / path))
        if max(pixels.shape[:2]) > SMALL or (pixels != pixels[..., :1]).any():
            return False
    return True
