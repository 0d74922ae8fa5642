"""Networks of timm as chains of stages, and packaged weights for them."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.staged import Staged, State
from tl_core.errors import BackboneError


class StagedEfficientNet(Staged):
    """timm's EfficientNet: `stem`, the blocks, and `top`, the last convolution before pooling."""

    net: Any

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.names = ("stem", *(f"blocks.{i}" for i in range(len(net.blocks))), "top")

    def recipe(self) -> dict[str, Any]:
        """Return timm's name of the architecture."""
        return {"library": "timm", "architecture": self.net.pretrained_cfg["architecture"]}

    def stage(self, index: int, state: State) -> State:
        """Run one stage on maps `[B, C, H, W]`."""
        (maps,) = state
        if index == 0:
            return (self.net.bn1(self.net.conv_stem(maps)),)
        if index == len(self.names) - 1:
            return (self.net.bn2(self.net.conv_head(maps)),)
        return (self.net.blocks[index - 1](maps),)


def classifier(architecture: str, weights: Path | None) -> Any:
    """Build timm's own network with its 1,000-class head; `weights` None initialises it from torch's seed."""
    ensure_torchvision()
    import timm

    net = timm.create_model(architecture)
    if weights is not None:
        load_by_order(net, _state_dict(weights), weights.name)
    return net


def efficientnet(architecture: str, weights: Path | None) -> StagedEfficientNet:
    """Build a timm EfficientNet without its classifier. Raises BackboneError where the weights do not fit."""
    net = classifier(architecture, weights)
    net.reset_classifier(0)
    return StagedEfficientNet(net)


def load_by_order(net: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Load a state dict whose tensors have the network's order but other names.

    Raises BackboneError unless count, every shape and every role (weight, bias, running statistics) agree.
    """
    wanted = net.state_dict()
    if len(state) != len(wanted):
        raise BackboneError(f"{source} holds {len(state)} tensors where the network has {len(wanted)}.", _REINSTALL)
    for (theirs, tensor), (ours, place) in zip(state.items(), wanted.items(), strict=True):
        if tensor.shape != place.shape or _role(theirs) != _role(ours):
            raise BackboneError(
                f"{source}: {theirs} {tuple(tensor.shape)} does not fit {ours} {tuple(place.shape)}.", _REINSTALL
            )
    net.load_state_dict(dict(zip(wanted, state.values(), strict=True)))


_REINSTALL = "The file is not the one that this backbone was built for; install its package again."


def _role(name: str) -> str:
    return re.split(r"\.", name)[-1]


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a broken archive raises many kinds of error
        raise BackboneError(f"The weights in {path.name} cannot be read ({error}).", _REINSTALL) from error
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise BackboneError(f"{path.name} does not hold plain weights.", _REINSTALL)
    return state
