"""Counts and names in words, for messages."""

from collections.abc import Sequence

from tl_core.types import Modality

NOUNS: dict[Modality, tuple[str, str]] = {
    "image": ("picture", "pictures"),
    "text": ("text", "texts"),
    "multimodal": ("item", "items"),
}


def count(n: int, one: str, many: str) -> str:
    """Return a number with its noun: "1 item is", "1,200 items are"."""
    return f"{n:,} {one if n == 1 else many}"


def these(names: Sequence[str]) -> str:
    """Return "The class 'a' has" or "3 classes (a, b, c) have", naming at most five."""
    if len(names) == 1:
        return f"The class {names[0]!r} has"
    more = ", ..." if len(names) > 5 else ""
    return f"{len(names):,} classes ({', '.join(names[:5])}{more}) have"


def clip(text: str, most: int = 80) -> str:
    """Return a text on one line, cut to at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 4].rstrip()} ..."
