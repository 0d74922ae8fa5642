"""The one shape every network has here: a chain of stages, one stage a layer group."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

State = tuple[torch.Tensor, ...]
"""What flows between stages; the first tensor is what the stage computes on, the rest travels along (a mask)."""

SMALLEST_VARIANCE = 1e-12
BatchNorm = nn.modules.batchnorm._BatchNorm
"""Batch normalisation of any number of dimensions."""


class Staged(nn.Module):
    """A backbone as a chain of stages, input side first; subclasses say what each stage does.

    Images: the state is (`[B, C, H, W]`,). Texts: (ids `[B, T]`, mask `[B, T]`) at the input and
    (hidden `[B, T, D]`, mask `[B, T]`) between stages.
    """

    names: tuple[str, ...]

    def stage(self, index: int, state: State) -> State:
        """Run one stage."""
        raise NotImplementedError

    def pool(self, state: State, index: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation over positions, each `[B, C]`; masked positions do not count.

        `state` is what stage `index` left, None for the last one.
        """
        return pool_positions(*state) if len(state) == 2 else pool_image(state[0])

    def drop_attention(self, wanted: bool) -> None:
        """Let attention weights be dropped in training as the network's recipe says, or not; most have none to drop."""

    def recipe(self) -> dict[str, Any] | None:
        """Return how a public library builds this network, for use without Graft; None where none does."""
        return None

    def run(self, state: State, start: int = 0, stop: int | None = None) -> State:
        """Run the stages start..stop-1."""
        for index in range(start, len(self.names) if stop is None else stop):
            state = self.stage(index, state)
        return state

    def taps(self, state: State, wanted: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return mean and standard deviation `[B, 2C]` at the end of each wanted stage, in one pass."""
        found = {}
        for index in range(max(wanted) + 1):
            state = self.stage(index, state)
            if index in wanted:
                found[index] = torch.cat(self.pool(state, index), dim=1)
        return found


def pool_image(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation `[B, C]` over the positions of `maps` `[B, C, H, W]`.

    The variance has a floor, because the gradient of a square root at 0 (a channel that is off) is infinite.
    """
    mean = maps.mean(dim=(2, 3), keepdim=True)
    variance = (maps - mean).square().mean(dim=(2, 3))  # thrice as fast as torch.var_mean on the CPU, as exact
    return mean[:, :, 0, 0], variance.clamp_min(SMALLEST_VARIANCE).sqrt()


def pool_positions(hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation `[B, D]` of `hidden` `[B, T, D]` where `mask` `[B, T]` is true."""
    weight = mask.to(hidden.dtype)
    weight = (weight / weight.sum(dim=1, keepdim=True)).unsqueeze(-1)
    mean = (hidden * weight).sum(dim=1)
    variance = ((hidden - mean.unsqueeze(1)).square() * weight).sum(dim=1)
    return mean, variance.clamp_min(SMALLEST_VARIANCE).sqrt()
