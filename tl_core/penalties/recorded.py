"""What the penalties share that hold present predictions to recorded ones."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from tl_core.penalties import Batch, PenaltyContext, Stage, Term

if TYPE_CHECKING:
    import numpy as np
    import torch

Scores = Callable[["np.ndarray"], "torch.Tensor"]


class Recorded(Term):
    """KL(p || q) per item, averaged over the batch: p was recorded for every training item, q is the present model's.

    Both are softmax(scores / temperature); where items may have several labels and the scores are of those, a
    sigmoid(scores / temperature) for each label, and the divergence is averaged over the labels. With the
    cross-entropy -sum p log q it differs by the entropy of p, which does not depend on the weights: the gradients are
    the same, and this one is 0 where nothing has changed. Where a batch is mixed, the recorded distributions are mixed
    in the same shares.
    """

    temperature = 1.0
    stage = "recorded outputs"
    original = False
    """Whether the scores are of the classes that the backbone was trained on, not of the run's own."""

    def recorder(self, ground: PenaltyContext) -> Scores:
        """Return what scores rows `[B]` as they are to be recorded: `[B, K]`."""
        raise NotImplementedError

    def present(self, batch: Batch) -> "torch.Tensor":
        """Return the present scores `[B, K]`, with a gradient."""
        raise NotImplementedError

    def bind(self, ground: PenaltyContext) -> None:
        """Take from the ground what `present` needs."""

    def _answer(self, ground: PenaltyContext) -> None:
        from tl_core.label_task import SINGLE, label_task_of

        self._label_task = SINGLE if self.original else label_task_of(ground.train.labels)

    def prepare(self, ground: PenaltyContext) -> Iterator[Stage]:
        """Record the training items once; yields progress."""
        import torch

        self.bind(ground)
        self._answer(ground)
        score, rows = self.recorder(ground), ground.train.rows
        parts: list[torch.Tensor] = []
        done = 0
        for some in ground.cut(rows):
            with torch.no_grad():
                parts.append(self._label_task.log_outcomes(score(some) / self.temperature))
            done += len(some)
            yield self.stage, done, len(rows)
        self._keep(torch.from_numpy(rows), torch.cat(parts))

    def state(self) -> "dict[str, torch.Tensor]":
        """Return the rows `[N]` and their recorded log-probabilities `[N, K]`."""
        return {"rows": self._rows, "log_p": self._log_p}

    def load(self, state: "Mapping[str, torch.Tensor]", ground: PenaltyContext) -> None:
        """Take the recorded log-probabilities back."""
        self.bind(ground)
        self._answer(ground)
        self._keep(state["rows"], state["log_p"].to(ground.device))

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the divergence."""
        import torch

        log_p = self._log_p[[self._place[int(row)] for row in batch.rows]]
        scores = self.present(batch)
        log_q = self._label_task.log_outcomes(scores / self.temperature)
        if batch.mix is not None:
            apart = torch.nn.functional.kl_div(log_q, batch.mix(log_p.exp()), reduction="batchmean")
        else:
            apart = torch.nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
        return apart / self._label_task.answers_per_item(scores)

    def _keep(self, rows: "torch.Tensor", log_p: "torch.Tensor") -> None:
        self._rows, self._log_p = rows.cpu(), log_p
        self._place = {row: place for place, row in enumerate(rows.tolist())}
