"""The stages of a traced network: where each ends, what its state looks like, and which tensors are its own."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from tl_core.backbones.staging.graph import Graph, owners
from tl_core.backbones.staging.trace import Call, Trace
from tl_core.errors import BackboneError

Kind = Literal["nchw", "nhwc", "tokens", "hidden", "causal"]
LEAST, FEW, MANY = 3, 6, 40
"""Numbered blocks: fewer than LEAST are none, fewer than FEW (of pictures) are opened where that gives at most MANY."""
SHARE = 0.9
"""Of the parameters, the most that one stage should hold."""
MOST_PREFIX = 16
"""Class and register tokens before the patches, at most."""
CLASSIFIERS = {"classifier", "head", "heads", "fc", "aux", "aux1", "aux2", "AuxLogits", "head_dist"}
"""What libraries call the layers after pooling."""
POOLS = (nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd)


@dataclass(frozen=True)
class Stage:
    """One stage: its layer group's name, the module at its end ("" for the network's own output), and its state.

    `kind` is the layout of the state: maps `[B, C, H, W]` or `[B, H, W, C]`, tokens `[B, N, C]` of a picture, the first
    `prefix` of which stand for no place in it, or hidden states `[B, T, D]` of a text: "causal" where each of them has
    seen the tokens before it and none behind it.
    """

    name: str
    module: str
    kind: Kind
    prefix: int = 0

    def width(self, shape: Sequence[int]) -> int:
        """Return the number of channels of a state of this shape."""
        return int(shape[1] if self.kind == "nchw" else shape[-1])


@dataclass(frozen=True)
class Stages:
    """Every stage, input side first; `owned` are each stage's tensors, and `unread` those that none reads."""

    stages: tuple[Stage, ...]
    owned: tuple[tuple[str, ...], ...]
    unread: tuple[str, ...]


def find_stages(net: nn.Module, trace: Trace, without: Sequence[str] = ()) -> Stages:
    """Cut a traced network into stages, at the ends of its blocks; `without` names modules that may end none.

    Raises BackboneError where there are fewer than two.
    """
    text = not trace.state[0].is_floating_point()
    last = _last(net, trace)
    graph = Graph(trace, last.main)  # type: ignore[arg-type]
    usable = [
        call for call in _ends(net, trace, graph) if call.name not in without and call.end <= (last.end or call.end)
    ]
    ends_in_block = _numbered(last) or _block_with_number(last)
    blocks = _level(net, [call for call in usable if call is not last or ends_in_block], last, text)
    begun = blocks[0].begin if blocks else 0
    before = [call for call in usable if call.end <= begun and call not in blocks]
    ends = [("", max(before, key=lambda call: call.end))] if before else []
    ends += [(call.name, call) for call in blocks]
    if ends and ends[-1][1].main.grad_fn is last.main.grad_fn:  # type: ignore[union-attr]
        ends[-1] = ends[-1][0], last
    else:
        ends.append(("", last))
    ends = _own_something(ends)
    if len(ends) < 2:
        raise BackboneError(
            "This network has no place where it can be cut into stages: paths go around each of its layers.",
            "Choose another network.",
        )
    calls = [call for _, call in ends]
    kinds = _kinds(net, [call.main for call in calls], text)  # type: ignore[misc]
    groups = group_names([block for block, _ in ends], text)
    stages = [Stage(name, call.name, *kind) for name, call, kind in zip(groups, calls, kinds, strict=True)]
    return _with_owners(net, trace, stages, [call.main.grad_fn for call in calls])  # type: ignore[union-attr]


def _last(net: nn.Module, trace: Trace) -> Call:
    """Return the call whose output is the last one before pooling: the network's own where that is not pooled."""
    root = replace(trace.root, main=trace.output)
    graph = Graph(trace, trace.output)
    ends = _ends(net, trace, graph)
    if _is_state(trace.output, trace):
        same = [call for call in ends if call.main is trace.output]
        return same[-1] if same else root
    left = [c for c in ends if c.name.split(".")[0] not in CLASSIFIERS and not isinstance(_module(net, c), POOLS)]
    if not left:
        raise BackboneError("This network gives no maps, tokens or hidden states that could be pooled.")
    return max(left, key=lambda call: call.end)


