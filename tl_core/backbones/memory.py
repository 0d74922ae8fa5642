"""Whether a network fits into this machine's memory, before it is downloaded or built."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tl_core.errors import BackboneError

if TYPE_CHECKING:
    from tl_core.backbones.recipes import Recipe

BYTES = 8
"""A parameter while a network is checked: itself and its gradient, four bytes each."""
_CONTAINER = Path("/sys/fs/cgroup")


def total_memory() -> int:
    """Return the bytes of memory that this machine has, or that this container may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _of_container("memory.max")
    return total if limit is None else min(total, limit)


def free_memory() -> int:
    """Return the bytes of memory that are available now, here or in this container; else half of all there are."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        free = total_memory() // 2
    limit, used = _of_container("memory.max"), _of_container("memory.current")
    return free if limit is None or used is None else min(free, limit - used)


def _of_container(name: str) -> int | None:
    """Return a number of bytes of this container, None where there is none, or no limit."""
    try:
        return int((_CONTAINER / name).read_text())
    except (OSError, ValueError):
        return None


def check_memory(recipe: "Recipe") -> None:
    """Raise BackboneError, which names the bytes, where a network is too large to be checked here."""
    import torch

    from tl_core.backbones.recipes import build

    try:
        with torch.device("meta"):
            count = sum(parameter.numel() for parameter in build(recipe)[0].parameters())
    except BackboneError:  # some networks compute with their first values; those are small enough to be built
        return
    needed, total = BYTES * count, total_memory()
    if needed > total:
        raise BackboneError(
            f"A network of {count / 1e9:.1f} billion parameters takes about {needed / 1e9:.0f} GB of memory here, and "
            f"this machine has {total / 1e9:.0f} GB.",
            "Choose a smaller one, or a machine with more memory.",
        )
