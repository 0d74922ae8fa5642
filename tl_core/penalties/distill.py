"""Distillation: a small model learns from all class probabilities of a larger one, not from the labels alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, option
from tl_core.penalties.recorded import RecordedPenalty, Scores

if TYPE_CHECKING:
    import torch

HINTON = "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531"


@dataclass(frozen=True)
class DistillOptions:
    """The options."""

    temperature: float = option(
        2.0, "Temperature", "Above 1, the teacher's second and third guesses count for more.", (1.0, 20.0)
    )


class Distill(RecordedPenalty):
    """T^2 * KL(p || q) with p = softmax(teacher / T), q = softmax(student / T); T^2 keeps the size of the gradient."""

    stage = "predictions of the teacher"

    def __init__(self, options: DistillOptions) -> None:
        self.temperature = options.temperature

    def scores_to_record(self, context: PenaltyContext) -> Scores:
        """Return the teacher's scores."""
        assert context.teacher is not None
        return context.teacher

    def current_scores(self, batch: Batch) -> "torch.Tensor":
        """Return the scores of the batch."""
        return batch.logits

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the divergence, scaled to the loss of the labels."""
        return self.temperature**2 * super().loss(batch)


PENALTIES.add(
    PenaltyKind(
        name="distill",
        title="Learn from a teacher (distillation)",
        summary="A finished run predicts the probability of every class for each training item; this model "
        "learns to match it.",
        when="When you want a small, fast model and have already trained a larger one on the same classes.",
        strength=2.0,
        options=DistillOptions,
        make=Distill,
        sources=(HINTON,),
        needs=("teacher",),
        protects_pretrained=False,
    ),
)
