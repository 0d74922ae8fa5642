"""Objectives: what a phase learns. The labels, or something that prepares the backbone for them. One file each."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tl_core.plan import Phase, TransferPlan
from tl_core.registry import Registry
from tl_core.runs.events import RunEvent
from tl_core.training.inputs import Inputs, Mix, batches
from tl_core.training.item_index import RunRows
from tl_core.training.model import TransferModel
from tl_core.training.run_state import RandomState


@dataclass(frozen=True)
class StepOutput:
    """What a batch `[B]` gives: the loss to minimise, and hits, the count of right answers (None: no labels).

    Penalties read `pooled` `[B, D]`, `logits` `[B, K]`, `labels` `[B]` (or targets `[B, K]`) and `mix`. They are None
    for an objective that takes no penalties.
    """

    loss: torch.Tensor
    hits: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    mix: Mix | None = None


class Objective:
    """What one phase learns.

    Random numbers come from `random.shuffle` (the batches) and from torch's own generator (inside a step) alone.
    """

    raw = False
    """Whether it reads the items themselves, so that activations at a frozen boundary are of no use."""
    judged = True
    """Whether validation metrics judge it; if not, the last weights count as the best."""
    drops_attention = False
    """Whether attention weights are dropped where the network's recipe says so."""

    def __init__(
        self, phase: Phase, plan: TransferPlan, rows: RunRows, model: TransferModel, random: RandomState
    ) -> None:
        self.phase = phase
        """The phase, with the edits so far: an edit replaces it."""
        self._plan, self._rows, self._model, self._random = plan, rows, model, random

    def rows(self) -> np.ndarray:
        """Return the rows of the item index that the phase learns from."""
        return self._rows.train_rows(self.phase)

    def prepare(self) -> Generator[RunEvent, None, None]:
        """Make what the objective needs before the first step; a resumed run does so too."""
        self._model.backbone.drop_attention(self.drops_attention)
        yield from ()

    def epoch(self, epoch: int, lengths: np.ndarray | None) -> list[np.ndarray]:
        """Return the batches of an epoch, in order."""
        rows, draws = self.rows(), self.phase.draws
        if draws is not None and draws < len(rows):
            rows = rows[torch.randperm(len(rows), generator=self._random.shuffle)[:draws].numpy()]
        return batches(self._rows.items.view(rows, epoch), self._plan.batch_size, lengths, self._random.shuffle)

    def steps(self) -> int:
        """Return how many steps an epoch takes, without drawing anything."""
        count = len(self.rows()) if self.phase.draws is None else min(self.phase.draws, len(self.rows()))
        return len(batches(np.arange(count), self._plan.batch_size))

    def forward(self, inputs: Inputs, rows_B: np.ndarray) -> StepOutput:
        """Run the model on a batch, as training varies it, and return its loss."""
        raise NotImplementedError

    def modules(self) -> Sequence[nn.Module]:
        """Return helper networks, there once prepared, that learn beside the model and are dropped after the phase."""
        return ()

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return what a resumed run cannot make again; helper networks not included."""
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` returned, after `prepare`."""


@dataclass(frozen=True)
class ObjectiveKind:
    """An objective by the name that a phase asks for it by."""

    name: str
    make: type[Objective]


OBJECTIVES: Registry[ObjectiveKind] = Registry("objective", "tl_core.training.objectives")


def make_objective(
    phase: Phase, plan: TransferPlan, rows: RunRows, model: TransferModel, random: RandomState
) -> Objective:
    """Return the objective of a phase."""
    return OBJECTIVES[phase.objective].make(phase, plan, rows, model, random)
