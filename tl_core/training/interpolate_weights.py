"""WiSE-FT: the mix of the weights before and after fine-tuning that validation likes most.

Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903, equation 1: (1 - a) * w0 + a * w1 with
a in 0, 0.1 .. 1. Here w0 are the weights that the phase began with (after a solved head, the linear probe) and w1 the
phase's best. The running statistics of neither fit the weights between them, so they are estimated anew from the
training items (Izmailov et al. 2018, arXiv:1803.05407, section 3.4), as the mean over batches of their statistics.
"""

from collections.abc import Generator, Mapping

import torch

from tl_core.plan import Phase
from tl_core.runs.events import Noted, Progress, RunEvent
from tl_core.training.inputs import Inputs
from tl_core.training.recalibrate_norm import Norm, estimate
from tl_core.training.run import Run
from tl_core.types import Finding

SHARES = tuple(step / 10 for step in range(11))
"""How much of the tuned weights is in each mix that is tried."""

Events = Generator[RunEvent, None, None]
Metrics = dict[str, float]
Weights = Mapping[str, torch.Tensor]


def interpolate_weights(run: Run, phase: Phase, inputs: Inputs) -> Events:
    """Make the best mix the run's best weights, and tell which it is; ties go to the smaller change.

    The ends are the two models as they are, with their own statistics. Nothing is drawn at random.
    """
    if not len(run.judged(phase)):
        yield _note("There are no validation items to choose a mix by, so the tuned weights are kept.")
        return
    began = run.now()
    run.best.restore()
    tuned = {name: tensor.clone() for name, tensor in run.model.state_dict().items() if name in run.begun}
    found: list[Metrics] = []
    for share in SHARES:
        _mix(run, phase, inputs, tuned, share)
        found.append(_result(run.validate(phase, inputs)))
        if run.due() or len(found) == len(SHARES):
            yield Progress("mixing weights", len(found), len(SHARES))
    chosen = max(range(len(SHARES)), key=lambda at: (run.label_task.score(found[at]), -at))
    _mix(run, phase, inputs, tuned, SHARES[chosen])
    run.best.take(found[chosen], {})
    best, first, last = (run.label_task.describe(found[at]) for at in (chosen, 0, -1))
    yield _note(
        f"{phase.name}: {SHARES[chosen]:.0%} of the tuned weights and {1 - SHARES[chosen]:.0%} of those it began with "
        f"do best on validation: {best} (at first {first}, tuned {last}). "
        f"Trying {len(SHARES)} mixes took {run.now() - began:.0f} seconds."
    )


@torch.no_grad()
def _mix(run: Run, phase: Phase, inputs: Inputs, tuned: Weights, share: float) -> None:
    """Put a mix into the model. Statistics of normalisation between the ends take one pass over the training items."""
    state = run.model.state_dict()
    for name, end in tuned.items():
        start = run.begun[name]
        whole = share in (0.0, 1.0) or not end.is_floating_point()
        state[name].copy_((end if share else start) if whole else torch.lerp(start, end, share))
    if share in (0.0, 1.0):
        return
    norms = [
        module
        for name, module in run.model.named_modules()
        if isinstance(module, Norm) and f"{name}.running_mean" in run.begun
    ]
    if norms:
        estimate(run, phase, inputs, norms)


def _result(events: Generator[RunEvent, None, Metrics]) -> Metrics:
    """Return what a generator returns; what it tells on the way is finer than needs be told."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def _note(message: str) -> Noted:
    return Noted(Finding("info", "interpolate_weights", message))
