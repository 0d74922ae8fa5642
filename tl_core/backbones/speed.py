"""What a backbone costs on this machine, in time and memory: a measurement of a few seconds, kept in the workspace."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from tl_core.backbones.footprint import Footprint, measure_footprint
from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import BackboneError
from tl_core.types import Estimate, dump, load
from tl_core.workspace import Workspace, file_name, read_json, write_json

if TYPE_CHECKING:
    import torch

    from tl_core.backbones.staged import Staged, State

SECONDS = 3.0
"""Seconds after which a measurement ends, if it has its smallest number of rounds."""
ROUNDS = (3, 24)
"""The smallest and the largest number of rounds."""
ITEMS = 8
TOKENS = 128
"""Tokens of the texts that are measured: most of the cost of a text grows with its length."""


@dataclass(frozen=True)
class Speed:
    """Measured seconds. `per_item` is the forward pass of one item through each layer group, input side first.

    `fixed` are the groups whose time does not depend on the length of a text: those that read pictures.
    `low` and `high` bound the sum over the groups (the middle 95 % of `rounds` rounds). `train_ratio` is the time of
    a whole training step (forward and backward through everything) over that of the forward pass. `tokens` is the
    length of the texts that were measured, 0 for pictures. `footprint` is the memory.
    """

    backbone: str
    per_item: Mapping[str, float]
    low: float
    high: float
    train_ratio: float
    rounds: int
    tokens: int
    device: str
    threads: int
    footprint: Footprint = field(default_factory=Footprint)
    fixed: tuple[str, ...] = ()

    @property
    def thousand(self) -> Estimate:
        """Seconds of the forward pass of 1,000 items."""
        texts = f" of {self.tokens} tokens" if self.tokens else ""
        method = f"median of {self.rounds} rounds over {ITEMS} items{texts} on this machine"
        value = 1000 * sum(self.per_item.values())
        return Estimate(value, 1000 * self.low, 1000 * self.high, self.rounds, method)

    def seconds(self, groups: Iterable[str] | None = None, tokens: float = 0) -> float:
        """Return the forward seconds of one item through `groups` (None: all), a text of `tokens` tokens."""
        wanted = self.per_item if groups is None else list(groups)
        scale = tokens / self.tokens if self.tokens and tokens else 1.0
        return sum(self.per_item[name] * (1.0 if name in self.fixed else scale) for name in wanted)


def read_speed(workspace: Workspace, name: str) -> Speed | None:
    """Return the saved measurement of a backbone; None if there is no readable one that includes memory."""
    try:
        speed = load(Speed, read_json(workspace.root / "speed" / f"{file_name(name)}.json"))
    except (OSError, ValueError):
        return None
    return speed if speed.footprint.kept else None


def measure_speed(spec: BackboneSpec, workspace: Workspace, seconds: float = SECONDS) -> Speed:
    """Measure a backbone for some seconds and save the result; every round times all groups in turn.

    Raises BackboneError where it is not ready.
    """
    import torch

    from tl_core.backbones.compat import default_device

    if spec.load is None:
        raise BackboneError(f"{spec.title} is not ready on this machine.", "Choose a backbone that is ready.")
    device = default_device()
    tokens = min(TOKENS, spec.text_input.max_tokens) if spec.text_input else 0
    fixed = tuple(group.name for group in spec.groups if spec.towers and group.name.startswith("image."))
    with torch.random.fork_rng(devices=[]):
        network = spec.load(False).to(device)
        footprint = measure_footprint(network, lambda count, tokens: _items(spec, device, count, tokens), tokens, fixed)
        rounds, ratios = _rounds(network, _items(spec, device, ITEMS, tokens), seconds)
    totals = sorted(sum(times) / ITEMS for times in rounds)
    edge = int(len(totals) * 0.025)
    per_item = [median(times) / ITEMS for times in zip(*rounds, strict=True)]
    speed = Speed(
        backbone=spec.name,
        per_item=dict(zip(network.names, per_item, strict=True)),
        low=min(totals[edge], sum(per_item)),
        high=max(totals[-1 - edge], sum(per_item)),
        train_ratio=median(ratios),
        rounds=len(rounds),
        tokens=tokens,
        device=device.type,
        threads=torch.get_num_threads(),
        footprint=footprint,
        fixed=fixed,
    )
    write_json(workspace.folder("speed") / f"{file_name(spec.name)}.json", dump(speed))
    return speed


def _items(spec: BackboneSpec, device: "torch.device", count: int, tokens: int) -> "State":
    import torch

    state: State = ()
    if spec.image_input:
        maps = torch.rand(count, 3, spec.image_input.size, spec.image_input.size, device=device)
        state = (maps.contiguous(memory_format=torch.channels_last),)
    if spec.text_input:
        ids = torch.randint(1, 100, (count, tokens), device=device)
        state = (*state, ids, torch.ones_like(ids, dtype=torch.bool))
    return state


def _rounds(network: "Staged", state: "State", seconds: float) -> tuple[list[list[float]], list[float]]:
    """Return the seconds of every stage in every round, and per round the ratio of a training step to them."""
    _forward(network, state)  # the first pass sets up memory and kernels
    rounds: list[list[float]] = []
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    while len(rounds) < ROUNDS[0] or (time.perf_counter() < end and len(rounds) < ROUNDS[1]):
        rounds.append(_forward(network, state))
        if len(rounds) % 2:
            ratios.append(_train(network, state) / sum(rounds[-1]))
    return rounds, ratios


def _forward(network: "Staged", state: "State") -> list[float]:
    import torch

    network.eval()
    times = []
    with torch.inference_mode():
        for index in range(len(network.names)):
            started = _now(state[0])
            state = network.stage(index, state)
            times.append(_now(state[0]) - started)
    return times


def _train(network: "Staged", state: "State") -> float:
    network.train()
    started = _now(state[0])
    network.pool(network.run(state))[0].square().sum().backward()
    ended = _now(state[0])
    network.zero_grad()
    return ended - started


def _now(tensor: "torch.Tensor") -> float:
    """Read the clock after the tensor's device has finished all its work."""
    if tensor.is_cuda:
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()
