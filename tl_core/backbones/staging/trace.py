"""One forward pass, watched: which module calls every path from input to output goes through.

Autograd records the pass as a graph. A module call can end a stage where its output is a node that no path from the
input to the output goes around: whatever comes later then depends on the input through that tensor alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from tl_core.backbones.staged import State
from tl_core.errors import BackboneError

Node = Any
"""A node of autograd's graph (`grad_fn`)."""
Entry = Callable[[nn.Module, State], Any]
"""Calls a network on a state as its library wants to be called."""
TEXT_SIZES = ((2, 7), (3, 11))
"""Items and tokens of the two traces of a text network: numbers without a common factor, so that shapes tell them."""
IMAGE_SIZES = ((2, 0), (3, 0))


@dataclass(frozen=True)
class Shape:
    """A tensor's shape for any batch: each dimension is factor * items^i * tokens^t, kept as (factor, i, t)."""

    dims: tuple[tuple[int, int, int], ...]
    dtype: torch.dtype

    def empty(self, items: int, tokens: int, like: torch.Tensor) -> torch.Tensor:
        """Return a tensor of this shape on the device of `like`, its values not set."""
        size = [factor * items**i * tokens**t for factor, i, t in self.dims]
        return torch.empty(size, dtype=self.dtype, device=like.device)


@dataclass(frozen=True)
class Template:
    """What a module returns, with a Shape in the place of each tensor; `main` is the index of the first tensor."""

    leaves: tuple[Any, ...]
    structure: Any
    main: int

    def __deepcopy__(self, memo: dict) -> "Template":
        return self  # nothing in it changes

    def fill(self, items: int, tokens: int, like: torch.Tensor, main: torch.Tensor | None = None) -> Any:
        """Return such a value with tensors of no meaning, or with `main` as its first tensor."""
        made = [leaf.empty(items, tokens, like) if isinstance(leaf, Shape) else leaf for leaf in self.leaves]
        if main is not None:
            made[self.main] = main
        return tree_unflatten(made, self.structure)


@dataclass
class Call:
    """One call of a module: its place in time, what it returned, and the calls inside it."""

    name: str
    begin: int
    end: int = 0
    output: Any = None
    main: torch.Tensor | None = None
    version: int = 0
    reads_ids: bool = False
    inner: list["Call"] = field(default_factory=list)

    def walk(self) -> Iterator["Call"]:
        """Yield this call and every call inside it."""
        yield self
        for call in self.inner:
            yield from call.walk()


@dataclass
class Trace:
    """A traced forward pass: `root` is the call of the network, `output` the tensor that it returns first."""

    root: Call
    output: torch.Tensor
    state: State

    @property
    def calls(self) -> list[Call]:
        """Every module call, in the order in which they began."""
        return [call for outer in self.root.inner for call in outer.walk()]

    @property
    def once(self) -> dict[str, Call]:
        """The calls of modules that were called exactly once, by the module's name."""
        calls_by_name: dict[str, list[Call]] = {}
        for call in self.calls:
            calls_by_name.setdefault(call.name, []).append(call)
        return {name: calls[0] for name, calls in calls_by_name.items() if len(calls) == 1}


def first_tensor(value: Any) -> torch.Tensor | None:
    """Return the first floating-point tensor of a value: of a tuple, a list or a library's output object."""
    if isinstance(value, torch.Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, (tuple, list)):
        return first_tensor(value[0]) if value else None
    if isinstance(value, Mapping):
        return first_tensor(next(iter(value.values()), None))
    return None


def replace_first(value: Any, tensor: torch.Tensor) -> Any:
    """Return a module's output with its first tensor replaced."""
    if isinstance(value, torch.Tensor):
        return tensor
    kept = list(value)
    kept[0] = replace_first(kept[0], tensor)
    return kept if isinstance(value, list) else tuple(kept)


def trace(net: nn.Module, entry: Entry, state: State) -> Trace:
    """Run the network once in evaluation mode with gradients on, and note every module call."""
    root = Call("", 0)
    open_calls, clock = [root], 0
    ids = state[0]

    def begin(name: str, module: nn.Module, args: tuple) -> None:
        nonlocal clock
        clock += 1
        call = Call(name, clock)
        call.reads_ids = isinstance(module, nn.Embedding) and bool(args) and _same(args[0], ids)
        open_calls[-1].inner.append(call)
        open_calls.append(call)

    def end(module: nn.Module, args: tuple, output: Any) -> None:
        nonlocal clock
        clock += 1
        call = open_calls.pop()
        call.end, call.output, call.main = clock, output, first_tensor(output)
        call.version = 0 if call.main is None else call.main._version

    hooks = []
    for name, module in net.named_modules():
        if name:
            hooks.append(module.register_forward_pre_hook(lambda module, args, name=name: begin(name, module, args)))
            hooks.append(module.register_forward_hook(end))
    frozen = [p for p in net.parameters() if not p.requires_grad and p.is_floating_point()]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        net.eval()
        root.output = entry(net, state)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for hook in hooks:
            hook.remove()
    root.end = clock + 1
    output = first_tensor(root.output)
    if output is None or output.grad_fn is None:
        raise BackboneError("This network returns no tensor that depends on its weights, so it cannot be trained.")
    return Trace(root, output, state)


def templates(first: Trace, second: Trace, sizes: Sequence[tuple[int, int]]) -> dict[str, Template]:
    """Return what each module that is called once returns, from two traces of other batch sizes.

    Raises BackboneError where the two passes do not call the same modules in the same order.
    """
    if [(c.name, c.begin, c.end) for c in first.calls] != [(c.name, c.begin, c.end) for c in second.calls]:
        raise BackboneError("This network calls other layers for other batches, so it cannot be cut into stages.")
    by_name, other = {}, second.once
    for name, call in first.once.items():
        template = _template(call.output, other[name].output, sizes)
        if template is not None:
            by_name[name] = template
    return by_name


def _template(one: Any, two: Any, sizes: Sequence[tuple[int, int]]) -> Template | None:
    (leaves, structure), (others, same) = tree_flatten(one), tree_flatten(two)
    if structure != same:
        return None
    made: list[Any] = []
    for leaf, other in zip(leaves, others, strict=True):
        if not isinstance(leaf, torch.Tensor):
            if leaf is not None and not isinstance(leaf, (bool, int, float, str)):
                return None
            made.append(leaf)
            continue
        dims = [_dimension(a, b, sizes) for a, b in zip(leaf.shape, other.shape, strict=False)]
        if leaf.ndim != other.ndim or None in dims:
            return None
        made.append(Shape(tuple(dim for dim in dims if dim), leaf.dtype))
    main = next((i for i, leaf in enumerate(made) if isinstance(leaf, Shape)), None)
    return None if main is None else Template(tuple(made), structure, main)


def _dimension(one: int, two: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int, int] | None:
    """Return (factor, i, t) with `factor * items^i * tokens^t` equal to both, None where there is none."""
    (items, tokens), (more_items, more_tokens) = sizes
    for i, t in ((0, 0), (1, 0), (0, 1), (1, 1)):
        unit, other = items**i * tokens**t, more_items**i * more_tokens**t
        if unit and one % unit == 0 and two % other == 0 and one // unit == two // other:
            return one // unit, i, t
    return None


def _same(value: Any, ids: torch.Tensor) -> bool:
    return isinstance(value, torch.Tensor) and value.shape == ids.shape and bool(torch.equal(value, ids))
