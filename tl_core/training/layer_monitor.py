"""Freeze proof: what each layer group did in an epoch, and an alarm if a frozen one changed.

How the figures of runs/events.GroupStats are measured here:

gradient  the norm before the whole gradient is clipped
update    the size of AdamW's last step, computed from the optimiser's state, so that no copy of the weights is needed;
          it leaves out rounding, less than a thousandth of the figure
drift     over the parameters: of the backbone since the start of the run, of the head since the start of the phase,
          because a new head starts with random weights
moved     for a group that an edit froze: whether it has changed since then

A solved head takes no gradient step, so its gradient and update are 0.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import torch

from tl_core.runs.events import GroupStats, LayerStats, Noted
from tl_core.training.optimisers import Freezer, one_thread
from tl_core.training.step import CLIP
from tl_core.types import Finding

SHARE = 0.02
"""Largest share of a phase's time that measuring may take; the measurement at its end is not counted."""
BLOCK = 2**17
"""Numbers that are worked on at once, so that they fit a processor cache."""
STATISTICS = ("running_mean", "running_var")
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class LayerMonitor:
    """Measures one phase after its epochs: as often as SHARE allows, and always at the end."""

    def __init__(self, freezer: Freezer, run_start: Mapping[str, torch.Tensor], index: int, phase: str) -> None:
        """Note what phase `index`, named `phase`, begins with. Nothing may change the model before the first step.

        `run_start` are the values of the backbone's tensors at the start of the run.
        """
        self._began = monotonic()
        self._freezer, self._model, self._run_start = freezer, freezer.model, run_start
        self._index, self._phase = index, phase
        self._phase_start = {name: self._reference(name, tensor) for name, tensor in self._tensors().items()}
        self._drift_from = {**self._phase_start, **run_start}
        self._learning = self._learning_groups()
        self._alarmed: set[str] = set()
        self._norms: dict[str, float] = {}
        self._drifts: dict[str, tuple[float, float]] = {}
        """Drift of the groups that have not changed in this phase."""
        self._cost = self._spent = monotonic() - self._began

    def edited(self) -> None:
        """Note which groups an edit has frozen: from here on they must keep their present values."""
        learning = self._learning_groups()
        if frozen := self._learning - learning:
            tensors = self._tensors()
            for group in frozen:
                self._drifts.pop(group, None)
                self._phase_start |= {name: tensors[name].clone() for name in self._freezer.owned[group]}
        self._learning = learning

    def report(
        self,
        epoch: int,
        optimiser: torch.optim.Optimizer | None = None,
        gradient_norm: torch.Tensor | None = None,
        last: bool = False,
    ) -> Iterator[LayerStats | Noted]:
        """Yield what each group did in the epoch that has just ended; `last` where the phase ends with it.

        `gradient_norm` is the norm of the whole gradient at the last step. A solved head has no optimiser.
        """
        began = monotonic()
        if not last and self._spent + self._cost > SHARE * (began - self._began):
            return
        groups = self.measure(optimiser, gradient_norm)
        self._cost = monotonic() - began
        self._spent += self._cost
        figures = [x for g in groups.values() for x in (g.gradient, g.update, g.drift, g.norm_drift)]
        if all(map(math.isfinite, figures)):  # if not, the loop ends the run and says why
            yield LayerStats(self._index, epoch, groups)
        moved = tuple(g for g, stats in groups.items() if stats.frozen and stats.moved and g not in self._alarmed)
        if moved:
            self._alarmed.update(moved)
            yield Noted(_alarm(moved, self._phase))

    @torch.no_grad()
    def measure(
        self, optimiser: torch.optim.Optimizer | None = None, gradient_norm: torch.Tensor | None = None
    ) -> dict[str, GroupStats]:
        """Return the figures of every layer group as it is now, input side first."""
        self.edited()
        tensors = self._tensors()
        clipped_by = 1.0 if gradient_norm is None else max(1.0, float(gradient_norm) / CLIP)
        stats = {}
        with one_thread():  # many short operations: each would have to wait for a second thread
            for group in self._freezer.owned:
                frozen = group not in self._learning
                moved, drifts = self._moved(group, tensors)
                step = (0.0, 0.0) if optimiser is None or frozen else self._step(optimiser, group, clipped_by)
                stats[group] = GroupStats(*step, *drifts, frozen, moved)
        return stats

    def _moved(self, group: str, tensors: Mapping[str, torch.Tensor]) -> tuple[bool, tuple[float, float]]:
        """Return whether any bit of a group has changed in this phase, and its drift and normalisation drift."""
        names = self._freezer.owned[group]
        moved = any(not same_bits(tensors[name], self._phase_start[name]) for name in names)
        if not moved and group in self._drifts:
            return False, self._drifts[group]
        parameters = dict(self._model.named_parameters())
        weights = self._drift([name for name in names if name in parameters], tensors)
        drifts = weights, self._drift([name for name in names if name.endswith(STATISTICS)], tensors)
        if not moved:
            self._drifts[group] = drifts
        return moved, drifts

    def _drift(self, names: Sequence[str], tensors: Mapping[str, torch.Tensor]) -> float:
        """Return ||now - first|| / ||first|| over some tensors; 0 where there are none, or all first ones are zero."""
        if not names:
            return 0.0
        first = [self._drift_from[name] for name in names]
        if names[0] not in self._norms:
            self._norms[names[0]] = norm(first)
        first_norm = self._norms[names[0]]
        changes: list[torch.Tensor] = []
        for new, old in _blocks([tensors[name] for name in names], first):
            changes += torch._foreach_norm(torch._foreach_sub(new, old))
        return _joint_norm(changes) / first_norm if first_norm else 0.0

    def _step(self, optimiser: torch.optim.Optimizer, group: str, clipped_by: float) -> tuple[float, float]:
        """Return the norm of the gradient, and the norm of the last step over that of the weights.

        `clipped_by` is what clipping has divided the gradient by.
        """
        gradients: list[torch.Tensor] = []
        steps: list[torch.Tensor] = []
        weights: list[torch.Tensor] = []
        for param_group in (g for g in optimiser.param_groups if g["name"] == group):
            stepped = [p for p in param_group["params"] if p.grad is not None and p in optimiser.state]
            gradients += [p.grad for p in stepped]
            times = [float(optimiser.state[p]["step"]) for p in stepped]
            for time in set(times):
                same_time = [p for p, taken in zip(stepped, times, strict=True) if taken == time]
                for step, before in last_step(optimiser, param_group, same_time, time):
                    steps += torch._foreach_norm(step)
                    weights += torch._foreach_norm(before)
        if not gradients:
            return 0.0, 0.0
        weight_norm = _joint_norm(weights)
        return norm(gradients) * clipped_by, _joint_norm(steps) / weight_norm if weight_norm else 0.0

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return every parameter and buffer as it is now."""
        named = [*self._model.named_parameters(), *self._model.named_buffers()]
        return {name: tensor.detach() for name, tensor in named}

    def _learning_groups(self) -> set[str]:
        """Return the groups in which some parameter may learn now."""
        learning = {name for name, parameter in self._model.named_parameters() if parameter.requires_grad}
        return {group for group, names in self._freezer.owned.items() if learning.intersection(names)}

    def _reference(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a copy of a tensor, or the copy from the start of the run where it has not changed since."""
        first = self._run_start.get(name)
        return first if first is not None and same_bits(first, tensor) else tensor.clone()


