"""Every network of timm and torchvision that has pretrained weights, by name: written once, then read without torch.

`python -m tl_core.backbones.name_list FOLDER` writes the list into a folder.
"""

import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tl_core.workspace import read_value, write_value

NAMES = "names"
"""The folder of the list, below the workspace's folder of backbones."""


@dataclass(frozen=True)
class Network:
    """A network by its full name, such as `timm:resnet50.a1_in1k`; bytes of its weights and pixels of a side, or 0."""

    name: str
    bytes: int = 0
    side: int = 0


@dataclass(frozen=True)
class NameList:
    """The networks of the installed libraries."""

    networks: tuple[Network, ...]


def read_names(folder: Path) -> tuple[Network, ...]:
    """Return the networks of the installed versions of the libraries; none where the list is not written yet."""
    names = read_value(NameList, _file(folder))
    return names.networks if names else ()


def write_names(folder: Path) -> None:
    """Write the list of the installed versions of the libraries."""
    from tl_core.backbones.compat import ensure_torchvision

    ensure_torchvision()
    write_value(_file(folder), NameList((*_timm(), *_torchvision())))


def _timm() -> list[Network]:
    """Return the networks whose weights are on the hub under timm's own name."""
    import timm

    found = []
    for name in timm.list_models(pretrained=True):
        cfg = timm.get_pretrained_cfg(name)
        if cfg is None:
            continue
        channels, height, width = cfg.input_size
        if cfg.hf_hub_id == f"timm/{name}" and channels == 3 and height == width:
            found.append(Network(f"timm:{name}", side=height))
    return found


def _torchvision() -> list[Network]:
    from torchvision import models

    found = []
    for name in models.list_models(module=models):
        weights = getattr(models.get_model_weights(name), "DEFAULT", None)
        if weights is not None:
            size = round(weights.meta.get("_file_size", 0.0) * 2**20)
            found.append(Network(f"torchvision:{name}", size, weights.transforms().crop_size[0]))
    return found


def _file(folder: Path) -> Path:
    return folder / f"timm-{version('timm')}-torchvision-{version('torchvision')}.json"


if __name__ == "__main__":
    write_names(Path(sys.argv[1]))
