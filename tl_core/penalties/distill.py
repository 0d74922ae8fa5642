"""Distillation: a small model learns from the whole answer of a larger one, not from the labels alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, option
from tl_core.penalties.recorded import Recorded, Scores

if TYPE_CHECKING:
    import torch

HINTON = "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531"


@dataclass(frozen=True)
class DistillOptions:
    """What can be chosen."""

    temperature: float = option(
        2.0, "Temperature", "Above 1, the teacher's second and third guesses count for more.", (1.0, 20.0)
    )


class Distill(Recorded):
    """T^2 * KL(p || q) with p = softmax(teacher / T), q = softmax(student / T); T^2 keeps the gradient's size."""

    stage = "answers of the teacher"

    def __init__(self, options: DistillOptions) -> None:
        self.temperature = options.temperature

    def recorder(self, ground: PenaltyContext) -> Scores:
        """Score as the teacher does."""
        assert ground.teacher is not None
        return ground.teacher

    def present(self, batch: Batch) -> "torch.Tensor":
        """Return the batch's own scores."""
        return batch.logits

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the divergence in the units of the labels' loss."""
        return self.temperature**2 * super().loss(batch)


PENALTIES.add(
    PenaltyKind(
        name="distill",
        title="Learn from a teacher (distillation)",
        summary="A finished run shows how likely it finds every class for each training item, and this model "
        "imitates that.",
        when="A small, quick model is wanted and a larger one of the same classes is trained already.",
        strength=2.0,
        options=DistillOptions,
        make=Distill,
        sources=(HINTON,),
        needs=("teacher",),
        protects_pretrained=False,
    ),
)