def _ends(net: nn.Module, trace: Trace, graph: Graph) -> list[Call]:
    """Return the calls that a stage may end with, by the time they end.

    A layer that adapters may be put beside ends none: the adapter's share is added after it. Nor does one whose output
    is changed in place afterwards.
    """
    calls = [
        call
        for call in trace.once.values()
        if call.main is not None
        and call.main.grad_fn in graph.cuts
        and call.main._version == call.version
        and _is_state(call.main, trace)
        and _opens(call.output)
        and not isinstance(_module(net, call), (nn.Linear, nn.Conv2d, nn.MultiheadAttention))
    ]
    return sorted(calls, key=lambda call: call.end)


def _opens(output: object) -> bool:
    """Whether the first tensor of a module's output can be replaced."""
    return isinstance(output, torch.Tensor) or (type(output) in (tuple, list) and isinstance(output[0], torch.Tensor))  # type: ignore[index]


def _is_state(tensor: torch.Tensor, trace: Trace) -> bool:
    entered = trace.state[0]
    if tensor.ndim not in (3, 4) or len(tensor) != len(entered):
        return False
    return entered.is_floating_point() or (tensor.ndim == 3 and tensor.shape[1] == entered.shape[1])


def _module(net: nn.Module, call: Call) -> nn.Module:
    return net.get_submodule(call.name)


def _level(net: nn.Module, calls: Sequence[Call], last: Call, text: bool) -> list[Call]:
    """Return the calls of the blocks that stages end with: the outermost numbered ones, or those one level below.

    Where numbers are few, or leave most of the network in one stage, other outermost modules are taken.
    """
    levels = []
    for fits in (_numbered_block, _block_with_number, _numbered, _block):
        blocks = _outermost([call for call in calls if fits(call)])
        if len(blocks) >= LEAST:
            levels.append(blocks if text else _opened(blocks, calls))
    if not levels:
        return _outermost([call for call in calls if call.inner]) or list(calls[:1])
    shares = [_largest_share(net, [*blocks, last]) for blocks in levels]
    fair = [index for index, share in enumerate(shares) if share <= SHARE]
    blocks = levels[fair[0] if fair else min(range(len(levels)), key=shares.__getitem__)]
    step = math.ceil(len(blocks) / MANY)
    return blocks[step - 1 :: step]


def _opened(blocks: list[Call], calls: Sequence[Call]) -> list[Call]:
    """Return the blocks inside a few large ones, and the large ones themselves; the large ones alone where not few."""
    opened: list[Call] = []
    for block in blocks:
        inside = {id(call) for call in block.walk()} - {id(block)}
        inner = [call for call in calls if id(call) in inside]
        for fits in (_numbered_block, _block_with_number):
            if fitting := _outermost([call for call in inner if fits(call)]):
                opened += fitting
                break
        opened.append(block)
    return opened if len(blocks) < FEW and len(opened) <= MANY else blocks


def _largest_share(net: nn.Module, calls: Sequence[Call]) -> float:
    """Return the share that the largest of the stages ending with `calls` would own of the parameters after the first.

    The first holds the token embeddings of a text network, which is what it is.
    """
    sizes = dict.fromkeys(range(len(calls)), 0)
    reads = owners([call.main.grad_fn for call in calls])  # type: ignore[union-attr]
    for parameter in net.parameters():
        if reads.get(id(parameter)):
            sizes[reads[id(parameter)]] += parameter.numel()
    return max(sizes.values()) / max(1, sum(sizes.values()))


def _block(call: Call) -> bool:
    return bool(call.inner)


def _numbered_block(call: Call) -> bool:
    return _numbered(call) and bool(call.inner)


def _numbered(call: Call) -> bool:
    return call.name.rpartition(".")[2].isdigit()


def _block_with_number(call: Call) -> bool:
    return call.name[-1:].isdigit() and bool(call.inner)


def _outermost(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if not any(o.begin < call.begin and call.end < o.end for o in calls)]


def _own_something(ends: list[tuple[str, Call]]) -> list[tuple[str, Call]]:
    """Join each end that adds no parameter with the one before it, whose name it keeps."""
    reads = owners([call.main.grad_fn for _, call in ends])  # type: ignore[union-attr]
    owning = set(reads.values())
    kept: list[tuple[str, Call]] = []
    for index, (block, call) in enumerate(ends):
        if index in owning:
            kept.append((block, call))
        elif kept:
            kept[-1] = kept[-1][0], call
    return kept


