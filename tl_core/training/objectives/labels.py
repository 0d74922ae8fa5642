"""The labels: their loss, with class weights, label smoothing and mixup where the plan asks for them.

B items, D pooled features, K classes.
"""

import numpy as np
import torch

from tl_core.plan import Phase, TransferPlan
from tl_core.training.inputs import Inputs, Mix
from tl_core.training.item_index import RunRows
from tl_core.training.model import TransferModel
from tl_core.training.objectives import OBJECTIVES, Objective, ObjectiveKind, StepOutput
from tl_core.training.run_state import RandomState

MIN_ALPHA = 0.01
"""The smallest alpha that mixup draws with. Below it torch's draws underflow to one half: strong mixing, not weak."""


class LabelObjective(Objective):
    """Mean loss of a batch, by tl_core.label_task: one label an item, or several."""

    def __init__(
        self, phase: Phase, plan: TransferPlan, rows: RunRows, model: TransferModel, random: RandomState
    ) -> None:
        super().__init__(phase, plan, rows, model, random)
        self._weights = rows.class_weights(plan.loss.class_weights, self.rows())

    def forward(self, inputs: Inputs, rows_B: np.ndarray) -> StepOutput:
        """Return the loss and the hits of a batch; a mixed item is a hit by the larger of its two labels."""
        labels_B = self._rows.labels_of(rows_B)
        mix = self._draw_mix(labels_B)
        pooled_BD, logits_BK = inputs.forward(self._model, rows_B, mix)
        loss = self._loss(logits_BK, labels_B)
        if mix is not None:
            loss = mix.share * loss + (1.0 - mix.share) * self._loss(logits_BK, labels_B[mix.order])
        hits = self._rows.label_task.count_correct(logits_BK.detach(), labels_B)
        return StepOutput(loss, hits, pooled_BD, logits_BK, labels_B, mix)

    def _draw_mix(self, labels_B: torch.Tensor) -> Mix | None:
        """Draw which items are mixed and how much; None where the plan mixes nothing, or there is one item only."""
        alpha = self._plan.loss.mixup
        if alpha <= 0 or len(labels_B) < 2:
            return None
        alpha = max(alpha, MIN_ALPHA)
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        return Mix(torch.randperm(len(labels_B), device=labels_B.device), max(share, 1.0 - share))

    def _loss(self, logits_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        smoothing = self._plan.loss.label_smoothing
        return self._rows.label_task.loss(logits_BK, labels_B, self._weights, smoothing)


OBJECTIVES.add(ObjectiveKind("labels", LabelObjective))
