"""How much memory a backbone takes, counted on the network itself."""

import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from tl_core.backbones.staged import Staged, State

ITEMS = 2


@dataclass(frozen=True)
class Footprint:
    """Bytes for one item: for a picture as they are; for a text of T tokens `kept` T + `kept_square` T^2, and so on.

    `fixed` are the groups of a backbone for pictures with texts that read the picture, whatever the tokens.

    `kept` is what each layer group stores for the backward pass in training mode, without parameters. `output` is
    the output of each group. `passing` is the peak of a forward pass without a gradient, beside `fixed_passing`, which
    does not grow with a text. `base` is the process with
    its libraries but without the network; 0 on a graphics card, whose memory holds no libraries. A Footprint() means
    that nothing was measured.
    """

    kept: Mapping[str, float] = field(default_factory=dict)
    kept_square: Mapping[str, float] = field(default_factory=dict)
    output: Mapping[str, float] = field(default_factory=dict)
    passing: float = 0.0
    base: float = 0.0
    fixed: tuple[str, ...] = ()
    fixed_passing: float = 0.0

    def kept_by(self, group: str, tokens: float = 0) -> float:
        """Return the bytes that one item, a text of `tokens` tokens, leaves in a group for the backward pass."""
        if not tokens or group in self.fixed:
            return self.kept.get(group, 0.0)
        return tokens * (self.kept.get(group, 0.0) + tokens * self.kept_square.get(group, 0.0))

    def passing_of(self, tokens: float = 0) -> float:
        """Return the bytes of a forward pass for one item, a text of `tokens` tokens."""
        return self.fixed_passing + self.passing * (tokens or 1)

    def output_of(self, group: str, tokens: float = 0) -> float:
        """Return the bytes of a group's output for one item, a text of `tokens` tokens."""
        return self.output.get(group, 0.0) * (1.0 if group in self.fixed else tokens or 1)


def measure_footprint(
    network: "Staged", items: Callable[[int, int], "State"], tokens: int, fixed: tuple[str, ...] = ()
) -> Footprint:
    """Measure on a few items; `items(n, T)` makes n items, texts of T tokens each. `fixed` groups read a picture.

    Texts are measured at `tokens` tokens and at half as many, which shows what grows with the square; 0 for pictures.

    Call this right after the network is built: everything else in the process counts as its base.
    """
    tensors = [*network.parameters(), *network.buffers()]
    base = _resident() - sum(tensor.nbytes for tensor in tensors) if tensors[0].device.type == "cpu" else 0
    lengths = (tokens // 2, tokens) if tokens else (0,)
    counts = [_kept(network, items(ITEMS, length)) for length in lengths]
    per_item = [{name: kept / ITEMS for name, (kept, _) in count.items()} for count in counts]
    kept, square = per_item[0], dict.fromkeys(network.names, 0.0)
    if tokens:
        short, long = tokens // 2, tokens
        for name, at_short in per_item[0].items():
            if name in fixed:
                continue
            # fit a T + b T^2 to both measurements
            square[name] = max(0.0, (per_item[1][name] / long - at_short / short) / (long - short))
            kept[name] = at_short / short - square[name] * short
    unit = ITEMS * (tokens or 1)
    output = {name: left / (ITEMS if name in fixed else unit) for name, (_, left) in counts[-1].items()}
    passing, constant = _passing(network, items(ITEMS, tokens)) / unit, 0.0
    if fixed:
        longer = passing * tokens
        passing = max(0.0, longer - _passing(network, items(ITEMS, tokens // 2)) / ITEMS) / (tokens - tokens // 2)
        constant = longer - passing * tokens
    return Footprint(kept, square, output, passing, max(0.0, base), fixed, constant)


def _kept(network: "Staged", state: "State") -> dict[str, tuple[int, int]]:
    """Return for each group the bytes that autograd stores (each storage once) and the bytes of its output."""
    import torch

    known = {tensor.untyped_storage()._cdata for tensor in [*network.parameters(), *network.buffers()]}
    known |= {tensor.untyped_storage()._cdata for tensor in state}
    storages: dict[int, Any] = {}

    def pack(tensor: "torch.Tensor") -> "torch.Tensor":
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            storages[storage._cdata] = storage
        return tensor

    network.train()
    sizes, before = {}, 0
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        for index, name in enumerate(network.names):
            state = network.stage(index, state)
            so_far = sum(storage.nbytes() for storage in storages.values())
            sizes[name] = (so_far - before, sum(tensor.nbytes for tensor in state))
            before = so_far
    return sizes


def _passing(network: "Staged", state: "State") -> int:
    """Return the peak bytes of new tensors in a forward pass without a gradient."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    live: dict[int, int] = {}
    most = 0

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal most
            made = func(*args, **(kwargs or {}))
            for tensor in tree_leaves(made):
                if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in known | live.keys():
                    storage = tensor.untyped_storage()
                    live[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, live.pop, storage._cdata, None)
            most = max(most, sum(live.values()))
            return made

    network.eval()
    known = {tensor.untyped_storage()._cdata for tensor in [*network.parameters(), *network.buffers(), *state]}
    with torch.inference_mode(), Count():
        network.pool(network.run(state))
    return most


def _resident() -> int:
    """Return the bytes of memory of this process now, or its peak on systems that do not tell the present value."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
