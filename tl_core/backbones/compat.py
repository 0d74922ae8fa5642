"""What stands between the installed builds and us."""

import importlib.metadata
from functools import cache
from typing import Any

import torch

_DECLARED: list[Any] = []


@cache
def ensure_torchvision() -> None:
    """Call before torchvision, timm or transformers is imported.

    A CPU build of torch beside a CUDA build of torchvision misses two operators that torchvision names while it
    is imported; declaring them is enough, because nothing here calls them.
    """
    if mismatched(torch.__version__, importlib.metadata.version("torchvision")):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)  # the operators live as long as the library object


def mismatched(torch_version: str, torchvision_version: str) -> bool:
    """Return whether torch is the CPU build of its own index and torchvision is not.

    Builds without a local version (macOS, ARM) match each other, and declaring the operators twice would fail.
    """
    return torch_version.endswith("+cpu") and not torchvision_version.endswith("+cpu")


def default_device() -> torch.device:
    """Return the device that networks run on: the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
