"""What autograd's graph says of a traced pass: the nodes that no path goes around, and what each of them rests on."""

import torch

from tl_core.backbones.staging.trace import Node, Trace
from tl_core.errors import BackboneError


class Graph:
    """The graph below one output, in topological order: inputs first."""

    def __init__(self, trace: Trace, output: torch.Tensor) -> None:
        """Take the trace and the tensor that counts as the network's output. Raises BackboneError without an input."""
        self.output = output.grad_fn
        self.order = _order(output.grad_fn)
        sources = _sources(trace)
        self.follows: set[Node] = set()
        """Nodes that depend on the input."""
        for node in self.order:
            if node in sources or any(below in self.follows for below, _ in node.next_functions):
                self.follows.add(node)
        if output.grad_fn not in self.follows:
            raise BackboneError("The output of this network does not depend on its input by differentiable steps.")
        self.cuts = self._cuts(sources)

    def _cuts(self, sources: set[Node]) -> set[Node]:
        """Return the nodes that every path from input to output goes through.

        In a topological order of nodes that all lie between input and output, those are the nodes that no edge
        jumps over.
        """
        path = [node for node in self.order if node in self.follows]
        place = {node: index for index, node in enumerate(path)}
        jumps = [0] * (len(path) + 1)
        for node, index in place.items():
            starts = [place[below] for below, _ in node.next_functions if below in place]
            for start in [-1] if node in sources else starts:
                if index - start > 1:
                    jumps[start + 1] += 1
                    jumps[index] -= 1
        cuts, over = set(), 0
        for index, node in enumerate(path):
            over += jumps[index]
            if not over:
                cuts.add(node)
        return cuts

    def around(self, cut: Node) -> set[Node]:
        """Return the nodes that the output rests on other than through `cut`."""
        return set(_order(self.output, {cut}))


def owners(nodes: list[Node]) -> dict[int, int]:
    """Return for each parameter, by its `id`, the first of the nodes (input side first) that depends on it."""
    seen: set[Node] = set()
    first_node: dict[int, int] = {}
    for index, node in enumerate(nodes):
        for below in _order(node, seen):
            seen.add(below)
            if (variable := getattr(below, "variable", None)) is not None:
                first_node.setdefault(id(variable), index)
    return first_node


def _sources(trace: Trace) -> set[Node]:
    """Return the nodes that the input enters by: the picture itself, or the look-up of the token ids."""
    if trace.state[0].is_floating_point():
        leaf = trace.state[0].view_as(trace.state[0]).grad_fn
        assert leaf is not None
        return {leaf.next_functions[0][0]}
    return {call.main.grad_fn for call in trace.calls if call.reads_ids and call.main is not None}


def _order(root: Node, without: set[Node] = frozenset()) -> list[Node]:  # type: ignore[assignment]
    """Return the nodes below and with `root`, each after those that it rests on; `without` some and all below them."""
    done: set[Node] = set(without)
    order: list[Node] = []
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node is not None and node not in done:
            done.add(node)
            stack.append((node, True))
            stack += [(below, False) for below, _ in node.next_functions]
    return order
