"""The base of penalties that keep present predictions near recorded ones."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from tl_core.penalties import Batch, PenaltyContext, PenaltyTerm
from tl_core.types import WorkDone

if TYPE_CHECKING:
    import numpy as np
    import torch

Scores = Callable[["np.ndarray"], "torch.Tensor"]


class RecordedPenalty(PenaltyTerm):
    """KL(p || q), averaged over the batch: p was recorded for every training item, q is predicted by the present model.

    Both are softmax(scores / temperature). For scores of several labels an item, both are sigmoid(scores / temperature)
    for each label, and the divergence is averaged over the labels. It is the cross-entropy -sum p log q minus the
    entropy of p, which does not depend on the weights: the gradients are the same, and the divergence is 0 where
    nothing has changed. Where mixup mixes a batch, the recorded distributions are mixed in the same shares.
    """

    temperature = 1.0
    stage = "recorded predictions"
    original_classes = False
    """Whether the scores are of the classes that the backbone was trained on, not of the run's own."""

    def scores_to_record(self, context: PenaltyContext) -> Scores:
        """Return the function that maps rows `[B]` to the scores `[B, K]` to record."""
        raise NotImplementedError

    def current_scores(self, batch: Batch) -> "torch.Tensor":
        """Return the present scores `[B, K]`, with a gradient."""
        raise NotImplementedError

    def bind(self, context: PenaltyContext) -> None:
        """Take from the context what `current_scores` needs."""

    def _choose_label_task(self, context: PenaltyContext) -> None:
        from tl_core.label_task import SINGLE, label_task_of

        self._label_task = SINGLE if self.original_classes else label_task_of(context.train.labels)

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Record the predictions for the training items once; yield progress."""
        import torch

        self.bind(context)
        self._choose_label_task(context)
        scores, rows = self.scores_to_record(context), context.train.rows
        recorded: list[torch.Tensor] = []
        done = 0
        for rows_B in context.batches(rows):
            with torch.no_grad():
                recorded.append(self._label_task.log_outcomes(scores(rows_B) / self.temperature))
            done += len(rows_B)
            yield self.stage, done, len(rows)
        self._keep(torch.from_numpy(rows), torch.cat(recorded))

    def state(self) -> "dict[str, torch.Tensor]":
        """Return the rows `[N]` and their recorded log-probabilities `[N, K]`."""
        return {"rows": self._rows, "log_p": self._log_p}

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Take the recorded log-probabilities back."""
        self.bind(context)
        self._choose_label_task(context)
        self._keep(state["rows"], state["log_p"].to(context.device))

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the divergence."""
        import torch

        log_p = self._log_p[[self._place[int(row)] for row in batch.rows]]
        scores = self.current_scores(batch)
        log_q = self._label_task.log_outcomes(scores / self.temperature)
        if batch.mix is not None:
            divergence = torch.nn.functional.kl_div(log_q, batch.mix(log_p.exp()), reduction="batchmean")
        else:
            divergence = torch.nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
        return divergence / self._label_task.answers_per_item(scores)

    def _keep(self, rows: "torch.Tensor", log_p: "torch.Tensor") -> None:
        self._rows, self._log_p = rows.cpu(), log_p
        self._place = {row: place for place, row in enumerate(rows.tolist())}
