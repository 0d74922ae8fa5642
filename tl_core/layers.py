"""Layer groups: the units that are frozen, thawed and given a rate."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tl_core.errors import BackboneError

HEAD = "head"
ADAPTER_PARTS = ("lora_", "hada_", "lokr_", "ia3_")
"""How peft begins the names of an adapter's tensors."""
_TITLES = {"stem": "first layers", "embeddings": "word embeddings", "top": "last layers", HEAD: "new head"}
_PARTS = {"image.": "picture", "text.": "text"}
"""How the groups of a backbone for pictures with texts begin, and the words for it."""
_NUMBERED = {"blocks": "block", "layer": "layer"}


@dataclass(frozen=True)
class LayerGroup:
    """A named run of layers; `pattern` matches the start of its parameters' and buffers' names."""

    name: str
    pattern: str


def titles(groups: Iterable[str]) -> dict[str, str]:
    """Return a title for each layer group, input side first, such as "block 5 of 7 (blocks.4)".

    The words are for people; the name in brackets is the one that plans and documents use.
    """
    names = list(groups)
    split = {name: (*_part(name), *name.rpartition(".")[::2]) for name in names}
    titled = {}
    for name, (part, inner, kind, number) in split.items():
        numbered = _NUMBERED.get(inner.rpartition(".")[0])
        words = _TITLES.get(inner, "")
        if numbered and number.isdigit():
            same = [other for other in names if split[other][2] == kind]
            words = f"{numbered} {same.index(name) + 1} of {len(same)}"
        titled[name] = f"{part}{words} ({name})" if words else name
    return titled


def _part(name: str) -> tuple[str, str]:
    """Return the part of an item that a layer group reads, in words, and the rest of its name."""
    prefix = next((prefix for prefix in _PARTS if name.startswith(prefix)), "")
    return (f"{_PARTS[prefix]}, " if prefix else ""), name.removeprefix(prefix)


def plain_titles(groups: Iterable[str]) -> dict[str, str]:
    """Return the title of each layer group without its name, such as "block 5 of 7"."""
    return {name: title.removesuffix(f" ({name})") for name, title in titles(groups).items()}


def partition(names: Iterable[str], groups: Sequence[LayerGroup]) -> dict[str, list[str]]:
    """Sort parameter names into layer groups, each into exactly one.

    Raises BackboneError. It names every parameter that no group or more than one group claims, and every group that
    claims nothing.
    """
    claimed: dict[str, list[str]] = {group.name: [] for group in groups}
    wrong = []
    for name in names:
        owners = [group.name for group in groups if re.match(group.pattern, name)]
        if len(owners) == 1:
            claimed[owners[0]].append(name)
        else:
            wrong.append(f"{name} ({' and '.join(owners) or 'no group'})")
    if wrong:
        raise BackboneError(f"Every parameter belongs to exactly one layer group; these do not: {', '.join(wrong)}.")
    if empty := [name for name, members in claimed.items() if not members]:
        raise BackboneError(f"These layer groups match no parameter: {', '.join(empty)}.")
    return claimed


def is_adapter(name: str) -> bool:
    """Return whether a tensor of a model belongs to an adapter, by its name."""
    return name.startswith("backbone.") and any(part.startswith(ADAPTER_PARTS) for part in name.split("."))
