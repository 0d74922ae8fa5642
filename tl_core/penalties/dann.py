"""DANN: a discriminator learns to tell the target from the labelled items; the backbone learns to deceive it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, PenaltyTerm, option
from tl_core.types import WorkDone

if TYPE_CHECKING:
    import torch
    from torch import nn

GANIN = "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, arXiv:1505.07818"


def reversal(position: float) -> float:
    """Return lambda_p = 2 / (1 + exp(-10 p)) - 1 for a position p in [0, 1]: from 0 to nearly 1 (Ganin et al.)."""
    return 2.0 / (1.0 + math.exp(-10.0 * position)) - 1.0


def reverse(x: "torch.Tensor", factor: float) -> "torch.Tensor":
    """Return x unchanged; on the way back its gradient is multiplied by -factor."""
    return x.detach() + factor * (x.detach() - x)


@dataclass(frozen=True)
class DANNOptions:
    """The options."""

    hidden: int = option(64, "Size of the discriminator", "Units of its hidden layer.", (4, 1024))


class DANN(PenaltyTerm):
    """Mean cross-entropy of a discriminator: the labelled batch against equally many items drawn from the target.

    The discriminator minimises it at the learning rate of a new layer. The backbone maximises it, with the gradient
    scaled by `reversal` of the position in the phase. The discriminator reads features that the head has standardised.
    """

    def __init__(self, options: DANNOptions) -> None:
        self._hidden = int(options.hidden)

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Build the discriminator; nothing is computed."""
        self.load({}, context)
        yield from ()

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Build the discriminator; its weights follow from the run's seed."""
        import torch
        from torch import nn

        assert context.target is not None
        self._target, self._seed = context.target, context.seed
        head: Any = context.model.head
        self._standardised = head.standardised
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            net = nn.Sequential(nn.Linear(context.width, self._hidden), nn.ReLU(), nn.Linear(self._hidden, 1))
        self._discriminator = net.to(context.device)

    def modules(self) -> "Sequence[nn.Module]":
        """Return the discriminator."""
        return (self._discriminator,)

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the discriminator's loss; its gradient is reversed below the features."""
        import torch

        drawn = batch.draw(self._target, len(batch.rows), self._seed)
        own_BD, target_BD = batch.features_with(self._target.rows[drawn])
        features = reverse(self._standardised(torch.cat((own_BD, target_BD))), reversal(batch.position))
        scores = self._discriminator(features)[:, 0]
        is_target = torch.cat((scores.new_zeros(len(own_BD)), scores.new_ones(len(target_BD))))
        return torch.nn.functional.binary_cross_entropy_with_logits(scores, is_target)


PENALTIES.add(
    PenaltyKind(
        name="dann",
        title="Deceive a domain classifier (DANN)",
        summary="A small network learns to tell the unlabelled target from the labelled items; the backbone "
        "learns to fool it.",
        when="As for MMD, but with more items and epochs: the domain classifier needs time to become good.",
        strength=1.0,
        options=DANNOptions,
        make=DANN,
        sources=(GANIN,),
        needs=("target",),
        protects_pretrained=False,
    ),
)
