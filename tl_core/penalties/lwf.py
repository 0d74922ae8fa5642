"""Learning without Forgetting: the original head goes on seeing in the features what it saw before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, option
from tl_core.penalties.recorded import Recorded, Scores

if TYPE_CHECKING:
    import torch

LI = "Li & Hoiem 2017, Learning without Forgetting, arXiv:1606.09282"


@dataclass(frozen=True)
class LwFOptions:
    """What can be chosen."""

    temperature: float = option(
        2.0, "Temperature", "Above 1, the classes that the original model thought unlikely count for more.", (1.0, 10.0)
    )


class LwF(Recorded):
    """KL(p || q) with p, q = softmax(s / T) of the original head, p on the first features and q on the present ones.

    The paper's distillation loss (its equations 2 to 4, T = 2) less the constant entropy of p, without a factor T^2.
    There the original head learns along; here it stays, so that what is kept is the answer of the original network.
    """

    stage = "answers of the original head"
    original = True

    def __init__(self, options: LwFOptions) -> None:
        self.temperature = options.temperature

    def bind(self, ground: PenaltyContext) -> None:
        """Take the original head."""
        assert ground.original_head is not None
        self._head: Callable[[torch.Tensor], torch.Tensor] = ground.original_head

    def recorder(self, ground: PenaltyContext) -> Scores:
        """Score with the original head on the features as they are."""
        return lambda rows: self._head(ground.features(rows))

    def present(self, batch: Batch) -> "torch.Tensor":
        """Score with the original head on the present features."""
        return self._head(batch.pooled)


PENALTIES.add(
    PenaltyKind(
        name="lwf",
        title="Learning without Forgetting",
        summary="On the new items, the backbone's original head must go on giving the answers that it gave at "
        "the start.",
        when="When the model should still know its original classes and no source items are at hand.",
        strength=1.0,
        options=LwFOptions,
        make=LwF,
        sources=(LI,),
        needs=("original_head",),
    ),
)
