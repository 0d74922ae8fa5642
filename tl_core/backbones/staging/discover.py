"""Where a network can be cut, and how a run gets past what it leaves out: found by watching two forward passes."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tl_core.backbones.staged import State
from tl_core.backbones.staging.gates import Action, actions
from tl_core.backbones.staging.graph import Graph
from tl_core.backbones.staging.stages import Stages, find_stages
from tl_core.backbones.staging.trace import IMAGE_SIZES, TEXT_SIZES, Entry, Template, templates, trace


@dataclass(frozen=True)
class Discovered:
    """The stages of a network, the width of each stage's state, and what the gates do in a run that starts there.

    `traced` is a batch, and what the library's own forward pass made of it.
    """

    layout: Stages
    widths: tuple[int, ...]
    templates: Mapping[str, Template]
    actions: tuple[Mapping[str, Action], ...]
    traced: tuple[State, torch.Tensor]

    def same(self, other: "Discovered") -> bool:
        """Return whether a network cut as the other says runs in the same way."""
        mine, theirs = ((d.layout.stages, d.layout.owned, d.widths, d.actions) for d in (self, other))
        return mine == theirs and self.templates == other.templates


def discover(net: nn.Module, entry: Entry, size: int, without: Sequence[str] = ()) -> Discovered:
    """Find the stages of `net`, whose pictures have `size` pixels a side, 0 where it reads texts.

    `without` names modules that may end no stage. Raises BackboneError where fewer than two are found.
    """
    sizes = IMAGE_SIZES if size else TEXT_SIZES
    first, second = (trace(net, entry, blank(net, size, *sizes_of)) for sizes_of in sizes)
    layout = find_stages(net, first, without)
    by_name = templates(first, second, sizes)
    widths = [
        stage.width((first.once[stage.module].main if stage.module else first.output).shape)  # type: ignore[union-attr]
        for stage in layout.stages
    ]
    last = layout.stages[-1].module
    output = first.once[last].main if last else first.output
    graph = Graph(first, output)  # type: ignore[arg-type]
    steps = tuple(actions(first, graph, stage.module, by_name) for stage in layout.stages[:-1])
    traced = (first.state[0].detach(), *first.state[1:]), output.detach()  # type: ignore[union-attr]
    return Discovered(layout, tuple(widths), by_name, steps, traced)


def without_values(net: nn.Module) -> nn.Module:
    """Return a copy of a network whose tensors have shapes and no values: a pass through it computes nothing."""
    memo: dict[int, object] = {}
    for parameter in net.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
    for buffer in net.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(net, memo)


def blank(net: nn.Module, size: int, items: int, tokens: int) -> State:
    """Return a batch to trace with: pictures of noise, or texts of a few different tokens."""
    draw = torch.Generator().manual_seed(0)
    parameter = next(net.parameters())
    if size:
        return (torch.randn(items, 3, size, size, generator=draw).to(parameter.device).requires_grad_(),)
    most = int(net.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    ids = torch.randint(min(10, most // 2), most, (items, tokens), generator=draw).to(parameter.device)
    return ids, torch.ones_like(ids, dtype=torch.bool)
