"""Every network as a chain of stages, one stage for each layer group."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

State = tuple[torch.Tensor, ...]
"""The values between two stages: the tensor that a stage computes on, then what it passes on unchanged (a mask)."""

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

        `state` is the output of stage `index`; None means the last stage.
        """
        return pool_positions(*state) if len(state) == 2 else pool_image(state[0])

    def by_token(self, state: State, start: int) -> tuple[bool, ...]:
        """Return which tensors of a state at the input of stage `start` have one row for each token of a text."""
        return (len(state) > 1,) * len(state)

    def drop_attention(self, wanted: bool) -> None:
        """Switch attention dropout on, at the rate of the network's recipe, or off; most networks have none."""

    def recipe(self) -> dict[str, Any] | None:
        """Return the recipe by which a public library builds this network, for use without Graft; None if none does."""
        return None

    def run(self, state: State, start: int = 0, stop: int | None = None) -> State:
        """Run the stages start..stop-1."""
        for index in range(start, len(self.names) if stop is None else stop):
            state = self.stage(index, state)
        return state

    def taps(self, state: State, wanted: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return mean and standard deviation `[B, 2C]` at the end of each wanted stage, in one pass."""
        pooled = {}
        for index in range(max(wanted) + 1):
            state = self.stage(index, state)
            if index in wanted:
                pooled[index] = torch.cat(self.pool(state, index), dim=1)
        return pooled


def pool_image(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation `[B, C]` over the positions of `maps` `[B, C, H, W]`.

    The variance has a floor, because the gradient of a square root at 0 (a channel that is off) is infinite.
    """
    mean = maps.mean(dim=(2, 3), keepdim=True)
    variance = (maps - mean).square().mean(dim=(2, 3))  # three times as fast as torch.var_mean on the CPU, and as exact
    return mean[:, :, 0, 0], variance.clamp_min(SMALLEST_VARIANCE).sqrt()


def pool_positions(hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation `[B, D]` of `hidden` `[B, T, D]` where `mask` `[B, T]` is true."""
    weight = mask.to(hidden.dtype)
    weight = (weight / weight.sum(dim=1, keepdim=True)).unsqueeze(-1)
    mean = (hidden * weight).sum(dim=1)
    variance = ((hidden - mean.unsqueeze(1)).square() * weight).sum(dim=1)
    return mean, variance.clamp_min(SMALLEST_VARIANCE).sqrt()


def pool_last(hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the last position and the standard deviation over positions, `[B, D]`, of `hidden` where `mask` is true.

    In a causal network the last position alone has seen the whole text. Padding stands at the right.
    """
    last = (mask.long().sum(dim=1) - 1).clamp_min(0)
    at_last = hidden[torch.arange(len(hidden), device=hidden.device), last]
    return at_last, pool_positions(hidden, mask)[1]
