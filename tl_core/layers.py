"""Layer groups: the units that are frozen, thawed and given a rate."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tl_core.errors import BackboneError

HEAD = "head"


@dataclass(frozen=True)
class LayerGroup:
    """A named run of layers; `pattern` matches the start of its parameters' and buffers' names."""

    name: str
    pattern: str


def partition(names: Iterable[str], groups: Sequence[LayerGroup]) -> dict[str, list[str]]:
    """Sort parameter names into groups, each into exactly one.

    Raises BackboneError that names every parameter which no group or more than one group claims, and every
    group that claims nothing.
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
