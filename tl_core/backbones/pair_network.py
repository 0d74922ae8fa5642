"""A picture network and a text network as one chain of stages."""

from collections.abc import Sequence
from typing import Any

import torch

from tl_core.backbones.staged import Staged, State

TRAVELS = 2
"""Tensors of the other part that every state ends with: the text's ids and mask, then the pooled picture."""


class PairNetwork(Staged):
    """The stages of the picture network, then those of the text network. B items, T tokens, C and D features.

    The text travels unread through the picture's stages: (maps, ids `[B, T]`, mask `[B, T]`). Then the pooled picture
    travels through the text's: (what the text's stage takes, mean `[B, C]`, deviation `[B, C]`). So the chain can be
    cut, frozen and cached at any stage, like that of one network.
    """

    def __init__(self, image: Staged, text: Staged) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.pictures = len(image.names)
        """How many of the stages are the picture's."""
        self.names = (*(f"image.{name}" for name in image.names), *(f"text.{name}" for name in text.names))
        self._recipes = image.recipe(), text.recipe()

    def recipe(self) -> dict[str, Any] | None:
        """Return the recipes of both networks; None where a public library does not build one of them."""
        image, text = self._recipes
        return {"image": image, "text": text} if image and text else None

    def drop_attention(self, wanted: bool) -> None:
        """Switch attention dropout of both networks on or off."""
        for network in (self.image, self.text):
            if isinstance(network, Staged):  # one that the head's tap left out is gone
                network.drop_attention(wanted)

    def by_token(self, state: State, start: int) -> tuple[bool, ...]:
        """Return which tensors have one row for each token: those of the text, wherever they are."""
        own = len(state) - TRAVELS
        text = start >= self.pictures
        return (text,) * own + (not text,) * TRAVELS

    def stage(self, index: int, state: State) -> State:
        """Run one stage."""
        return self.run(state, index, index + 1)

    def run(self, state: State, start: int = 0, stop: int | None = None) -> State:
        """Run the stages start..stop-1."""
        stop = len(self.names) if stop is None else stop
        if start < min(stop, self.pictures):
            own, text = state[:-TRAVELS], state[-TRAVELS:]
            own = self.image.run(own, start, min(stop, self.pictures))
            state = (*own, *text) if stop < self.pictures else (*text, *self._pooled_picture(own))
        if stop > max(start, self.pictures):
            own, picture = state[:-TRAVELS], state[-TRAVELS:]
            state = (*self.text.run(own, max(start - self.pictures, 0), stop - self.pictures), *picture)
        return state

    def pool(self, state: State, index: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation: `[B, C]` of the picture; at the end of a text's stage, `[B, C + D]`."""
        index = len(self.names) - 1 if index is None else index
        own, others = state[:-TRAVELS], state[-TRAVELS:]
        if index < self.pictures - 1:
            return self.image.pool(own, index)
        if index == self.pictures - 1:
            return others[0], others[1]
        mean, std = self.text.pool(own, index - self.pictures)
        return torch.cat((others[0], mean), dim=1), torch.cat((others[1], std), dim=1)

    def taps(self, state: State, wanted: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return mean and standard deviation `[B, 2C]` at the end of each wanted stage, in one pass of each network."""
        last = self.pictures - 1
        of_image = {index for index in wanted if index <= last}
        of_text = [index - self.pictures for index in wanted if index > last]
        seen = self.image.taps(state[:-TRAVELS], sorted(of_image | ({last} if of_text else set())))
        pooled = {index: values for index, values in seen.items() if index in of_image}
        if of_text:
            picture = seen[last].chunk(2, dim=1)
            for index, values in self.text.taps(state[-TRAVELS:], of_text).items():
                text = values.chunk(2, dim=1)
                pooled[index + self.pictures] = torch.cat((picture[0], text[0], picture[1], text[1]), dim=1)
        return pooled

    def _pooled_picture(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and deviation `[B, C]` in float32, whatever the stages compute in."""
        mean, std = self.image.pool(tuple(tensor.float() for tensor in state), self.pictures - 1)
        return mean, std
