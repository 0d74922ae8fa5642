"""KL to the original model: predictions may only move away from the first ones where the labels pay for it."""

from typing import TYPE_CHECKING, Any

from tl_core.penalties import PENALTIES, Batch, NoOptions, PenaltyContext, PenaltyKind
from tl_core.penalties.recorded import Recorded, Scores

if TYPE_CHECKING:
    import numpy as np
    import torch

YU = (
    "Yu, Yao, Su, Li & Seide 2013, KL-Divergence Regularized Deep Neural Network Adaptation, "
    "https://doi.org/10.1109/ICASSP.2013.6639201"
)


class KLToOriginal(Recorded):
    """KL(p || q) over the run's own classes: p the model as the first phase that moves the backbone found it, q now.

    Yu et al. weigh the labels with 1 - rho and this term with rho; strength s is rho = s / (1 + s).
    """

    stage = "predictions of the original model"

    def __init__(self, options: NoOptions) -> None:
        """Nothing can be chosen."""

    def recorder(self, ground: PenaltyContext) -> Scores:
        """Score with the model's head, or with a solved one where that head has not learned anything."""
        import torch

        head: Any = ground.model.head
        if not ground.solved:
            ground.told(
                "kl-head",
                "The head has not learned anything yet, so the predictions that the KL penalty holds on to are those "
                "of a linear head that was solved on the training items.",
            )
            known = ground.train.labelled()
            with torch.no_grad():
                found = torch.cat([ground.features(some) for some in ground.cut(known.rows)])
            head = ground.linear(len(known.classes), (found, known.labels))

        def scores(rows: "np.ndarray") -> torch.Tensor:
            return head(ground.features(rows))

        return scores

    def present(self, batch: Batch) -> "torch.Tensor":
        """Return the batch's own scores."""
        return batch.logits


PENALTIES.add(
    PenaltyKind(
        name="kl",
        title="Stay near the first predictions (KL)",
        summary="The predictions on the training items are pulled back to those of the solved head on the "
        "pretrained features.",
        when="Few or noisy labels, when the solved head does well and fine-tuning should only refine it.",
        strength=1.0,
        options=NoOptions,
        make=KLToOriginal,
        sources=(YU,),
    ),
)
