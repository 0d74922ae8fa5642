"""Loss and accuracy on some items, in evaluation mode."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from tl_core.label_task import label_task_of
from tl_core.plan import Phase
from tl_core.runs.control import RunControl
from tl_core.runs.events import RunEvent
from tl_core.training.inputs import Inputs, PooledInputs, batches
from tl_core.training.item_index import RunRows
from tl_core.training.model import TransferModel
from tl_core.training.optimisers import Freezer
from tl_core.training.run_state import Clock, MicroBatches, as_progress
from tl_core.types import WorkDone

Metrics = dict[str, float]


@dataclass(frozen=True)
class Evaluator:
    """Measures the model of a run; made of the parts of the run that this takes."""

    freezer: Freezer
    rows: RunRows
    micro_batches: MicroBatches
    control: RunControl
    clock: Clock

    def validate(self, phase: Phase, inputs: Inputs) -> Generator[RunEvent, None, Metrics]:
        """Return the metrics on the validation items, or nothing where they do not judge this phase."""
        rows = self.rows.validation_rows(phase)
        return (yield from self.measure(phase, inputs, rows)) if len(rows) else {}

    def measure(self, phase: Phase, inputs: Inputs, rows: np.ndarray) -> Generator[RunEvent, None, Metrics]:
        """Return the metrics on `rows`; afterwards the groups of the phase are in training mode."""
        self.freezer.training_mode(())
        try:
            work = evaluate(self.freezer.model, inputs, self.rows.labels, rows, self.micro_batches.size)
            # the event of the epoch follows at once, so the end of its evaluation needs none
            return (yield from as_progress(work, self.control, self.clock, tell_end=False))
        finally:
            self.freezer.training_mode(phase.lr)


@torch.no_grad()
def evaluate(
    model: TransferModel, inputs: Inputs, labels: torch.Tensor, rows: np.ndarray, batch_size: int
) -> Generator[WorkDone, None, Metrics]:
    """Yield the items done; return the mean "loss" and the "accuracy", the share of right answers, over `rows`.

    The model must be in evaluation mode; `labels` `[N]`, or targets `[N, K]`, are of all rows of the data set.
    """
    label_task = label_task_of(labels)
    loss = torch.zeros((), dtype=torch.float64, device=labels.device)
    hits = torch.zeros((), dtype=torch.int64, device=labels.device)
    done = 0
    for rows_B in batches(rows, 4096 if isinstance(inputs, PooledInputs) else batch_size, inputs.lengths):
        labels_B = labels[torch.from_numpy(rows_B)]
        logits_BK = inputs.logits(model, rows_B)
        loss += label_task.total(logits_BK, labels_B).double()
        hits += label_task.count_correct(logits_BK, labels_B)
        done += len(rows_B)
        yield "evaluation", done, len(rows)
    return {"loss": loss.item() / len(rows), "accuracy": hits.item() / len(rows) / label_task.answers_per_item(labels)}
