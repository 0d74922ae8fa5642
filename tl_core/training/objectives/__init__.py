"""What a phase learns: the labels, or something that prepares the backbone for them."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tl_core.runs.events import RunEvent
from tl_core.training.inputs import Inputs, Mix, batches

if TYPE_CHECKING:
    from tl_core.training.run import Run


@dataclass(frozen=True)
class StepOutput:
    """What a batch `[B]` taught: the loss to descend, and hits, the count of right answers (None: no labels).

    `pooled` `[B, D]`, `logits` `[B, K]`, `labels` `[B]` (or targets `[B, K]`) and `mix` are what penalties read; None
    where they have no place.
    """

    loss: torch.Tensor
    hits: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    mix: Mix | None = None


class Objective:
    """What one phase learns. Random numbers come from `run.shuffle` (batches) and torch's own (inside a step) alone."""

    raw = False
    """Whether it reads the items themselves, so that activations at a frozen boundary are of no use."""
    judged = True
    """Whether accuracy on the validation items judges it; else the last weights are the best."""

    drops_attention = False
    """Whether attention weights are dropped where the network's recipe says so."""

    def __init__(self, run: "Run", index: int) -> None:
        self.run, self.index = run, index
        self.phase = run.plan.phases[index]

    def rows(self) -> np.ndarray:
        """Return the rows of the item space that the phase learns from."""
        return self.run.rows(self.phase)

    def prepare(self) -> Generator[RunEvent, None, None]:
        """Make what the objective needs, before the first step; a resumed run does so too."""
        self.run.model.backbone.drop_attention(self.drops_attention)
        yield from ()

    def epoch(self, epoch: int, lengths: np.ndarray | None) -> list[np.ndarray]:
        """Return the batches of an epoch, in order."""
        rows, draws = self.rows(), self.phase.draws
        if draws is not None and draws < len(rows):
            rows = rows[torch.randperm(len(rows), generator=self.run.shuffle)[:draws].numpy()]
        return batches(self.run.space.view(rows, epoch), self.run.plan.batch_size, lengths, self.run.shuffle)

    def steps(self) -> int:
        """Return how many steps an epoch takes, without drawing anything."""
        count = len(self.rows()) if self.phase.draws is None else min(self.phase.draws, len(self.rows()))
        return len(batches(np.arange(count), self.run.plan.batch_size))

    def learn(self, inputs: Inputs, rows: np.ndarray) -> StepOutput:
        """Return what the model makes of a batch."""
        raise NotImplementedError

    def modules(self) -> Sequence[nn.Module]:
        """Return helper networks, there once prepared, that learn beside the model and are dropped after the phase."""
        return ()

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return what a resumed run cannot make anew; helper networks not included."""
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` returned, after `prepare`."""


def objective(run: "Run", index: int) -> Objective:
    """Return the objective of a phase."""
    from tl_core.training.objectives.contrastive import Contrastive
    from tl_core.training.objectives.labels import Labels
    from tl_core.training.objectives.masked import Masked

    kinds: dict[str, type[Objective]] = {"labels": Labels, "contrastive": Contrastive, "masked": Masked}
    return kinds[run.plan.phases[index].objective](run, index)
