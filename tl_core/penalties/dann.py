"""DANN: a discriminator learns to tell the target from the labelled items, the backbone learns to deceive it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, Stage, Term, option

if TYPE_CHECKING:
    import torch
    from torch import nn

GANIN = "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, arXiv:1505.07818"


def reversal(position: float) -> float:
    """Return lambda_p = 2 / (1 + exp(-10 p)) - 1 for a position p in [0, 1]: from 0 to nearly 1 (Ganin et al.)."""
    return 2.0 / (1.0 + math.exp(-10.0 * position)) - 1.0


def reverse(x: "torch.Tensor", factor: float) -> "torch.Tensor":
    """Return x with the gradient turned round: times -factor on the way back."""
    return x.detach() + factor * (x.detach() - x)


@dataclass(frozen=True)
class DANNOptions:
    """What can be chosen."""

    hidden: int = option(64, "Size of the discriminator", "Units of its hidden layer.", (4, 1024))


class DANN(Term):
    """Mean cross-entropy of a discriminator: labelled batch against as many items drawn from the target.

    The discriminator descends it at the rate of a new layer, the backbone ascends it, `reversal` times as much
    (p is the position in the phase). It reads features as the head's mean and spread standardise them.
    """

    def __init__(self, options: DANNOptions) -> None:
        self._hidden = int(options.hidden)

    def prepare(self, ground: PenaltyContext) -> Iterator[Stage]:
        """Build the discriminator; nothing is computed."""
        self.load({}, ground)
        yield from ()

    def load(self, state: "Mapping[str, torch.Tensor]", ground: PenaltyContext) -> None:
        """Build the discriminator; its weights follow from the run's seed."""
        import torch
        from torch import nn

        assert ground.target is not None
        self._target, self._seed = ground.target, ground.seed
        head: Any = ground.model.head
        self._standardised = head.standardised
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(ground.seed)
            net = nn.Sequential(nn.Linear(ground.width, self._hidden), nn.ReLU(), nn.Linear(self._hidden, 1))
        self._discriminator = net.to(ground.device)

    def modules(self) -> "Sequence[nn.Module]":
        """Return the discriminator."""
        return (self._discriminator,)

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the discriminator's loss; its gradient is turned round below the features."""
        import torch

        drawn = batch.drawn(self._target, len(batch.rows), self._seed)
        own, other = batch.beside(self._target.rows[drawn])
        features = reverse(self._standardised(torch.cat((own, other))), reversal(batch.position))
        scores = self._discriminator(features)[:, 0]
        from_target = torch.cat((scores.new_zeros(len(own)), scores.new_ones(len(other))))
        return torch.nn.functional.binary_cross_entropy_with_logits(scores, from_target)


PENALTIES.add(
    PenaltyKind(
        name="dann",
        title="Deceive a domain classifier (DANN)",
        summary="A small network tries to tell the unlabelled target from the labelled items; the backbone "
        "learns to foil it.",
        when="As for MMD, with more items and epochs: an adversary needs time to become one.",
        strength=1.0,
        options=DANNOptions,
        make=DANN,
        sources=(GANIN,),
        needs=("target",),
        protects_pretrained=False,
    ),
)
