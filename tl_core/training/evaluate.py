"""Loss and accuracy of a split."""

from collections.abc import Generator

import numpy as np
import torch

from tl_core.label_task import label_task_of
from tl_core.training.inputs import Inputs, PooledInputs, batches
from tl_core.training.model import TransferModel


@torch.no_grad()
def evaluate(
    model: TransferModel, inputs: Inputs, labels: torch.Tensor, rows: np.ndarray, batch_size: int
) -> Generator[int, None, dict[str, float]]:
    """Yield the items done; return the mean "loss" and the "accuracy", the share of right answers, over `rows`.

    The model must be in evaluation mode; `labels` `[N]`, or targets `[N, K]`, are of all rows of the data set.
    """
    label_task = label_task_of(labels)
    loss = torch.zeros((), dtype=torch.float64, device=labels.device)
    hits = torch.zeros((), dtype=torch.int64, device=labels.device)
    done = 0
    for batch in batches(rows, 4096 if isinstance(inputs, PooledInputs) else batch_size, inputs.lengths):
        truth = labels[torch.from_numpy(batch)]
        logits = inputs.logits(model, batch)
        loss += label_task.total(logits, truth).double()
        hits += label_task.count_correct(logits, truth)
        done += len(batch)
        yield done
    return {"loss": loss.item() / len(rows), "accuracy": hits.item() / len(rows) / label_task.answers_per_item(labels)}
