"""Workarounds for the installed builds of torch and torchvision."""

import importlib
import sys
from functools import cache

import torch

_DECLARED: list[torch.library.Library] = []


@cache
def ensure_torchvision() -> None:
    """Import torchvision even if its build does not match torch's; call this before importing timm or transformers.

    A CUDA build of torchvision beside a CPU build of torch misses two operators that torchvision names while it is
    imported; declaring them is enough, because nothing here calls them. Only a failed import shows that they are
    missing: version numbers do not show it on every system, and declaring existing operators fails.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)  # the operators live as long as the library object
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
        importlib.import_module("torchvision")


def default_device() -> torch.device:
    """Return the device that networks run on: the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
