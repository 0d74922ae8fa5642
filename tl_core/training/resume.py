"""A run's whole state between two steps: taken from its parts, and given back to those of another process."""

from collections.abc import Mapping
from typing import Any

import torch

from tl_core.errors import RunError
from tl_core.training.checkpoints import Snapshot
from tl_core.training.job import identity
from tl_core.training.parts import RunParts
from tl_core.training.phase import PhaseState


def write_checkpoint(parts: RunParts, index: int, state: PhaseState | None = None) -> None:
    """Write the state of the run to disk, unless the job wants no checkpoints or the run has not begun."""
    if parts.job.checkpoints and (index or state):
        parts.checkpoints.write(capture(parts, index, state))


def capture(parts: RunParts, index: int, state: PhaseState | None = None) -> Snapshot:
    """Return the state at the start of phase `index`, or in the middle of it where its `state` is given.

    Raises Diverged where an unread loss is not finite.
    """
    if state is not None:
        state.settle_loss()
    kinds: dict[str, Mapping[str, torch.Tensor]] = {
        "model": parts.starting.changed(),
        "best": parts.best.state(),
        "phase_start": parts.starting.state(),
        "penalties": parts.penalties.state(),
        "random": parts.random.state(),
        "cached": parts.provider.state(),
    }
    tensors = {f"{kind}/{name}": tensor for kind, named in kinds.items() for name, tensor in named.items()}
    if state is not None:
        tensors |= state.tensors()
    facts = {
        "identity": identity(parts.job),
        "phase": index,
        "epoch": state.epoch if state else 0,
        "plan": parts.edited.state(),
        "counter": parts.counter.state(),
        "clock": parts.clock.state(),
        "micro_batches": parts.micro_batches.state(),
        "head_untrained": parts.head.state(),
        "precision_choices": parts.precision.state(),
        "best": parts.best.facts(),
        "starting": parts.starting.facts(),
        "penalties_measured": parts.penalties.measured,
        **parts.provider.facts(),
        "phase_state": state.state() if state else None,
    }
    return Snapshot(tensors, facts)


def restore(parts: RunParts, saved: Snapshot) -> None:
    """Put the parts of a new run where `saved` left off. Raises RunError where it is the state of another run."""
    facts = saved.facts
    if facts["identity"] != identity(parts.job):
        raise RunError(
            "The checkpoint in this folder belongs to another plan, data set, seed or teacher.",
            "Start a new run, or resume with the task that this run was started with.",
        )
    parts.edited.load(facts["plan"])
    parts.counter.load(facts["counter"])
    parts.clock.load(facts["clock"])
    parts.micro_batches.load(facts["micro_batches"])
    parts.head.load(facts["head_untrained"])
    parts.precision.load(facts["precision_choices"])
    parts.random.load(saved.under("random"))
    parts.starting.load(facts["starting"], saved.under("phase_start"), saved.under("model"))
    parts.best.load(facts["best"], saved.under("best"))
    if facts["penalties_measured"]:
        parts.penalties.resume(saved.under("penalties"))
    parts.provider.load(facts, saved.under("cached"))


FIRST_KINDS = {
    "begun": "phase_start",
    "terms": "penalties",
    "feed": "cached",
    "moments": "optimiser",
    "aim": "objective",
    "todo": "batches",
}
"""What the first format of checkpoints called the kinds of tensors that have another name now."""


def of_first_format(saved: Snapshot) -> Snapshot:
    """Return a checkpoint in the first format (until November 2026) as `capture` would write it today.

    Any other checkpoint is returned as it is.
    """
    facts = saved.facts
    if "run" not in facts:
        return saved
    numbers, best = facts["run"], facts["best"]
    tensors = {}
    for full_name, tensor in saved.tensors.items():
        kind, _, name = full_name.partition("/")
        tensors[f"{FIRST_KINDS.get(kind, kind)}/{name}"] = tensor
    translated = {
        "identity": facts["of"],
        "phase": facts["phase"],
        "epoch": facts["epoch"],
        "plan": {"phases": facts["phases"], "edits_applied": numbers["obeyed"]},
        "counter": {"step": numbers["step"], "planned": numbers["planned"]},
        "clock": {"now": facts["now"], "training_since": numbers["clock"]},
        "micro_batches": numbers["parts"],
        "head_untrained": numbers["fresh"],
        "precision_choices": numbers["choices"],
        "best": {"score": best["score"], "accuracy": best["accuracy"], "names": best["kept"]},
        "starting": {"groups": facts["remembered"], "phase": facts["begun"]},
        "penalties_measured": facts["terms"],
        "features_stored": facts["stored"],
        "cached_stage": facts["built"],
        "phase_state": _first_phase_state(facts["descent"]),
    }
    return Snapshot(tensors, translated)


def _first_phase_state(descent: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if descent is None:
        return None
    names = {
        "waited": "epochs_without_gain",
        "cuts": "batch_sizes",
        "total": "items",
        "done": "items_done",
        "began": "epoch_began",
        "pace": "log",
    }
    return {names.get(name, name): value for name, value in descent.items()}