def last_step(
    optimiser: torch.optim.Optimizer, group: Mapping[str, Any], parameters: Sequence[torch.Tensor], time: float
) -> Iterator[tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """Yield how far AdamW's step number `time` moved parameters of a parameter group, and their values before it.

    Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, as torch computes it:
    w = w0 (1 - lr wd) - lr m / (1 - b1^t) / (sqrt(v) / sqrt(1 - b2^t) + eps), solved for w0.
    """
    (b1, b2), rate = group["betas"], group["lr"]
    means, squares = ([optimiser.state[p][name] for p in parameters] for name in ("exp_avg", "exp_avg_sq"))
    for after, mean, square in _blocks([p.detach() for p in parameters], means, squares):
        denominator = torch._foreach_sqrt(square)
        torch._foreach_div_(denominator, math.sqrt(1.0 - b2**time))
        torch._foreach_add_(denominator, group["eps"])
        before = list(torch._foreach_div(mean, denominator))
        torch._foreach_mul_(before, rate / (1.0 - b1**time))
        torch._foreach_add_(before, after)
        torch._foreach_div_(before, 1.0 - rate * group["weight_decay"])
        yield list(torch._foreach_sub(before, after)), before


def norm(tensors: Sequence[torch.Tensor]) -> float:
    """Return the Euclidean norm of all numbers of some tensors together."""
    return _joint_norm([size for (part,) in _blocks(tensors) for size in torch._foreach_norm(part)])


def _joint_norm(norms: Sequence[torch.Tensor]) -> float:
    """Return the Euclidean norm of all numbers together, from the norms of the parts."""
    return float(torch.stack(list(norms)).double().square().sum().sqrt()) if norms else 0.0


def _blocks(*columns: Sequence[torch.Tensor]) -> Iterator[list[list[torch.Tensor]]]:
    """Yield matching parts of tensors with equal shapes, about BLOCK numbers at a time."""
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


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Return whether two tensors of one type and shape are equal bit by bit: 0 differs from -0, NaN equals itself."""
    as_bits = BITS[a.element_size()]
    return torch.equal(a.view(as_bits), b.view(as_bits))


def _alarm(groups: tuple[str, ...], phase: str) -> Finding:
    return Finding(
        "stop",
        "frozen-moved",
        f"{', '.join(groups)} changed in the phase {phase!r} although frozen, so the result is not what was planned.",
        "Do not use this model. Start the run again, and report it if this happens again.",
        groups,
    )
