"""Where a split is recognised in a name: of a folder, a file, a table's column or cell, or a part of a hub data set."""

import re
import unicodedata
from collections.abc import Iterable

_TRAIN = "train training trn entrenamiento treino entrainement apprentissage"
_VALIDATION = "val valid validation validate dev devel development eval evaluation validierung validacion validacao"
_TEST = "test testing tst holdout heldout prueba teste"
SPLIT_WORDS = {
    word: split
    for split, words in (("train", _TRAIN), ("validation", _VALIDATION), ("test", _TEST))
    for word in words.split()
}
"""Words that mean a split, without accents and in lower case, with the split they mean."""
_FILLER_WORDS = (
    "set sets image images img imgs picture pictures pic pics photo photos data dataset datasets split splits folder "
    "folders file files subset partition the my full only public private crops cropped resized final new"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
"""Words that do not change which split a name means."""
_LONGEST = 200  # characters of a name
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_A_LETTER = re.compile(r"[\W\d_]+")


def name_words(name: str) -> list[str]:
    """Return the words of a name in lower case, without accents, digits and separators.

    >>> name_words("PublicTest_2"), name_words("Train Set")
    (['public', 'test'], ['train', 'set'])
    """
    parts = _CAMEL.sub(" ", name[:_LONGEST])
    plain = "".join(c for c in unicodedata.normalize("NFKD", parts) if not unicodedata.combining(c))
    words = " ".join(_NOT_A_LETTER.split(plain.casefold()))
    return words.replace("hold out", "holdout").split()


def split_and_rest(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the split that exactly one word of a name means, "" where none or two do, and its other words.

    Words such as "set" and "images" are left out, also where they are joined to another: "trainset", "testimages".
    """
    splits, rest = [], []
    for word in name_words(name):
        bare = _without_fillers(word)
        if bare in SPLIT_WORDS:
            splits.append(SPLIT_WORDS[bare])
        elif word not in _FILLERS:
            rest.append(word)
    return (splits[0] if len(splits) == 1 else ""), tuple(rest)


def guess_split(name: str) -> str:
    """Return the split that a name means ("train", "validation" or "test"), or "" where it means none.

    >>> guess_split("Dev"), guess_split("test_images1"), guess_split("test tubes"), guess_split("dogs")
    ('validation', 'test', '', '')
    """
    split, rest = split_and_rest(name)
    return "" if rest else split


def guess_split_of_part(name: str) -> str:
    """Return the split that a name or its first word means, or "": "train_2020" and "test-small" count too."""
    return guess_split(name) or guess_split(re.split(r"[_.-]", name)[0])


def splits_of_names(names: Iterable[str]) -> dict[str, str]:
    """Return those of some names beside each other that mean splits, each with its split; {} where none does.

    They may share further words, which then have to be the same: seg_train and seg_test mean splits, but "test tubes"
    and "dev boards" do not. Of several such families, the largest counts.
    """
    by_rest = _families(names)
    most = max(by_rest, key=lambda rest: (len(by_rest[rest]), -len(rest)), default=())
    return by_rest.get(most, {}) if not most or len(by_rest[most]) > 1 else {}


def has_several_families(names: Iterable[str]) -> bool:
    """Return whether names fall into several families of splits, such as those of cat_train, cat_test and dog_*."""
    return sum(len(set(family.values())) > 1 for family in _families(names).values()) > 1


def _families(names: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the names that mean splits, each with its split, by the further words that they share."""
    by_rest: dict[tuple[str, ...], dict[str, str]] = {}
    for name in sorted(names):
        split, rest = split_and_rest(name)
        if split:
            by_rest.setdefault(rest, {})[name] = split
    return by_rest


def _without_fillers(word: str) -> str:
    """Return a word without a filler at its beginning or end, where a word that means a split is left."""
    for filler in _FILLERS:
        for bare in (word.removesuffix(filler), word.removeprefix(filler)):
            if bare in SPLIT_WORDS:
                return bare
    return word
