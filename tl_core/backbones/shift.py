"""How far a data set is from the backbone's training data, measured at its normalisation layers."""

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import nn

from tl_core.backbones.staged import BatchNorm
from tl_core.layers import LayerGroup

POSITIONS = 14
"""Wider maps are read at every n-th position: the statistics stay almost the same at a fraction of the cost."""


class ShiftMeter:
    """Records the inputs of each batch normalisation layer while the network runs; use it as a context manager.

    For a layer whose running mean and variance are m and v, over data with mean a and deviation s per channel,
    the shift is `mean over channels of ((a - m)^2 + (s - sqrt(v))^2) / v`; channels with v = 0 are
    left out. A group's shift is the mean over its layers. 0 says that the data look like the source to this
    layer; it orders domains by distance from the source without any source data. The idea of comparing these
    statistics: Li et al. 2017, "Revisiting Batch Normalization For Practical Domain Adaptation", arXiv:1603.04779.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = {n: m for n, m in network.named_modules() if isinstance(m, BatchNorm)}
        self._sums = {name: _Sums() for name in self._layers}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "ShiftMeter":
        for name, layer in self._layers.items():
            sums = self._sums[name]
            self._hooks.append(layer.register_forward_pre_hook(lambda _, inputs, sums=sums: sums.add(inputs[0])))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def by_group(self, groups: Sequence[LayerGroup]) -> dict[str, float]:
        """Return the shift of each group that has a normalisation layer, input side first."""
        shifts: dict[str, list[float]] = {}
        for name, layer in self._layers.items():
            owner = next(group.name for group in groups if re.match(group.pattern, f"{name}.running_mean"))
            shifts.setdefault(owner, []).append(_layer_shift(layer, *self._sums[name].moments()))
        return {name: sum(values) / len(values) for name, values in shifts.items()}


class _Sums:
    """Running sums of values and squares per channel, in double precision."""

    def __init__(self) -> None:
        self.items = 0
        self.mean: torch.Tensor | float = 0.0
        self.square: torch.Tensor | float = 0.0

    def add(self, maps: torch.Tensor) -> None:
        """Add maps `[B, C, H, W]`."""
        step = max(1, maps.shape[-1] // POSITIONS)
        seen = maps[:, :, ::step, ::step]
        mean = seen.mean(dim=(0, 2, 3), keepdim=True)
        variance = (seen - mean).square().mean(dim=(0, 2, 3)).double()
        center = mean.flatten().double()
        self.items += len(maps)
        self.mean = self.mean + center * len(maps)
        self.square = self.square + (variance + center.square()) * len(maps)

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation `[C]` of all added maps."""
        mean, square = torch.as_tensor(self.mean) / self.items, torch.as_tensor(self.square) / self.items
        return mean, (square - mean.square()).clamp_min(0).sqrt()


def _layer_shift(layer: Any, mean: torch.Tensor, std: torch.Tensor) -> float:
    center, variance = layer.running_mean.double(), layer.running_var.double()
    alive = variance > 0
    distance = (mean - center).square() + (std - variance.sqrt()).square()
    return float((distance[alive] / variance[alive]).mean()) if bool(alive.any()) else 0.0
