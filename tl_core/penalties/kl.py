"""KL to the original model: predictions are kept near those from before fine-tuning."""

from typing import TYPE_CHECKING, Any

from tl_core.penalties import PENALTIES, Batch, NoOptions, PenaltyContext, PenaltyKind
from tl_core.penalties.recorded import RecordedPenalty, Scores

if TYPE_CHECKING:
    import numpy as np
    import torch

YU = (
    "Yu, Yao, Su, Li & Seide 2013, KL-Divergence Regularized Deep Neural Network Adaptation, "
    "https://doi.org/10.1109/ICASSP.2013.6639201"
)


class KLToOriginal(RecordedPenalty):
    """KL(p || q) over the run's own classes: p of the model before the backbone first learned, q of the present model.

    Yu et al. weigh the labels by 1 - rho and this term by rho; a strength s corresponds to rho = s / (1 + s).
    """

    stage = "predictions of the original model"

    def __init__(self, options: NoOptions) -> None:
        """Take no options."""

    def scores_to_record(self, context: PenaltyContext) -> Scores:
        """Return the scores of the model's head, or of a solved one where the head is untrained."""
        import torch

        head: Any = context.model.head
        if not context.head_trained:
            context.note(
                "kl-head",
                "The head has not learned anything yet, so the KL penalty preserves the predictions of a linear head "
                "that was solved on the training items.",
            )
            train = context.train.labelled()
            with torch.no_grad():
                features = torch.cat([context.features(rows) for rows in context.batches(train.rows)])
            head = context.make_head(len(train.classes), (features, train.labels))

        def scores(rows: "np.ndarray") -> torch.Tensor:
            return head(context.features(rows))

        return scores

    def current_scores(self, batch: Batch) -> "torch.Tensor":
        """Return the scores of the batch."""
        return batch.logits


PENALTIES.add(
    PenaltyKind(
        name="kl",
        title="Stay near the first predictions (KL)",
        summary="The predictions on the training items are pulled back to those of the solved head on the "
        "pretrained features.",
        when="With few or noisy labels, when the solved head does well and fine-tuning should only refine it.",
        strength=1.0,
        options=NoOptions,
        make=KLToOriginal,
        sources=(YU,),
    ),
)
