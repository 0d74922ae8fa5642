"""The number format and memory layout that a phase computes in: measured once, at its start, and then kept.

bfloat16 has the range of float32 with a significand of 8 bits. Training under autocast, with weights and optimiser in
float32, reaches the accuracy of float32 without another recipe and without scaling the loss (Kalamkar et al. 2019,
arXiv:1905.12322; Micikevicius et al. 2018, arXiv:1710.03740 for the float32 master weights). Whether it is faster
depends on processor, layers and sizes, so that is measured. Whether it computes the same is checked on the same batch.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tl_core.layers import is_adapter
from tl_core.types import dump, load

SHARE = 0.06
"""Largest share of a phase's time that the measurement may take. Later runs reuse the choice and do not measure. A
faster way saves a quarter or more of every step (docs/LOG.md, 2026-11-21)."""
ROUNDS = (3, 9)
"""Smallest and largest number of timed rounds."""
MIN_SPEEDUP = 1.05
"""The speed over float32, in the median round, that another way needs to be chosen."""
HOPELESS = 3.0
"""A way whose first pass takes this many times as long as float32 is not timed any further."""
LOSS_ERROR, COSINE = 0.02, 0.99
"""Agreement with float32 on one batch: the losses differ by at most 2 % (or by 0.02, where the loss is below 1), and
the gradients of all parameters that learn, as one vector, have a cosine of at least 0.99. bfloat16 rounds to 1 part in
256, and the gradient of another batch differs by far more."""


@dataclass(frozen=True)
class Precision:
    """How a phase computes. The defaults hold where nothing was measured.

    `depthwise_float32` computes depthwise convolutions in float32, because their gradient in bfloat16 is slow on CPUs.
    `speedup` is over float32 in the model's original layout: the median of `rounds` rounds, each of which times forward
    and backward in every way. `loss_error` and `cosine` measure the agreement with float32 (see LOSS_ERROR).
    """

    dtype: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    depthwise_float32: bool = False
    speedup: float = 1.0
    loss_error: float = 0.0
    cosine: float = 1.0
    rounds: int = 0
    why: str = "not measured"

    @property
    def title(self) -> str:
        """Return the format and the layout in words."""
        parts = [self.dtype, "channels last" * self.channels_last, "depthwise in float32" * self.depthwise_float32]
        return ", ".join(part for part in parts if part)

    @property
    def agrees(self) -> bool:
        """Return whether it agrees with float32; NaN agrees with nothing."""
        return self.loss_error <= LOSS_ERROR and self.cosine >= COSINE


class PrecisionChoices:
    """What each phase of a run computes in: decided once, so that a resumed run does not decide otherwise."""

    def __init__(self) -> None:
        self._choices: dict[str, Precision] = {}

    def get(self, phase: int, start: int) -> Precision | None:
        """Return what was decided for a phase that learns from stage `start` on; None where nothing was."""
        return self._choices.get(self._key(phase, start))

    def keep(self, phase: int, start: int, choice: Precision) -> None:
        """Keep what was decided; an edit that moves `start` asks for another choice."""
        self._choices[self._key(phase, start)] = choice

    @staticmethod
    def _key(phase: int, start: int) -> str:
        return f"precision {phase} {start}"

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {key: dump(choice) for key, choice in self._choices.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self._choices = {key: load(Precision, choice) for key, choice in state.items()}


class _DepthwiseInFloat32(TorchFunctionMode):
    """Turns autocast off for depthwise convolutions."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d and args[1].shape[1] == 1 < args[1].shape[0]:
            with torch.autocast(args[0].device.type, enabled=False):
                return func(args[0].float(), *args[1:], **kwargs)
        return func(*args, **kwargs)


