"""Modules that can be left out of a forward pass: how a network starts, and ends, in its middle.

The class of every module that a run may skip is exchanged for a subclass with a gate before its forward pass; names of
tensors, `isinstance` and `deepcopy` stay as they were. A run says, for its own thread, what each gate does. Without a
run all gates are open and the network is the library's own.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from tl_core.backbones.staging.graph import Graph
from tl_core.backbones.staging.trace import Call, Node, Template, Trace, first_tensor, replace_first

Action = Literal["skip", "replace", "open"]
"""What a gate does: return something of no meaning; return the state; run the module, then put the state in."""
_thread = threading.local()


@dataclass
class Run:
    """What the gates do in one forward pass, and what they saw.

    `state` is the tensor that enters in the middle, from a batch of `items` (of `tokens` each). The pass ends where the
    module `stop` has returned. `wanted` are modules whose output is kept in `seen`.
    """

    state: torch.Tensor
    items: int
    tokens: int
    actions: Mapping[str, Action]
    templates: Mapping[str, Template]
    stop: str
    wanted: Collection[str] = ()
    seen: dict[str, torch.Tensor] = field(default_factory=dict)
    poison: bool = False
    """Fill what has no meaning with NaN: a proof that it has none."""

    def __enter__(self) -> "Run":
        self._outer = getattr(_thread, "run", None)
        _thread.run = self
        return self

    def __exit__(self, *error: object) -> None:
        _thread.run = self._outer

    def meet(self, name: str, forward: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return what the module `name` returns in this run. Raises Left at the last one."""
        action = self.actions.get(name)
        if action == "skip":
            return self._fill(name, None)
        if action == "replace":
            return self._fill(name, self.state)
        output = forward(*args, **kwargs)
        if action == "open":
            return replace_first(output, self.state)
        main = first_tensor(output) if name == self.stop or name in self.wanted else None
        if main is not None:
            self.seen[name] = main
        if name == self.stop:
            raise Left
        return output

    def _fill(self, name: str, main: torch.Tensor | None) -> Any:
        made = self.templates[name].fill(self.items, self.tokens, self.state, main)
        if self.poison:
            for tensor in tree_leaves(made):
                if isinstance(tensor, torch.Tensor) and tensor is not main and tensor.is_floating_point():
                    tensor.fill_(torch.nan)
        return made


class Left(Exception):
    """The forward pass has reached the end of the last stage that was asked for."""


class Gate:
    """What stands before the forward pass of a module that a run may skip."""

    gate_name: str

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the run of this thread says; without one, what the module does."""
        forward = super().forward  # type: ignore[misc]
        run: Run | None = getattr(_thread, "run", None)
        return forward(*args, **kwargs) if run is None else run.meet(self.gate_name, forward, args, kwargs)


@cache
def gated(kind: Any) -> type[nn.Module]:
    """Return a subclass of a module's class with a gate."""
    return type(kind.__name__, (Gate, kind), {"__module__": kind.__module__, "plain_class": kind})


def put_gates(net: nn.Module, names: Collection[str]) -> None:
    """Put a gate before each of the named modules."""
    for name in names:
        module = net.get_submodule(name)
        module.gate_name = name  # type: ignore[assignment]
        kind: Any = type(module)
        module.__class__ = gated(kind)


def plain_class(module: nn.Module) -> type[nn.Module]:
    """Return the class that a module has without a gate."""
    return getattr(type(module), "plain_class", type(module))


def actions(trace: Trace, graph: Graph, module: str, templates: Mapping[str, Template]) -> dict[str, Action]:
    """Return what the gates do in a run that starts at the end of `module`.

    What depends on the input is skipped. Everything else before the end (rotary tables, relative positions) runs, also
    inside of a skipped module where something later depends on it.
    """
    end = trace.once[module]
    around = graph.around(end.main.grad_fn)  # type: ignore[union-attr]
    once = trace.once
    actions_by_name: dict[str, Action] = {}

    def visit(call: Call) -> None:
        if call.begin > end.end:
            return
        after = call.end > end.end
        if call is not end and (after or not _rests_on_input(call, graph)):
            if after:
                for inner in call.inner:
                    visit(inner)
            return
        needed = any(node in around for node in _other_nodes(call))
        alone = call.name in once and call.name in templates
        if call is end:
            actions_by_name[call.name] = "open" if needed or not alone else "replace"
        elif alone and not needed:
            actions_by_name[call.name] = "skip"
        if needed:
            for inner in call.inner:
                visit(inner)

    for call in trace.root.inner:
        visit(call)
    return actions_by_name


def _other_nodes(call: Call) -> Iterator[Node]:
    """Yield what a call computes beside its first tensor: its other tensors, and what the calls inside it return."""
    for leaf in tree_leaves(call.output):
        if isinstance(leaf, torch.Tensor) and leaf is not call.main and leaf.grad_fn:
            yield leaf.grad_fn
    yield from (_node(inner) for inner in call.walk() if inner is not call and _node(inner))


def _node(call: Call) -> Node:
    return None if call.main is None else call.main.grad_fn


def _rests_on_input(call: Call, graph: Graph) -> bool:
    return any(_node(inner) in graph.follows for inner in call.walk() if _node(inner))
