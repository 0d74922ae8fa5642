"""The labels: cross-entropy, with class weights, label smoothing and mixup where the plan asks for them."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tl_core.training.inputs import Inputs, Mix
from tl_core.training.objectives import Lesson, Objective

if TYPE_CHECKING:
    from tl_core.training.run import Run


def class_weights(kind: str, labels: torch.Tensor, n_classes: int) -> torch.Tensor | None:
    """Return the weight of each class `[K]`, None where all weigh the same.

    "balanced" is scikit-learn's: N / (K * n) for n of N labels, over the K classes that are there; absent ones get 0.
    """
    if kind == "none":
        return None
    counts = torch.bincount(labels, minlength=n_classes).float()
    present = counts > 0
    weights = torch.zeros_like(counts)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


LEAST = 0.01
"""The least alpha that mixup draws with: below, torch's draws underflow to a half, the opposite of little mixing."""


class Labels(Objective):
    """Mean cross-entropy of a batch; with class weights, the weighted sum over the batch's summed weights."""

    def __init__(self, run: "Run", index: int) -> None:
        super().__init__(run, index)
        known = run.labels[torch.from_numpy(self.rows())]
        self._weights = class_weights(run.plan.loss.class_weights, known, len(run.job.dataset.classes))

    def learn(self, inputs: Inputs, rows: np.ndarray) -> Lesson:
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
        return Lesson(loss, (logits.detach().argmax(dim=1) == truth).sum(), pooled, logits, truth, mix)

    def _loss(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        smoothing = self.run.plan.loss.label_smoothing
        return nn.functional.cross_entropy(logits, truth, weight=self._weights, label_smoothing=smoothing)
