"""Whether a network fits into this machine's memory, before it is downloaded or built."""

import os
from pathlib import Path

from tl_core.backbones.recipes import Recipe, build
from tl_core.errors import BackboneError

BYTES = 8
"""A parameter while a network is checked: itself and its gradient, four bytes each."""
_LIMIT = Path("/sys/fs/cgroup/memory.max")


def total_memory() -> int:
    """Return the bytes of memory that this machine has, or that this container may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _LIMIT.read_text().strip() if _LIMIT.is_file() else ""
    return min(total, int(limit)) if limit.isdigit() else total


def check_memory(recipe: Recipe) -> None:
    """Raise BackboneError, which names the bytes, where a network is too large to be checked here."""
    import torch

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
