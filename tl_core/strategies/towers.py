"""The layer groups of a backbone for pictures with texts: those of the picture, and those of the text.

Names of other backbones' groups have no such part, so a backbone for one of the two is a single tower.
"""

from collections.abc import Mapping, Sequence

from tl_core.layers import HEAD
from tl_core.strategies import TaskInfo
from tl_core.types import PARTS, Part

CHOICES: dict[str, tuple[Part, ...]] = {"both": ("image", "text"), "picture": ("image",), "text": ("text",)}


def towers_of(task_info: TaskInfo, choice: str = "both") -> tuple[tuple[str, ...], ...]:
    """Return the layer groups of each tower that a person chose to train, input side first."""
    if task_info.modality != "multimodal":
        return (task_info.groups,)
    return tuple(tuple(group for group in task_info.groups if group.startswith(f"{part}.")) for part in CHOICES[choice])


def together(towers: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the layer groups of all towers in one tuple."""
    return tuple(group for tower in towers for group in tower)


def groups_of(task_info: TaskInfo, choice: str = "both") -> tuple[str, ...]:
    """Return all layer groups of the towers that a person chose to train."""
    return together(towers_of(task_info, choice))


def parts_that_learn(task_info: TaskInfo, lr: Mapping[str, float]) -> frozenset[Part]:
    """Return which parts of an item the layer groups read that have a rate; of a head alone, none."""
    return frozenset(part_of(task_info, group) for group in lr if group != HEAD)


def part_of(task_info: TaskInfo, group: str = "") -> Part:
    """Return which part of an item a layer group reads; the head, and no group, count as the first part's."""
    if task_info.modality != "multimodal":
        return PARTS[task_info.modality][0]
    return "text" if group != HEAD and group.startswith("text.") else "image"
