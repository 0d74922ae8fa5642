"""The names of classes as a person types them, and the sentences (templates) that they are put into."""

import csv
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from tl_core.errors import DataError
from tl_core.types import Part

SLOT = "{}"
"""Where the name of a class goes in a template."""
TEMPLATES: Mapping[Part, tuple[str, ...]] = {
    "text": ("This text is about {}.", "The topic is {}.", "An article about {}."),
    "image": ("a photo of a {}.",),
}
"""The templates that are used where a person names none. Those for texts were measured, see docs/LOG.md; the one for
pictures is that of CLIP's authors, https://arxiv.org/abs/2103.00020, section 3.1.4."""
MOST = 1000
"""Names of classes at most: each is a column of the result."""
LONGEST = 200
"""Characters of the name of a class at most."""


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a text: one a line, or on a single line between commas.

    A name with a comma on a single line stands in quotation marks: `"news, world",sport`. Blank lines are ignored.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        return tuple(lines)
    return tuple(next(csv.reader(lines, skipinitialspace=True)))


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names without spaces around them, several spaces as one.

    Raises DataError where there are fewer than two or too many, where one is empty or very long, and where two differ
    in nothing but capitals and spaces.
    """
    tidy = tuple(" ".join(unicodedata.normalize("NFC", name).split()) for name in names)
    if len(tidy) < 2:
        given = f"There is only the class {tidy[0]!r}" if tidy and tidy[0] else "No class is named"
        raise DataError(f"{given}, so there is nothing to tell apart.", "Name at least two classes.")
    if not all(tidy):
        raise DataError("One of the class names is empty.", "Leave out the extra comma or line, or name the class.")
    if len(tidy) > MOST:
        raise DataError(f"There are {len(tidy):,} class names, and {MOST:,} are possible.", "Name fewer classes.")
    if long := next((name for name in tidy if len(name) > LONGEST), ""):
        raise DataError(f"The class name {long[:40]!r}... is too long.", f"Use at most {LONGEST} characters.")
    seen: dict[str, str] = {}
    for name in tidy:
        earlier = seen.get(name.casefold())
        if earlier == name:
            raise DataError(f"The class {name!r} is named twice.", "Name each class once.")
        if earlier is not None:
            raise DataError(f"{earlier!r} and {name!r} are the same name.", "Name each class once.")
        seen[name.casefold()] = name
    return tidy


def check_templates(templates: Iterable[str]) -> tuple[str, ...]:
    """Return the templates without spaces around them, each once.

    Raises DataError where there is none, or one has no place for the name.
    """
    tidy = tuple(dict.fromkeys(template.strip() for template in templates))
    if not tidy:
        raise DataError("There is no template.", f"Give one such as {TEMPLATES['text'][0]!r}.")
    if wrong := [template for template in tidy if SLOT not in template]:
        raise DataError(
            f"The template {wrong[0]!r} has no {SLOT}, where the name of a class goes.",
            f"Write it like {TEMPLATES['text'][0]!r}.",
        )
    return tidy


def prompts(names: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    """Return every name in every template, a list for each template. Other braces stay as they are."""
    return [[template.replace(SLOT, name) for name in names] for template in templates]
