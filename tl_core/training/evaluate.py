"""Loss and accuracy on some items, in evaluation mode."""

from collections.abc import Generator

import numpy as np
import torch

from tl_core.label_task import label_task_of
from tl_core.plan import Phase
from tl_core.runs.events import Progress, RunEvent
from tl_core.training.inputs import Inputs, PooledInputs, batches
from tl_core.training.model import TransferModel
from tl_core.training.parts import RunParts
from tl_core.training.run_state import raise_if_stopped

Metrics = dict[str, float]


def validate(parts: RunParts, phase: Phase, inputs: Inputs) -> Generator[RunEvent, None, Metrics]:
    """Return the metrics on the validation items, or nothing where they do not judge this phase."""
    rows = parts.rows.validation_rows(phase)
    return (yield from measure(parts, phase, inputs, rows)) if len(rows) else {}


def measure(parts: RunParts, phase: Phase, inputs: Inputs, rows: np.ndarray) -> Generator[RunEvent, None, Metrics]:
    """Return the metrics on `rows`; afterwards the groups of the phase are in training mode."""
    parts.freezer.training_mode(())
    try:
        evaluation = evaluate(parts.model, inputs, parts.rows.labels, rows, parts.micro_batches.size)
        while True:
            done = next(evaluation)
            raise_if_stopped(parts.control)
            if done < len(rows) and parts.clock.due():
                yield Progress("evaluation", done, len(rows))
    except StopIteration as end:
        return end.value
    finally:
        parts.freezer.training_mode(phase.lr)


@torch.no_grad()
def evaluate(
    model: TransferModel, inputs: Inputs, labels: torch.Tensor, rows: np.ndarray, batch_size: int
) -> Generator[int, None, Metrics]:
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
        yield done
    return {"loss": loss.item() / len(rows), "accuracy": hits.item() / len(rows) / label_task.answers_per_item(labels)}
