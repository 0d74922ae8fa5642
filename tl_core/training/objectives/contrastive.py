"""Contrastive tuning: features of items with one label move together, and others apart, before a head is trained.

B items, D pooled features.
"""

import numpy as np
import torch
from torch import nn

from tl_core.plan import Phase, TransferPlan
from tl_core.training.inputs import Inputs
from tl_core.training.item_index import RunRows
from tl_core.training.model import TransferModel
from tl_core.training.objectives import OBJECTIVES, Objective, ObjectiveKind, StepOutput
from tl_core.training.run_state import RandomState


def pair_loss(features_BD: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
    """Return how far the cosines of all pairs of a batch are from 1 (same label) and from 0 (two labels), a scalar.

    With c the cosine of a pair: half the mean of (1 - c)^2 over the pairs of one label, plus half the mean of c^2 over
    the others. This is SetFit's cosine-similarity loss (Tunstall et al. 2022, arXiv:2209.11055). Both kinds weigh the
    same; SetFit gets that by drawing equally many of each. Where a batch has pairs of one kind only, their mean
    counts in full; without any pair the loss is 0.
    """
    unit_BD = nn.functional.normalize(features_BD, dim=1)
    cosines_BB = unit_BD @ unit_BD.T
    pairs_BB = torch.ones_like(cosines_BB, dtype=torch.bool).triu(1)
    same_BB = labels_B[:, None] == labels_B[None, :]
    near_BB, far_BB = pairs_BB & same_BB, pairs_BB & ~same_BB
    # sums over masks: to select entries, the CPU would have to wait for their number from the graphics card
    means = [
        ((1 - cosines_BB).square() * near_BB).sum() / near_BB.sum().clamp_min(1),
        (cosines_BB.square() * far_BB).sum() / far_BB.sum().clamp_min(1),
    ]
    kinds = near_BB.any().float() + far_BB.any().float()
    return (means[0] + means[1]) / kinds.clamp_min(1)


class BalancedBatches:
    """Draws batches with the same number of items of each class. The cost does not grow with the number of pairs."""

    def __init__(self, labels: np.ndarray, size: int) -> None:
        """Take the labels `[N]` of the items to draw from, and the largest batch size (4 at least)."""
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.per_class = max(2, size // len(self._members))
        """Items of a class in a batch; a class with fewer gives all that it has."""
        self.classes = min(len(self._members), max(2, size // self.per_class))
        """Classes in a batch."""

    def draw(self, count: int, lengths: np.ndarray | None, shuffle: torch.Generator) -> list[np.ndarray]:
        """Return `count` batches of positions in 0..N-1, none twice in a batch, texts grouped by length.

        Every pass goes over each class in random order, so that all its items come equally often.
        """
        decks: list[list[np.ndarray]] = [[] for _ in self._members]
        order: list[int] = []
        drawn = []
        for _ in range(count):
            while len(order) < self.classes:
                shuffled = torch.randperm(len(decks), generator=shuffle).tolist()
                order += [label for label in shuffled if label not in order] + [
                    label for label in shuffled if label in order
                ]
            chosen, order = order[: self.classes], order[self.classes :]
            for label in chosen:
                decks[label] = decks[label] or self._deck(self._members[label], lengths, shuffle)
            blocks = [decks[label].pop() for label in chosen]
            # the classes take turns, so that a micro-batch is as balanced as the batch
            turns = np.concatenate([np.arange(len(block)) for block in blocks])
            drawn.append(np.concatenate(blocks)[np.argsort(turns, kind="stable")])
        return [drawn[i] for i in torch.randperm(count, generator=shuffle).tolist()]

    def _deck(self, members: np.ndarray, lengths: np.ndarray | None, shuffle: torch.Generator) -> list[np.ndarray]:
        """Return one pass over the items of a class in full blocks; the rest that fills none is left out this time."""
        shuffled = members[torch.randperm(len(members), generator=shuffle).numpy()]
        blocks = max(1, len(members) // self.per_class)
        shuffled = shuffled[: blocks * self.per_class]
        if lengths is not None:
            shuffled = shuffled[np.argsort(lengths[shuffled], kind="stable")]
        return np.array_split(shuffled, blocks)


class ContrastiveObjective(Objective):
    """All pairs within balanced batches. An epoch draws `Phase.draws` items, or as many as there are."""

    judged = False
    drops_attention = True

    def __init__(
        self, phase: Phase, plan: TransferPlan, rows: RunRows, model: TransferModel, random: RandomState
    ) -> None:
        super().__init__(phase, plan, rows, model, random)
        self._balanced = BalancedBatches(rows.labels_of(self.rows()).cpu().numpy(), plan.batch_size)

    def steps(self) -> int:
        """Return how many batches an epoch draws."""
        return -(-(self.phase.draws or len(self.rows())) // self._plan.batch_size)

    def epoch(self, epoch: int, lengths: np.ndarray | None) -> list[np.ndarray]:
        """Return the batches of an epoch, each with equally many items of each of its classes."""
        rows = self.rows()
        own = None if lengths is None else lengths[rows]
        drawn = self._balanced.draw(self.steps(), own, self._random.shuffle)
        return [self._rows.items.view(rows[positions], epoch) for positions in drawn]

    def forward(self, inputs: Inputs, rows_B: np.ndarray) -> StepOutput:
        """Return the loss of all pairs of a batch; there are no answers to count as right."""
        pooled_BD, _ = inputs.forward(self._model, rows_B)
        return StepOutput(pair_loss(pooled_BD, self._rows.labels_of(rows_B)))


OBJECTIVES.add(ObjectiveKind("contrastive", ContrastiveObjective))
