"""A library's network as a chain of stages that were found in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tl_core.backbones.staged import Staged, State, pool_image, pool_last, pool_positions
from tl_core.backbones.staging.attention_dropout import attention_rates
from tl_core.backbones.staging.discover import Discovered, blank
from tl_core.backbones.staging.gates import Left, Run, put_gates
from tl_core.backbones.staging.stages import Kind, Stage
from tl_core.backbones.staging.trace import TEXT_SIZES, Entry, first_tensor

CACHE = "attention_bias_cache"
"""Where timm's LeViT, TinyViT, EfficientFormer and EfficientViT keep position biases that were looked up."""


class GatedNetwork(Staged):
    """A network that runs from the end of any stage to the end of any other.

    Pictures: the state is (`[B, ...]`,) in the layout of the stage that it left. Texts: (ids `[B, T]`, mask) at the
    input, and (hidden `[B, T, D]`, mask, ids) between stages.
    """

    def __init__(self, net: nn.Module, entry: Entry, size: int, found: Discovered, kinds: Sequence[Kind] = ()) -> None:
        """Take a network whose pictures have `size` pixels a side, 0 where it reads texts, and the stages in it.

        `kinds` are the layouts of a text's states where they are known; finding out takes three forward passes.
        """
        super().__init__()
        self.net = net
        self.size = size
        self.poison = False
        self.built_by: Mapping[str, Any] | None = None
        """The recipe that a library built it from."""
        self._entry = entry
        self.layout = found.layout
        self.names = tuple(stage.name for stage in self.layout.stages)
        self.widths = list(found.widths)
        self._ends = {stage.module: index for index, stage in enumerate(self.layout.stages)}
        self._templates = found.templates
        self._actions = found.actions
        self._caching = [module for module in net.modules() if hasattr(module, CACHE)]
        self._forget()
        gates = {name for acts in self._actions for name in acts}
        put_gates(net, sorted(gates | {stage.module for stage in self.layout.stages} - {""}))
        self._strip()
        if kinds or not size:
            self.set_kinds(kinds or self._text_kinds())
        self._attention_rates = attention_rates(net)
        self.drop_attention(False)

    def drop_attention(self, wanted: bool) -> None:
        """Switch attention dropout on, at the rate of the network's recipe, or off."""
        for rate in self._attention_rates:
            rate.switch(wanted)

    def set_kinds(self, kinds: Sequence[Kind]) -> None:
        """Say what the state of each stage looks like, and so how it is pooled."""
        stages = [replace(stage, kind=kind) for stage, kind in zip(self.layout.stages, kinds, strict=True)]
        self.layout = replace(self.layout, stages=tuple(stages))

    @torch.no_grad()
    def _text_kinds(self) -> list[Kind]:
        """Return for each stage of a text network whether its states have seen the tokens before them alone."""
        ids, mask = blank(self.net, 0, *TEXT_SIZES[0])
        first, last = ids.clone(), ids.clone()
        first[:, 0], last[:, -1] = ids[:, 1], ids[:, 0]
        every = range(len(self.names))
        plain, other_first, other_last = (self.states((tokens, mask), every) for tokens in (ids, first, last))
        return [
            "causal"
            if torch.equal(plain[stage][0][:, :-1], other_last[stage][0][:, :-1])
            and not torch.equal(plain[stage][0][:, -1], other_first[stage][0][:, -1])
            else "hidden"
            for stage in every
        ]

    def _strip(self) -> None:
        """Take away the tensors that no stage reads, so that none is saved, counted or trained."""
        for name in self.layout.unread:
            path, _, leaf = name.rpartition(".")
            module = self.net.get_submodule(path)
            if leaf in module._parameters:
                module._parameters[leaf] = None
            else:
                module._buffers[leaf] = None

    def recipe(self) -> dict[str, Any] | None:
        """Return how the library builds it, and where its stages end; None where nobody said how."""
        if self.built_by is None:
            return None
        ends = [vars(stage) for stage in self.layout.stages]
        return {**self.built_by, "stages": ends, "unread": list(self.layout.unread)}

    def stage(self, index: int, state: State) -> State:
        """Run one stage."""
        return self.run(state, index, index + 1)

    def run(self, state: State, start: int = 0, stop: int | None = None) -> State:
        """Run the stages start..stop-1 in one forward pass of the library's network."""
        stop = len(self.names) if stop is None else stop
        if start >= stop:
            return state
        return self._forward(state, start, stop, ())[stop - 1]

    def states(self, state: State, wanted: Sequence[int]) -> dict[int, State]:
        """Return the states at the end of the wanted stages, in one pass."""
        return self._forward(state, 0, max(wanted) + 1, wanted)

    def taps(self, state: State, wanted: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return mean and standard deviation `[B, 2C]` at the end of each wanted stage, in one pass."""
        seen = self.states(state, wanted)
        return {index: torch.cat(self.pool(seen[index], index), dim=1) for index in wanted}

    def pool(self, state: State, index: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation `[B, C]` over the places of the state that stage `index` left.

        None is the last stage. Class and register tokens are no places, and masked tokens do not count. Of causal
        states the last takes the place of the mean.
        """
        stage = self.layout.stages[-1 if index is None else index]
        return pool_kind(state, stage)

    def _forward(self, state: State, start: int, stop: int, wanted: Sequence[int]) -> dict[int, State]:
        """Return the states at the end of stage `stop - 1` and of the `wanted` ones."""
        stages = self.layout.stages
        text = not self.size
        ids = state[2] if text and start else state[0]
        run = Run(
            state=state[0],
            items=len(state[0]),
            tokens=state[0].shape[1] if text else 0,
            actions=self._actions[start - 1] if start else {},
            templates=self._templates,
            stop=stages[stop - 1].module,
            wanted={stages[index].module for index in wanted},
            poison=self.poison,
        )
        entered = self._entered(state, ids, start)
        self._forget()
        with run:
            try:
                output = self._entry(self.net, entered)
                run.seen[""] = first_tensor(output)  # type: ignore[assignment]
            except Left:
                pass
        travels = (state[1], ids) if text else ()
        return {self._ends[name]: (tensor, *travels) for name, tensor in run.seen.items() if name in self._ends}

    def _forget(self) -> None:
        """Forget what layers keep of their weights in evaluation mode: the weights may have learned since."""
        for module in self._caching:
            setattr(module, CACHE, {})

    def _entered(self, state: State, ids: torch.Tensor, start: int) -> State:
        """Return what the network itself is called on: where the run starts in its middle, a picture of no meaning."""
        if not self.size:
            return ids, state[1]
        if not start:
            return state
        blank = torch.empty(len(ids), 3, self.size, self.size, device=ids.device)
        return (blank.fill_(torch.nan) if self.poison else blank,)


def pool_kind(state: State, stage: Stage) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation `[B, C]` over the places of a state, as its layout says."""
    if stage.kind == "causal":
        return pool_last(state[0], state[1])
    if stage.kind == "hidden":
        return pool_positions(state[0], state[1])
    if stage.kind == "tokens":
        tokens = state[0][:, stage.prefix :]
        return pool_image(tokens.transpose(1, 2).unsqueeze(-1))
    return pool_image(state[0].permute(0, 3, 1, 2) if stage.kind == "nhwc" else state[0])
