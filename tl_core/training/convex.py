"""The linear head over frozen features: a convex problem, solved exactly."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from tl_core.advice.linear import l2_strength
from tl_core.label_task import label_task_of
from tl_core.training.model import HeadLayers
from tl_core.training.optimisers import one_thread

ITERATIONS = 20
"""L-BFGS iterations that make up one epoch of the phase."""
SMALL = 5e7
"""Multiplications of a forward pass below which a second thread costs more time than it saves."""
TOLERANCE = 1e-6
"""Largest entry of the gradient of the mean loss at which the solution counts as found; scikit-learn stops at 1e-4."""


@dataclass(frozen=True)
class Solvable:
    """Raw features `[N, D]`, labels `[N]` or targets `[N, K]`, and class weights (None: all equal)."""

    features: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None = None


class Solver:
    """Minimises mean cross-entropy + l2 / 2 * ||W||^2 over a linear head, biases unpenalised, in double precision.

    Class weights make it the weighted mean. This is scikit-learn's LogisticRegression(C=1 / (l2 * N)) on
    standardised features. Where items may have several labels, it is one such regression for each label, yes against
    no (scikit-learn's OneVsRestClassifier), all solved at once. The probe solves the same problem in numpy, and
    tl_core.advice.linear says why there are two solvers.

    Full-batch L-BFGS with strong Wolfe line search: Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116.
    """

    def __init__(self, head: HeadLayers, data: Solvable, l2: float, fresh: bool) -> None:
        """Take the data; a `fresh` head starts from zero instead of from its weights."""
        self._out = head.out
        self._features = (data.features.double() - head.mean) / head.std
        self._labels, self._label_task = data.labels, label_task_of(data.labels)
        self._weights = None if data.weights is None else data.weights.double()
        start = torch.zeros_like if fresh else torch.clone
        self._weight = start(head.out.weight.detach().double()).requires_grad_()
        self._bias = start(head.out.bias.detach().double()).requires_grad_()
        self._l2 = l2_strength(l2, head.out.out_features, self._label_task.multilabel)
        self._optimiser = torch.optim.LBFGS(
            [self._weight, self._bias],
            max_iter=ITERATIONS,
            max_eval=ITERATIONS * 5 // 2,
            history_size=20,
            tolerance_grad=TOLERANCE,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )

    def iterate(self) -> tuple[float, bool]:
        """Iterate up to ITERATIONS times and write the head's weights; return the objective and if it is solved."""
        before = self._closure().item()
        with one_thread() if self._features.numel() * len(self._bias) < SMALL else nullcontext():
            self._optimiser.step(self._closure)
        after = self._closure().item()
        with torch.no_grad():
            self._out.weight.copy_(self._weight)
            self._out.bias.copy_(self._bias)
        steepest = max(float(p.grad.abs().max()) for p in (self._weight, self._bias) if p.grad is not None)
        return after, steepest <= TOLERANCE or abs(before - after) <= 1e-12

    def _closure(self) -> torch.Tensor:
        self._optimiser.zero_grad()
        scores = nn.functional.linear(self._features, self._weight, self._bias)
        loss = self._label_task.objective(scores, self._labels, self._weights)
        loss = loss + self._l2 / 2 * self._weight.square().sum()
        loss.backward()
        return loss