@contextmanager
def autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute forward passes in the chosen precision; the backward pass follows by itself.

    bfloat16 has the range of float32, so gradients do not underflow and need no scaling.
    """
    with ExitStack() as stack:
        if precision.dtype == "bfloat16":
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            if precision.depthwise_float32:
                stack.enter_context(_DepthwiseInFloat32())
        yield


def lay_out(model: nn.Module, precision: Precision) -> None:
    """Put the weights of convolutions into the chosen memory layout; no value changes.

    The weights of adapters keep the plain layout, because peft views them as matrices.
    """
    layout = torch.channels_last if precision.channels_last else torch.contiguous_format
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4 and not is_adapter(name):
            parameter.data = parameter.data.contiguous(memory_format=layout)


def choose(
    forward: Callable[[Precision], torch.Tensor], model: nn.Module, device: torch.device, steps: int
) -> Precision:
    """Time the ways to compute on one real batch, and return the fastest that agrees with float32.

    `forward(way)` returns the loss of that batch, computed that way, with the model in its present training modes. The
    parameters that learn get gradients. `steps` is how many steps of this batch size the phase takes: if the
    measurement would cost more than SHARE of them, float32 is chosen without measuring. Afterwards the model, its
    gradients and statistics, and all random states are as they were, bit for bit.
    """
    first, *others = _ways(model, device)
    if not pays(model, device, steps):
        return replace(first, why=f"float32: {steps:,} steps are too few for a measurement to pay")
    passes = SHARE * steps
    with _untouched(model, device):
        return _Trial(forward, model, device).run(first, others, passes)


def pays(model: nn.Module, device: torch.device, steps: int) -> bool:
    """Return whether a phase of this many steps is long enough for `choose` to measure."""
    return SHARE * steps >= 1 + (1 + ROUNDS[0]) * len(_ways(model, device))


def _ways(model: nn.Module, device: torch.device) -> list[Precision]:
    """Return the ways to try, first the reference: float32 in the present layout. bfloat16 uses channels last."""
    kernels = [p for name, p in model.named_parameters() if p.ndim == 4 and not is_adapter(name)]
    if not kernels:
        return [Precision(), Precision("bfloat16")]
    present = any(not kernel.is_contiguous() for kernel in kernels)
    ways = [Precision("float32", present), Precision("float32", not present), Precision("bfloat16", True)]
    if device.type == "cpu" and any(kernel.shape[1] == 1 < kernel.shape[0] for kernel in kernels):
        ways.append(Precision("bfloat16", True, depthwise_float32=True))
    return ways


@dataclass(frozen=True)
class _Trial:
    """A measurement of ways to compute."""

    forward: Callable[[Precision], torch.Tensor]
    model: nn.Module
    device: torch.device

    def run(self, first: Precision, others: list[Precision], passes: float) -> Precision:
        """Return the fastest way that agrees with `first`, in about the time of `passes` passes of it."""
        loss, gradients, _ = self._look(first)
        seconds = self._time(first)
        end = time.perf_counter() + (passes - 2) * seconds
        checked, candidates = [], []
        for way in others:
            own_loss, own_gradients, duration = self._look(way)
            error = abs(own_loss - loss) / max(abs(loss), 1.0)
            checked.append(replace(way, loss_error=error, cosine=_cosine(gradients, own_gradients)))
            if checked[-1].agrees and duration <= HOPELESS * seconds:
                candidates.append(checked[-1])
        times = self._race([first, *candidates], end) if candidates else [[seconds]]
        timed = [_with_speed(way, times[0], own) for way, own in zip(candidates, times[1:], strict=True)]
        return _best(first, timed, checked)

    def _look(self, way: Precision) -> tuple[float, list[torch.Tensor], float]:
        """Return loss, gradients and seconds of a pass without randomness: only normalisation is in training mode."""
        modes = [(module, module.training) for module in self.model.modules()]
        for module, training in modes:
            module.training = training and isinstance(module, nn.modules.batchnorm._NormBase)
        started = time.perf_counter()
        loss = self._pass(way)
        gradients = [p.grad.float() for p in self.model.parameters() if p.grad is not None]
        duration = time.perf_counter() - started
        for module, training in modes:
            module.training = training
        return loss, gradients, duration

    def _race(self, ways: list[Precision], end: float) -> list[list[float]]:
        """Return the seconds of every way in every round. They take turns, so that a busy machine slows all down."""
        times: list[list[float]] = [[] for _ in ways]
        while len(times[0]) < ROUNDS[0] or (len(times[0]) < ROUNDS[1] and time.perf_counter() < end):
            for way, own in zip(ways, times, strict=True):
                own.append(self._time(way))
        return times

    def _time(self, way: Precision) -> float:
        lay_out(self.model, way)
        started = time.perf_counter()
        self._pass(way)
        return time.perf_counter() - started

    def _pass(self, way: Precision) -> float:
        """Run forward and backward; the gradients are left in the parameters."""
        lay_out(self.model, way)
        self.model.zero_grad(set_to_none=True)
        loss = self.forward(way)
        loss.backward()
        return loss.item()  # waits for a graphics card


def _cosine(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Return the cosine between two lists of gradients, each taken as one vector; NaN where one is zero."""

    def dot(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
        """Return the scalar product of two lists as vectors."""
        return sum(torch.sum(x.double() * y.double()).item() for x, y in zip(a, b, strict=True))

    size = math.sqrt(dot(ours, ours) * dot(theirs, theirs))
    return dot(ours, theirs) / size if size else math.nan


def _with_speed(way: Precision, reference: list[float], own: list[float]) -> Precision:
    """Return the way with its speedup; 0 where it was slower in any round, because that is not reliable."""
    ratios = [theirs / ours for theirs, ours in zip(reference, own, strict=True)]
    return replace(way, speedup=median(ratios) if min(ratios) > 1 else 0.0, rounds=len(ratios))


def _best(first: Precision, timed: list[Precision], checked: list[Precision]) -> Precision:
    """Return the choice, with its reason in words."""
    best = max(timed, key=lambda way: way.speedup, default=first)
    if best.speedup >= MIN_SPEEDUP and best is not first:
        agreement = f"the loss within {best.loss_error:.1%}, the gradients' cosine {best.cosine:.4f}"
        return replace(best, why=f"{best.title}: {best.speedup:.2f} times as fast as {first.title}, {agreement}")
    wrong = [
        f"{way.title} (loss off by {way.loss_error:.1%}, cosine {way.cosine:.3f})" for way in checked if not way.agrees
    ]
    disagreement = f"; {' and '.join(wrong)} did not agree" if wrong else ""
    rounds = timed[0].rounds if timed else 0
    return replace(first, rounds=rounds, why=f"{first.title}: no other way was reliably faster{disagreement}")


@contextmanager
def _untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore weights, layouts, gradients, statistics, training modes and random states, even after an error."""
    weights = [(parameter, parameter.data, parameter.grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    modes = [(module, module.training) for module in model.modules()]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        for parameter, data, gradient in weights:
            parameter.data, parameter.grad = data, gradient
        for buffer, before in buffers:
            buffer.data.copy_(before)
        for module, training in modes:
            module.training = training
