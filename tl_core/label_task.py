"""The two label tasks: one label for each item (softmax), or yes or no to each of several labels (sigmoid).

The shape of the truth tells which: labels `[N]` (int64), or targets `[N, K]` (0 or 1, floating point).
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import nn

Score = tuple[float, float]
"""Of two sets of weights, the one with the larger score is better."""


class LabelTask(Protocol):
    """What class scores `[B, K]` mean, and their loss against labels `[B]` or targets `[B, K]`."""

    multilabel: bool
    """Whether an item may have several labels, or none."""

    def answers_per_item(self, truth: torch.Tensor) -> int:
        """Return how many answers an item asks for."""
        ...

    def weights(self, kind: str, truth: torch.Tensor, n_classes: int) -> torch.Tensor | None:
        """Return the class weights by the plan's `class_weights`; None where all classes weigh the same."""
        ...

    def loss(
        self, scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None, smoothing: float = 0.0
    ) -> torch.Tensor:
        """Return the mean loss of a batch."""
        ...

    def total(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the loss summed over the items, without weights or smoothing."""
        ...

    def objective(self, scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss that a solved head minimises, without its L2 penalty."""
        ...

    def count_correct(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return how many answers are right, an int64 scalar."""
        ...

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Return probabilities `[B, K]`."""
        ...

    def log_outcomes(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the log-probability of every outcome: `[B, K]`, or of yes and of no to each label `[B, 2 K]`."""
        ...

    def score(self, metrics: Mapping[str, float]) -> Score:
        """Return the score that the best weights are chosen by, from "loss" and "accuracy" on the validation items."""
        ...

    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return that score in words."""
        ...


def balanced(labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return scikit-learn's "balanced" weight of each class `[K]`.

    N / (K * n) for a class with n of N labels, over the K classes that occur; the others get 0.
    """
    counts = torch.bincount(labels, minlength=n_classes).float()
    present = counts > 0
    weights = torch.zeros_like(counts)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


class SingleLabel:
    """Softmax and cross-entropy. Weighted, it is the weighted sum over the batch's summed weights."""

    multilabel = False

    def answers_per_item(self, truth: torch.Tensor) -> int:
        """Return 1."""
        return 1

    def weights(self, kind: str, truth: torch.Tensor, n_classes: int) -> torch.Tensor | None:
        """Return the weight of each class `[K]`."""
        return None if kind == "none" else balanced(truth, n_classes)

    def loss(
        self, scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None, smoothing: float = 0.0
    ) -> torch.Tensor:
        """Return the mean cross-entropy; smoothed, a share `smoothing` of each label is spread over all classes.

        Weighted, it is the mean of the items' losses, each item with the weight of its own label. torch's own
        combination of the two weighs the smoothed part by class and thereby favours rare classes
        (findings/cross_entropy_weight_and_smoothing.sh).
        """
        if weights is None or smoothing == 0.0:
            return nn.functional.cross_entropy(scores, truth, weight=weights, label_smoothing=smoothing)
        losses_B = nn.functional.cross_entropy(scores, truth, label_smoothing=smoothing, reduction="none")
        weights_B = weights[truth]
        return (losses_B * weights_B).sum() / weights_B.sum()

    def total(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the summed cross-entropy."""
        return nn.functional.cross_entropy(scores, truth, reduction="sum")

    def objective(self, scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean cross-entropy."""
        return nn.functional.cross_entropy(scores, truth, weights)

    def count_correct(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return how many items have the highest score at their label."""
        return (scores.argmax(dim=1) == truth).sum()

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Return probabilities that sum to 1."""
        return torch.softmax(scores, dim=1)

    def log_outcomes(self, scores: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities `[B, K]`."""
        return scores.log_softmax(dim=1)

    def score(self, metrics: Mapping[str, float]) -> Score:
        """Return accuracy first, then the lower loss."""
        return metrics["accuracy"], -metrics["loss"]

    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return the accuracy."""
        return f"accuracy {metrics['accuracy']:.3f}"


class MultiLabel:
    """A sigmoid and binary cross-entropy for each label, averaged over the labels.

    With class weights, each label's yes and no weigh N / (2 n) for n of N items: scikit-learn's "balanced" for that
    label alone. Their ratio is the `pos_weight` of torch.nn.BCEWithLogitsLoss, negatives over positives. Smoothed by s,
    a yes counts as 1 - s / 2 and a no as s / 2 (Szegedy et al. 2016, arXiv:1512.00567, section 7, for two outcomes).
    """

    multilabel = True

    def answers_per_item(self, truth: torch.Tensor) -> int:
        """Return the number of labels."""
        return truth.shape[1]

    def weights(self, kind: str, truth: torch.Tensor, n_classes: int) -> torch.Tensor | None:
        """Return the weights of no and yes for each label `[2, K]`."""
        if kind == "none":
            return None
        return torch.stack([balanced(label.long(), 2) for label in truth.T], dim=1)

    def loss(
        self, scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None, smoothing: float = 0.0
    ) -> torch.Tensor:
        """Return the mean binary cross-entropy over items and labels."""
        return self._elementwise(scores, truth, weights, smoothing).mean()

    def total(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the binary cross-entropy, averaged over the labels, summed over the items."""
        return self._elementwise(scores, truth).mean(dim=1).sum()

    def objective(self, scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean over items, summed over labels: one logistic regression for each label, solved together."""
        return self._elementwise(scores, truth, weights).mean(dim=0).sum()

    def count_correct(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return how many of the yes and no answers are right; a probability above one half is a yes."""
        return ((scores > 0) == (truth > 0.5)).sum()

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the probability of each label, independent of the others."""
        return torch.sigmoid(scores)

    def log_outcomes(self, scores: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of yes and of no `[B, 2 K]`."""
        return torch.cat([nn.functional.logsigmoid(scores), nn.functional.logsigmoid(-scores)], dim=1)

    def score(self, metrics: Mapping[str, float]) -> Score:
        """Return the lower loss first: where labels are rare, the share of right answers hardly changes."""
        return -metrics["loss"], metrics["accuracy"]

    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return the loss."""
        return f"loss {metrics['loss']:.3f}"

    @staticmethod
    def _elementwise(
        scores: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None, smoothing: float = 0.0
    ) -> torch.Tensor:
        truth = truth.to(scores.dtype)
        weight = None if weights is None else torch.where(truth > 0.5, weights[1], weights[0]).to(scores.dtype)
        smoothed = truth * (1 - smoothing) + smoothing / 2
        return nn.functional.binary_cross_entropy_with_logits(scores, smoothed, weight, reduction="none")


SINGLE: LabelTask = SingleLabel()
MULTI: LabelTask = MultiLabel()


def label_task_of(truth: torch.Tensor) -> LabelTask:
    """Return the label task of labels `[N]` or of targets `[N, K]`."""
    return MULTI if truth.dim() == 2 else SINGLE


def label_task(multilabel: bool) -> LabelTask:
    """Return the label task of items that may have several labels, or of items that have one each."""
    return MULTI if multilabel else SINGLE
