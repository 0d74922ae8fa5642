"""Learning without Forgetting: the predictions of the original head stay as they were."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, option
from tl_core.penalties.recorded import RecordedPenalty, Scores

if TYPE_CHECKING:
    import torch

LI = "Li & Hoiem 2017, Learning without Forgetting, arXiv:1606.09282"


@dataclass(frozen=True)
class LwFOptions:
    """The options."""

    temperature: float = option(
        2.0, "Temperature", "Above 1, the classes that the original model found unlikely count for more.", (1.0, 10.0)
    )


class LwF(RecordedPenalty):
    """KL(p || q) with p, q = softmax(s / T) of the original head, p on the first features and q on the present ones.

    The paper's distillation loss (its equations 2 to 4, T = 2) minus the constant entropy of p, without a factor T^2.
    The paper also trains the original head; here it is frozen, so that the original network's predictions are kept.
    """

    stage = "predictions of the original head"
    original_classes = True

    def __init__(self, options: LwFOptions) -> None:
        self.temperature = options.temperature

    def bind(self, context: PenaltyContext) -> None:
        """Take the original head."""
        assert context.original_head is not None
        self._head: Callable[[torch.Tensor], torch.Tensor] = context.original_head

    def scores_to_record(self, context: PenaltyContext) -> Scores:
        """Return the scores of the original head on the features before training."""
        return lambda rows: self._head(context.features(rows))

    def current_scores(self, batch: Batch) -> "torch.Tensor":
        """Return the scores of the original head on the present features."""
        return self._head(batch.pooled)


PENALTIES.add(
    PenaltyKind(
        name="lwf",
        title="Learning without Forgetting (LwF)",
        summary="On the new items, the backbone's original head must keep the predictions that it made at the start.",
        when="When the model should still know its original classes and you have no source items.",
        strength=1.0,
        options=LwFOptions,
        make=LwF,
        sources=(LI,),
        needs=("original_head",),
    ),
)
