"""Contrastive tuning: items of one label move together and others apart, before any head sees them."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tl_core.training.inputs import Inputs
from tl_core.training.objectives import Objective, StepOutput

if TYPE_CHECKING:
    from tl_core.training.run import Run


def pair_loss(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return how far the cosines of all pairs of a batch are from 1 for one label and 0 for two.

    Features `[B, D]`, labels `[B]`. With c the cosine of a pair, half the mean of (1 - c)^2 over the pairs of one
    label plus half the mean of c^2 over the others: the cosine-similarity loss that SetFit takes (Tunstall et al.
    2022, arXiv:2209.11055), with as much weight on either kind, which SetFit gets by drawing as many of each. Where
    only one kind is there, its mean alone; 0 where there is no pair.
    """
    unit = nn.functional.normalize(features, dim=1)
    cosines = unit @ unit.T
    pairs = torch.ones_like(cosines, dtype=torch.bool).triu(1)
    alike = labels[:, None] == labels[None, :]
    near, far = pairs & alike, pairs & ~alike
    # sums over masks, not picked entries: a picked count would have to be waited for on a graphics card
    kinds = [
        ((1 - cosines).square() * near).sum() / near.sum().clamp_min(1),
        (cosines.square() * far).sum() / far.sum().clamp_min(1),
    ]
    there = near.any().float() + far.any().float()
    return (kinds[0] + kinds[1]) / there.clamp_min(1)


class Balanced:
    """Batches with the same number of items of each class; nothing grows with the number of pairs."""

    def __init__(self, labels: np.ndarray, size: int) -> None:
        """Take the labels `[N]` of the items to draw from, and the most items of a batch (4 at least)."""
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.each = max(2, size // len(self._members))
        """Items of a class in a batch; a class with fewer gives all that it has."""
        self.classes = min(len(self._members), max(2, size // self.each))
        """Classes in a batch."""

    def draw(self, count: int, lengths: np.ndarray | None, shuffle: torch.Generator) -> list[np.ndarray]:
        """Return `count` batches of places in 0..N-1, none twice in a batch, texts beside texts of like length.

        Each class is gone through in random order again and again, so that its items come equally often.
        """
        decks: list[list[np.ndarray]] = [[] for _ in self._members]
        order: list[int] = []
        drawn = []
        for _ in range(count):
            while len(order) < self.classes:
                again = torch.randperm(len(decks), generator=shuffle).tolist()
                order += [one for one in again if one not in order] + [one for one in again if one in order]
            chosen, order = order[: self.classes], order[self.classes :]
            for one in chosen:
                decks[one] = decks[one] or self._deck(self._members[one], lengths, shuffle)
            blocks = [decks[one].pop() for one in chosen]
            # one of each class in turn, so that a piece of the batch is as balanced as the whole
            places = np.concatenate([np.arange(len(block)) for block in blocks])
            drawn.append(np.concatenate(blocks)[np.argsort(places, kind="stable")])
        return [drawn[i] for i in torch.randperm(count, generator=shuffle).tolist()]

    def _deck(self, members: np.ndarray, lengths: np.ndarray | None, shuffle: torch.Generator) -> list[np.ndarray]:
        """Return one pass over the items of a class in blocks, the few that fill none left out this time."""
        shuffled = members[torch.randperm(len(members), generator=shuffle).numpy()]
        whole = max(1, len(members) // self.each)
        shuffled = shuffled[: whole * self.each]
        if lengths is not None:
            shuffled = shuffled[np.argsort(lengths[shuffled], kind="stable")]
        return np.array_split(shuffled, whole)


class Contrastive(Objective):
    """The pairs within balanced batches; an epoch draws `Phase.draws` items, or as many as there are."""

    judged = False
    drops_attention = True

    def __init__(self, run: "Run", index: int) -> None:
        super().__init__(run, index)
        self._balanced = Balanced(run.labels[torch.from_numpy(self.rows())].cpu().numpy(), run.plan.batch_size)

    def steps(self) -> int:
        """Return how many batches an epoch draws."""
        return -(-(self.phase.draws or len(self.rows())) // self.run.plan.batch_size)

    def epoch(self, epoch: int, lengths: np.ndarray | None) -> list[np.ndarray]:
        """Return the batches of an epoch, every one with as many items of each of its classes."""
        rows = self.rows()
        own = None if lengths is None else lengths[rows]
        drawn = self._balanced.draw(self.steps(), own, self.run.shuffle)
        return [self.run.space.view(rows[batch], epoch) for batch in drawn]

    def learn(self, inputs: Inputs, rows: np.ndarray) -> StepOutput:
        """Return the loss of all pairs of a batch; there is nothing to be right about."""
        pooled, _ = inputs.learn(self.run.model, rows)
        return StepOutput(pair_loss(pooled, self.run.labels[torch.from_numpy(rows % self.run.space.whole)]))
