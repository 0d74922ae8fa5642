"""One optimiser step: what the objective asks, the penalties, gradient accumulation, dropout's seed."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from tl_core.training.inputs import Inputs, PooledInputs, StagedInputs
from tl_core.training.objectives import Objective
from tl_core.training.optimisers import one_thread, step
from tl_core.training.run import Run


@dataclass(frozen=True)
class Stepper:
    """What the steps of a phase work with."""

    run: Run
    aim: Objective
    inputs: Inputs
    optimiser: torch.optim.Optimizer

    def step(self, batch: np.ndarray, position: float) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Take one step; return the objective's mean loss and the count of right answers, without waiting for them.

        Where memory is short the batch goes through in pieces, whose gradients add up. For plain cross-entropy that is
        the batch's own gradient; what looks across a batch (class weights, mixup, pairs, MMD, batch normalisation) then
        looks across a piece.
        """
        run = self.run
        torch.manual_seed(run.job.seed * 1_000_003 + run.step)  # for dropout: the events' reader may draw numbers too
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=run.device)
        hits: torch.Tensor | None = torch.zeros((), dtype=torch.int64, device=run.device)
        with one_thread() if isinstance(self.inputs, PooledInputs) else nullcontext():
            for piece in np.array_split(batch, min(run.parts, len(batch))):
                lesson = self.aim.learn(self.inputs, piece)
                share = len(piece) / len(batch)
                loss = lesson.loss
                if isinstance(self.inputs, StagedInputs):
                    loss = run.terms.add(lesson, piece, self.inputs, position)
                (loss * share if run.parts > 1 else loss).backward()
                total += lesson.loss.detach() * share
                hits = None if hits is None or lesson.hits is None else hits + lesson.hits
            run.gradient = step(self.optimiser)
        run.step += 1
        return total, hits
