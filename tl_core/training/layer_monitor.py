"""Freeze proof: what each layer group did in an epoch, and the alarm where a frozen one moved.

The figures of runs/events.GroupStats, as they are taken here. `gradient` is before the clipping of the whole
gradient. `update` is of the step that AdamW took, recomputed from its state: no copy of the weights is needed, and
what it cannot see is rounding, below a thousandth of the figure. `drift` is over the parameters; the backbone's is
from the values that the run began with, the head's from those that the phase began with, since a new head begins
with random ones. A solved head takes no gradient step, so its gradient and update are 0. A group that an edit froze
counts as moved if it changed since.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import torch

from tl_core.runs.events import GroupStats, LayerStats, Noted
from tl_core.training.optimisers import CLIP, one_thread
from tl_core.training.run import Run
from tl_core.types import Finding

SHARE = 0.02
"""The largest part of a phase's time that measuring may take, the end of the phase not counted."""
BLOCK = 2**17
STATISTICS = ("running_mean", "running_var")
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class LayerMonitor:
    """Measures one phase after its epochs: as often as SHARE pays for, and always at the end."""

    def __init__(self, run: Run, index: int) -> None:
        """Note what the phase begins with. Nothing may change the model between this and the first step."""
        self._began = monotonic()
        self._run, self._index = run, index
        self._begin = {name: self._reference(name, tensor) for name, tensor in self._now().items()}
        self._first = {**self._begin, **run.first}
        self._learning = self._learns()
        self._alarmed: set[str] = set()
        self._norms: dict[str, float] = {}
        self._still: dict[str, tuple[float, float]] = {}
        self._cost = self._spent = monotonic() - self._began

    def edited(self) -> None:
        """Take the present values of a group that was frozen just now as the ones that it has to keep from here on."""
        learning = self._learns()
        if anew := self._learning - learning:
            now = self._now()
            for group in anew:
                self._still.pop(group, None)
                self._begin |= {name: now[name].clone() for name in self._run.freezer.owned[group]}
        self._learning = learning

    def report(
        self, epoch: int, optimiser: torch.optim.Optimizer | None, last: bool = False
    ) -> Iterator[LayerStats | Noted]:
        """Say what each group did in an epoch that has just ended; `last` where the phase ends with it."""
        began = monotonic()
        if not last and self._spent + self._cost > SHARE * (began - self._began):
            return
        groups = self.measure(optimiser)
        self._cost = monotonic() - began
        self._spent += self._cost
        figures = [x for g in groups.values() for x in (g.gradient, g.update, g.drift, g.norm_drift)]
        if all(map(math.isfinite, figures)):  # else the loop ends the run, and says why
            yield LayerStats(self._index, epoch, groups)
        moved = tuple(g for g, found in groups.items() if found.frozen and found.moved and g not in self._alarmed)
        if moved:
            self._alarmed.update(moved)
            yield Noted(_alarm(moved, self._run.plan.phases[self._index].name))

    @torch.no_grad()
    def measure(self, optimiser: torch.optim.Optimizer | None) -> dict[str, GroupStats]:
        """Return the figures of every layer group as it is now, input side first."""
        self.edited()
        now = self._now()
        with one_thread():  # many short operations: a second thread would be waited for at each
            return {group: self._group(group, now, optimiser) for group in self._run.freezer.owned}

    def _group(
        self, group: str, now: Mapping[str, torch.Tensor], optimiser: torch.optim.Optimizer | None
    ) -> GroupStats:
        names = self._run.freezer.owned[group]
        frozen = group not in self._learning
        moved = any(not same_bits(now[name], self._begin[name]) for name in names)
        if moved or group not in self._still:
            parameters = dict(self._run.model.named_parameters())
            weights = self._drift([name for name in names if name in parameters], now)
            drifts = weights, self._drift([name for name in names if name.endswith(STATISTICS)], now)
            if not moved:
                self._still[group] = drifts
        else:
            drifts = self._still[group]
        gradient, update = (0.0, 0.0) if optimiser is None or frozen else self._step(optimiser, group)
        return GroupStats(gradient, update, *drifts, frozen, moved)

    def _drift(self, names: Sequence[str], now: Mapping[str, torch.Tensor]) -> float:
        """Return ||now - first|| / ||first|| over some tensors; 0 where there are none, or all began as zeros."""
        if not names:
            return 0.0
        first = [self._first[name] for name in names]
        if names[0] not in self._norms:
            self._norms[names[0]] = norm(first)
        size = self._norms[names[0]]
        apart: list[torch.Tensor] = []
        for new, old in _blocks([now[name] for name in names], first):
            apart += torch._foreach_norm(torch._foreach_sub(new, old))
        return _together(apart) / size if size else 0.0

    def _step(self, optimiser: torch.optim.Optimizer, group: str) -> tuple[float, float]:
        """Return the norm of the gradient, and that of the step over that of the weights, at the last step."""
        gradients: list[torch.Tensor] = []
        steps: list[torch.Tensor] = []
        weights: list[torch.Tensor] = []
        for own in (own for own in optimiser.param_groups if own["name"] == group):
            moving = [p for p in own["params"] if p.grad is not None and p in optimiser.state]
            gradients += [p.grad for p in moving]
            times = [float(optimiser.state[p]["step"]) for p in moving]
            for time in set(times):
                same = [p for p, taken in zip(moving, times, strict=True) if taken == time]
                for step, before in last_step(optimiser, own, same, time):
                    steps += torch._foreach_norm(step)
                    weights += torch._foreach_norm(before)
        if not gradients:
            return 0.0, 0.0
        clipped = max(1.0, float(self._run.gradient) / CLIP)
        size = _together(weights)
        return norm(gradients) * clipped, _together(steps) / size if size else 0.0

    def _now(self) -> dict[str, torch.Tensor]:
        """Return every parameter and buffer as it is."""
        model = self._run.model
        return {name: tensor.detach() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}

    def _learns(self) -> set[str]:
        """Return the groups in which some parameter may learn now."""
        learning = {name for name, parameter in self._run.model.named_parameters() if parameter.requires_grad}
        return {group for group, names in self._run.freezer.owned.items() if learning.intersection(names)}

    def _reference(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a copy, or the run's own where the tensor is as it was at the start."""
        first = self._run.first.get(name)
        return first if first is not None and same_bits(first, tensor) else tensor.clone()


def last_step(
    optimiser: torch.optim.Optimizer, own: Mapping[str, Any], moving: Sequence[torch.Tensor], time: float
) -> Iterator[tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """Yield how far AdamW's step number `time` moved parameters of its group `own`, and what they were before it.

    Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, as torch computes it:
    w = w0 (1 - lr wd) - lr m / (1 - b1^t) / (sqrt(v) / sqrt(1 - b2^t) + eps), solved for w0.
    """
    (b1, b2), rate = own["betas"], own["lr"]
    means, squares = ([optimiser.state[p][name] for p in moving] for name in ("exp_avg", "exp_avg_sq"))
    for after, mean, square in _blocks([p.detach() for p in moving], means, squares):
        below = torch._foreach_sqrt(square)
        torch._foreach_div_(below, math.sqrt(1.0 - b2**time))
        torch._foreach_add_(below, own["eps"])
        before = list(torch._foreach_div(mean, below))
        torch._foreach_mul_(before, rate / (1.0 - b1**time))
        torch._foreach_add_(before, after)
        torch._foreach_div_(before, 1.0 - rate * own["weight_decay"])
        yield list(torch._foreach_sub(before, after)), before


def norm(tensors: Sequence[torch.Tensor]) -> float:
    """Return the Euclidean norm of all numbers of some tensors together."""
    return _together([size for (part,) in _blocks(tensors) for size in torch._foreach_norm(part)])


def _together(norms: Sequence[torch.Tensor]) -> float:
    return float(torch.stack(list(norms)).double().square().sum().sqrt()) if norms else 0.0


def _blocks(*columns: Sequence[torch.Tensor]) -> Iterator[list[list[torch.Tensor]]]:
    """Yield the same parts of tensors of like shapes, about BLOCK numbers at a time, so that they fit a cache."""
    block: list[tuple[torch.Tensor, ...]] = []
    size = 0
    for row in zip(*columns, strict=True):
        rows = max(1, BLOCK * len(row[0]) // max(row[0].numel(), 1)) if row[0].ndim else 0
        for parts in zip(*(t.split(rows) if rows else (t,) for t in row), strict=True):
            block.append(parts)
            size += parts[0].numel()
            if size >= BLOCK:
                yield [list(column) for column in zip(*block, strict=True)]
                block, size = [], 0
    if block:
        yield [list(column) for column in zip(*block, strict=True)]


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors of one type and shape are alike to the last bit: 0 is not -0, and NaN is itself."""
    as_bits = BITS[one.element_size()]
    return torch.equal(one.view(as_bits), other.view(as_bits))


def _alarm(groups: tuple[str, ...], phase: str) -> Finding:
    return Finding(
        "stop",
        "frozen-moved",
        f"{', '.join(groups)} changed in the phase {phase!r} although frozen, so the result is not what was planned.",
        "Do not use this model: start the run again, and report it if the same happens.",
        groups,
    )
