"""One optimiser step: learning rates, forward and backward of each micro-batch, penalties, clipping, update.

B items of a batch or micro-batch.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tl_core.plan import Phase, rate_at
from tl_core.training.inputs import Inputs, PooledInputs, StagedInputs
from tl_core.training.model import TransferModel
from tl_core.training.objectives import Objective
from tl_core.training.optimisers import one_thread
from tl_core.training.penalty_set import PenaltySet
from tl_core.training.run_state import Clock, Diverged, MicroBatches, RandomState, StepCounter

CLIP = 1.0
"""The largest norm of the whole gradient, as in the BERT and ViT fine-tuning recipes."""


@dataclass(frozen=True)
class StepResult:
    """What a step over B items gave, not read yet, so that nobody waits for a graphics card.

    `loss` is the objective's mean over the batch; `hits` counts right answers (None: no labels). `gradient_norm` is
    the norm of the whole gradient before clipping. `penalties` holds a positive multiple of each penalty term.
    """

    loss: torch.Tensor
    hits: torch.Tensor | None
    gradient_norm: torch.Tensor
    penalties: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class StepParts:
    """What the steps of every phase of a run share."""

    model: TransferModel
    penalties: PenaltySet
    micro_batches: MicroBatches
    random: RandomState
    counter: StepCounter


class Stepper:
    """Takes the optimiser steps of a phase, until an edit changes what it reads or trains."""

    def __init__(
        self, shared: StepParts, objective: Objective, inputs: Inputs, optimiser: torch.optim.Optimizer
    ) -> None:
        self.model, self.counter, self.micro_batches = shared.model, shared.counter, shared.micro_batches
        self.objective, self.inputs, self.optimiser = objective, inputs, optimiser
        self._penalties, self._random = shared.penalties, shared.random

    def step(self, rows_B: np.ndarray, position: float) -> StepResult:
        """Take one step on a batch, at `position` in [0, 1] of the phase.

        Where memory is short the batch goes through in micro-batches, whose gradients add up. For plain cross-entropy
        the sum is the gradient of the batch. Whatever compares items of a batch (class weights, mixup, pairs, MMD,
        batch normalisation) then compares those of a micro-batch only.
        """
        self._random.seed_step(self.counter.step)
        self._penalties.begin_step()
        self.optimiser.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.model.device)
        hits: torch.Tensor | None = torch.zeros((), dtype=torch.int64, device=self.model.device)
        with one_thread() if isinstance(self.inputs, PooledInputs) else nullcontext():
            for micro_B in self.micro_batches.split(rows_B):
                # forward: the objective's loss, and the penalties if the backbone learns
                output = self.objective.forward(self.inputs, micro_B)
                penalised = output.loss
                if isinstance(self.inputs, StagedInputs):
                    penalised = self._penalties.penalised(output, micro_B, self.inputs, self.counter.step, position)
                # backward: a micro-batch counts by its share of the batch
                share = len(micro_B) / len(rows_B)
                (penalised * share if self.micro_batches.count > 1 else penalised).backward()
                loss += output.loss.detach() * share
                hits = None if hits is None or output.hits is None else hits + output.hits
            gradient_norm = clipped_update(self.optimiser)
        self.counter.step += 1
        return StepResult(loss, hits, gradient_norm, self._penalties.sums())


def set_rates(optimiser: torch.optim.Optimizer, phase: Phase, position: float) -> dict[str, float]:
    """Set the learning rates for a position in [0, 1] of the phase; return the rate of each layer group."""
    factor = rate_at(phase.schedule, phase.warmup, position)
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor
    return {group["name"]: group["lr"] for group in optimiser.param_groups if group["name"]}


def clipped_update(optimiser: torch.optim.Optimizer) -> torch.Tensor:
    """Clip the gradient as a whole and let the optimiser step; return the norm before clipping."""
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    gradient_norm = torch.nn.utils.clip_grad_norm_(parameters, CLIP)
    optimiser.step()
    return gradient_norm


class LossLog:
    """The losses of a phase's steps, read only when something is to be told; and the speed of the steps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = self._since = clock.now()
        self.steps = self._items = 0
        self._unread: list[tuple[torch.Tensor, int]] = []
        self._penalties: list[Mapping[str, torch.Tensor]] = []
        self.mean = 0.0
        """Mean loss of the steps that the last `settle` read."""

    def record(self, result: StepResult, items: int) -> None:
        """Keep the loss and the penalties of a step over `items` items, unread."""
        self._unread.append((result.loss, items))
        self._penalties.append(result.penalties)
        self.steps += 1
        self._items += items

    def settle(self, total: float, step: int) -> float:
        """Return `total` plus the loss of every item since the last call; `step` counts the steps of the run so far.

        The losses are added one by one, so that the sum does not depend on when this is called. Raises Diverged at the
        first loss or penalty that is not finite.
        """
        if not self._unread:
            return total
        losses = torch.stack([loss for loss, _ in self._unread]).double().cpu()
        items = torch.tensor([items for _, items in self._unread], dtype=torch.float64)
        self._require_finite(losses, step)
        self._unread.clear()
        self._penalties.clear()
        self.mean = float((losses * items).sum() / items.sum())
        for loss in (losses * items).tolist():
            total += loss
        return total

    def _require_finite(self, losses: torch.Tensor, step: int) -> None:
        """Raise Diverged where a loss or a penalty of the unread steps is not finite."""
        broken = [(place, "") for place in torch.nonzero(~torch.isfinite(losses)).flatten().tolist()[:1]]
        for name in {name: None for penalties in self._penalties for name in penalties}:
            places = [place for place, penalties in enumerate(self._penalties) if name in penalties]
            finite = torch.isfinite(torch.stack([self._penalties[place][name] for place in places])).tolist()
            broken += [(place, name) for place, good in zip(places, finite, strict=True) if not good][:1]
        if broken:  # at the same step the loss comes before the penalties, because it breaks them as well
            place, name = min(broken)
            raise Diverged(step - len(losses) + place + 1, name)

    def speed(self) -> float:
        """Return the items per second since the last call."""
        now = self._clock.now()
        speed = self._items / max(now - self._since, 1e-9)
        self._since, self._items = now, 0
        return speed

    def seconds(self) -> float:
        """Return the seconds since the phase began."""
        return self._clock.now() - self._began

    def restart_speed(self) -> None:
        """Measure the speed from now on."""
        self._since, self._items = self._clock.now(), 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"steps": self.steps, "began": self._began}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.steps, self._began = state["steps"], state["began"]
