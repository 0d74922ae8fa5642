"""Where a split is guessed from a name: of a folder, a file, a table's cell, or a part of a hub data set."""

import re

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trainset", "train_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "test_set"), "test"),
}
"""Names that mean a split, in lower case, with the split they mean."""


def guess_split(name: str) -> str:
    """Return the split that a name means ("train", "validation" or "test"), or "" where it means none.

    >>> guess_split("Dev"), guess_split("dogs")
    ('validation', '')
    """
    return SPLIT_NAMES.get(name.lower(), "")


def guess_split_of_part(name: str) -> str:
    """Return the split that a name or its first word means, or "": "train_2020" and "test-small" count too."""
    return guess_split(name) or guess_split(re.split(r"[_.-]", name)[0])