def group_names(blocks: Sequence[str], text: bool) -> list[str]:
    """Return the layer groups' names, input side first, from the blocks that they end with ("" for what is none).

    Blocks keep their name without what all of them begin with; "stem" (of texts "embeddings") is what stands before
    them, and "top" what follows.
    """
    parts = [block.split(".")[:-1] for block in blocks if block]
    shared = 0
    while parts and all(
        len(path) > shared + 1 and path[shared] == parts[0][shared] and not path[shared + 1].isdigit() for path in parts
    ):
        shared += 1
    names = [
        ".".join(block.split(".")[shared:]) if block else ("embeddings" if text else "stem") if index == 0 else "top"
        for index, block in enumerate(blocks)
    ]
    return [name if names.index(name) == i else f"{name}.{i}" for i, name in enumerate(names)]


def _kinds(net: nn.Module, states: Sequence[torch.Tensor], text: bool) -> list[tuple[Kind, int]]:
    """Return the layout of each state and the number of its prefix tokens."""
    if text:
        return [("hidden", 0)] * len(states)
    map_kinds = [_maps(state) for state in states]
    sure_kinds = [kind for kind in map_kinds if kind]
    kinds: list[tuple[Kind, int]] = []
    for state, kind in zip(states, map_kinds, strict=True):
        if state.ndim == 3:
            kinds.append(("tokens", _prefix(net, state.shape[1])))
        else:  # sides that equal the channels tell nothing: a network hardly ever has maps of both kinds
            kinds.append((kind or (kinds[-1][0] if kinds else sure_kinds[0] if sure_kinds else "nchw"), 0))
    return kinds


def _maps(state: torch.Tensor) -> Kind | None:
    if state.ndim != 4 or state.shape[1] == state.shape[2] == state.shape[3]:
        return None
    return "nhwc" if state.shape[1] == state.shape[2] else "nchw"


def _prefix(net: nn.Module, count: int) -> int:
    """Return how many of so many tokens stand before the patches, which fill a square."""
    stated = getattr(net, "num_prefix_tokens", None)
    for prefix in (stated if isinstance(stated, int) else 0, count - math.isqrt(count) ** 2):
        if 0 <= prefix <= MOST_PREFIX and math.isqrt(count - prefix) ** 2 == count - prefix:
            return prefix
    return 0


def _with_owners(net: nn.Module, trace: Trace, ends: list[Stage], nodes: list) -> Stages:
    """Sort every tensor: a parameter to the first stage that depends on it, a buffer to that of its module."""
    reads = owners(nodes)
    owned: list[list[str]] = [[] for _ in ends]
    unread: list[str] = []
    stage_of: dict[str, int] = {}
    for name, parameter in net.named_parameters():
        if id(parameter) in reads:
            stage_of[name] = reads[id(parameter)]
            owned[stage_of[name]].append(name)
        elif parameter.requires_grad:
            unread.append(name)
    place = _time_of(trace, ends)
    fixed = [n for n, p in net.named_parameters() if not p.requires_grad and n not in stage_of]  # tables, never learned
    for name in [*fixed, *(name for name, _ in net.named_buffers())]:
        module = name.rpartition(".")[0]
        beside = [stage for other, stage in stage_of.items() if other.rpartition(".")[0] == module]
        index = min(beside) if beside else place(module)
        (unread if index is None else owned[index]).append(name)
    return Stages(tuple(ends), tuple(map(tuple, owned)), tuple(unread))


def _time_of(trace: Trace, ends: Sequence[Stage]) -> Callable[[str], int | None]:
    """Return a function that tells in which stage a module, or what holds it, was first called; None after the last."""
    begun: dict[str, int] = {}
    for call in trace.calls:
        begun.setdefault(call.name, call.begin)
    over = [trace.once[stage.module].end if stage.module else trace.root.end for stage in ends]

    def stage(module: str) -> int | None:
        while module and module not in begun:
            module = module.rpartition(".")[0]
        begin = begun.get(module, 0)
        return next((index for index, end in enumerate(over) if begin < end), None)

    return stage


def patterns(names: Sequence[str], others: Sequence[str]) -> str:
    """Return a regular expression for the start of tensors' names: whole modules where none of `others` is in them.

    An adapter's tensors, which stand inside the module that they adapt, fit it too.
    """
    theirs = {prefix for name in others for prefix in _prefixes(name)}
    expressions: dict[str, None] = {}
    for name in names:
        whole = next((prefix for prefix in _prefixes(name)[:-1] if prefix not in theirs), None)
        expressions[re.escape(whole) + r"\." if whole else re.escape(name) + "$"] = None
    return f"net\\.(?:{'|'.join(expressions)})"


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
