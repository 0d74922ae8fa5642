"""The labels: their loss, with class weights, label smoothing and mixup where the plan asks for them."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from tl_core.training.inputs import Inputs, Mix
from tl_core.training.objectives import Objective, StepOutput

if TYPE_CHECKING:
    from tl_core.training.run import Run


LEAST = 0.01
"""The least alpha that mixup draws with: below, torch's draws underflow to a half, the opposite of little mixing."""


class Labels(Objective):
    """Mean loss of a batch, as tl_core.label_task has it for one label an item, or several."""

    def __init__(self, run: "Run", index: int) -> None:
        super().__init__(run, index)
        known = run.labels[torch.from_numpy(self.rows())]
        self._weights = run.label_task.weights(run.plan.loss.class_weights, known, len(run.job.dataset.classes))

    def learn(self, inputs: Inputs, rows: np.ndarray) -> StepOutput:
        """Return the loss and the hits of a batch; mixed labels count by their larger part."""
        plan, truth = self.run.plan.loss, self.run.labels[torch.from_numpy(rows % self.run.space.whole)]
        mix = None
        if plan.mixup > 0 and len(rows) > 1:
            alpha = max(plan.mixup, LEAST)
            share = float(torch.distributions.Beta(alpha, alpha).sample())
            mix = Mix(torch.randperm(len(rows), device=truth.device), max(share, 1.0 - share))
        pooled, logits = inputs.learn(self.run.model, rows, mix)
        loss = self._loss(logits, truth)
        if mix is not None:
            loss = mix.share * loss + (1.0 - mix.share) * self._loss(logits, truth[mix.order])
        return StepOutput(loss, self.run.label_task.count_correct(logits.detach(), truth), pooled, logits, truth, mix)

    def _loss(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        smoothing = self.run.plan.loss.label_smoothing
        return self.run.label_task.loss(logits, truth, self._weights, smoothing)
