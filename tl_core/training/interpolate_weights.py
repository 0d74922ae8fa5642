"""WiSE-FT: the mix of the weights before and after fine-tuning that does best on validation.

Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903, equation 1: (1 - a) * w0 + a * w1 with
a in 0, 0.1 .. 1. Here w0 are the weights that the phase began with (after a solved head: the linear probe) and w1 are
its best. Weights in between need running statistics of their own. They are estimated from the training items, as the
mean over batches (Izmailov et al. 2018, arXiv:1803.05407, section 3.4).
"""

from collections.abc import Generator, Mapping

import torch

from tl_core.backbones.staged import BatchNorm
from tl_core.plan import Phase
from tl_core.runs.events import Noted, Progress, RunEvent
from tl_core.training.evaluate import Metrics
from tl_core.training.inputs import Inputs
from tl_core.training.parts import RunParts
from tl_core.training.recalibrate_norm import estimate_statistics
from tl_core.training.run_state import Events
from tl_core.types import Finding

SHARES = tuple(step / 10 for step in range(11))
"""The shares of the tuned weights that are tried."""

Weights = Mapping[str, torch.Tensor]


def interpolate_weights(parts: RunParts, phase: Phase, inputs: Inputs) -> Events:
    """Make the best mix the run's best weights, and say which it is; of equal ones the smaller share wins.

    Shares 0 and 1 are the two models as they are, with their own statistics. Nothing is random.
    """
    if not len(parts.rows.validation_rows(phase)):
        yield _note("There are no validation items to choose a mix by, so the tuned weights are kept.")
        return
    began = parts.clock.now()
    parts.best.restore()
    state, before = parts.model.state_dict(), parts.starting.phase
    tuned = {name: tensor.clone() for name, tensor in state.items() if name in before}
    results: list[Metrics] = []
    for share in SHARES:
        _mix(parts, phase, inputs, tuned, share)
        results.append(_without_events(parts.evaluator.validate(phase, inputs)))
        if parts.clock.due() or len(results) == len(SHARES):
            yield Progress("mixing weights", len(results), len(SHARES))
    task = parts.rows.label_task
    chosen = max(range(len(SHARES)), key=lambda index: (task.score(results[index]), -index))
    _mix(parts, phase, inputs, tuned, SHARES[chosen])
    parts.best.take(results[chosen], {})
    yield _note(
        f"{phase.name}: on validation it is best to mix {SHARES[chosen]:.0%} of the tuned weights with "
        f"{1 - SHARES[chosen]:.0%} of those that the phase began with: {task.describe(results[chosen])} (before "
        f"{task.describe(results[0])}, tuned {task.describe(results[-1])}). Trying {len(SHARES)} mixes took "
        f"{parts.clock.now() - began:.0f} seconds."
    )


@torch.no_grad()
def _mix(parts: RunParts, phase: Phase, inputs: Inputs, tuned: Weights, share: float) -> None:
    """Put a mix into the model. In between the ends, one pass over the training items estimates the statistics."""
    state, before = parts.model.state_dict(), parts.starting.phase
    for name, end in tuned.items():
        start = before[name]
        whole = share in (0.0, 1.0) or not end.is_floating_point()
        state[name].copy_((end if share else start) if whole else torch.lerp(start, end, share))
    if share in (0.0, 1.0):
        return
    norms = [
        module
        for name, module in parts.model.named_modules()
        if isinstance(module, BatchNorm) and f"{name}.running_mean" in before
    ]
    if norms:
        estimate_statistics(parts, phase, inputs, norms)


def _without_events(events: Generator[RunEvent, None, Metrics]) -> Metrics:
    """Return what a generator returns; its Progress events are too fine to be published."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def _note(message: str) -> Noted:
    return Noted(Finding("info", "interpolate_weights", message))
