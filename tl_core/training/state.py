"""A run's whole state between two steps, taken from it and given back to another process."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import torch

from tl_core.errors import RunError
from tl_core.layers import HEAD
from tl_core.plan import Phase
from tl_core.training.checkpoints import Snapshot
from tl_core.training.phase_state import PhaseState
from tl_core.training.run import Run, TrainJob
from tl_core.types import dump, load


def capture(run: Run, index: int, descent: PhaseState | None = None) -> Snapshot:
    """Return the state at the start of phase `index`, or in the middle of its `descent`.

    Backbone tensors that are still what they were when the run began are left out, and so are the best weights
    where they are the present ones. Raises Diverged where an unread loss is no number.
    """
    if descent is not None:
        descent.loss = descent.pace.settle(descent.loss)
    tensors, model = {}, run.model.state_dict()
    for name in [*run.first, *run.freezer.owned[HEAD]]:
        if name not in run.first or (name in run.touched and not torch.equal(model[name], run.first[name])):
            tensors[f"model/{name}"] = model[name]
    best = run.best.state()
    for name, tensor in best.items():
        if not torch.equal(tensor, model[name]):
            tensors[f"best/{name}"] = tensor
    for name, tensor in run.begun.items():
        if name not in run.first or not torch.equal(tensor, run.first[name]):
            tensors[f"begun/{name}"] = tensor
    tensors |= {f"terms/{name}": tensor for name, tensor in run.terms.state().items()}
    tensors |= {f"random/{name}": tensor for name, tensor in run.randoms().items()}
    if run.feed.built is not None:
        tensors["feed/rows"] = torch.from_numpy(run.feed.built[1])
    if descent is not None:
        tensors |= descent.tensors()
    facts = {
        "of": identity(run.job), "phase": index, "epoch": descent.epoch if descent else 0, "step": run.step,
        "phases": [dump(phase) for phase in run.plan.phases], "remembered": sorted(run.remembered),
        "best": {"score": run.best.score, "accuracy": run.best.accuracy, "kept": list(best)},
        "terms": run.terms.ready or run.terms.waiting is not None, "stored": run.feed.stored,
        "built": run.feed.built[0] if run.feed.built else None,
        "begun": list(run.begun), "run": {name: getattr(run, name) for name in NUMBERS}, "now": run.now(),
        "descent": descent.facts() if descent else None,
    }  # fmt: skip
    return Snapshot(tensors, facts)


DIGESTED = {"recalibrate_norm": "adapt", "interpolate_weights": "blend"}
NUMBERS = ("step", "parts", "fresh", "planned", "clock", "obeyed", "choices")


def restore(run: Run, saved: Snapshot) -> int:
    """Put a run, new as it was made, where `saved` left off; returns the phase. Raises RunError for another's state."""
    facts = saved.facts
    if facts["of"] != identity(run.job):
        raise RunError(
            "The checkpoint in this folder is of another plan, data set, seed or teacher.",
            "Start a new run, or go on with the task that this one began with.",
        )
    run.plan = replace(run.plan, phases=tuple(load(Phase, phase) for phase in facts["phases"]))
    run.remember(facts["remembered"])
    model = run.model.state_dict()
    for name, tensor in saved.under("model").items():
        model[name].copy_(tensor)
        run.touched.add(name)
    best = saved.under("best")
    kept = {name: best.get(name, model[name]).to(model[name].device) for name in facts["best"]["kept"]}
    run.best.load(facts["best"]["score"], facts["best"]["accuracy"], kept)
    began = saved.under("begun")
    run.begun = {name: began[name].to(run.device) if name in began else run.first[name] for name in facts["begun"]}
    for name in NUMBERS:
        setattr(run, name, facts["run"][name])
    run.set_time(facts["now"])
    run.randomness(saved)
    if facts["terms"]:
        run.terms.resume(saved.under("terms"))
    run.feed.stored = facts["stored"]
    if "feed/rows" in saved.tensors:
        run.feed.built = facts["built"], saved.tensors["feed/rows"].numpy()
    return int(facts["phase"])


def identity(job: TrainJob) -> str:
    """Return a digest of what a run is about: its plan, its items, its seed, its teacher."""
    rows = None if job.train_rows is None else [int(row) for row in job.train_rows]
    others = [one.fingerprint if one is not None else "" for one in (job.source, job.target)]
    split = dump(job.dataset.split)
    teacher = job.teacher.folder.name if job.teacher else ""  # a run's id, or the digest of what was brought in
    about: Any = [_plan(job), job.seed, job.dataset.fingerprint, split, rows, others, teacher]
    decided = [one.decisions_digest for one in (job.dataset, job.source, job.target) if one is not None]
    if any(decided):
        about.append(decided)
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _plan(job: TrainJob) -> Any:
    """Return the plan as a digest takes it: under the names that its fields had when the first runs were begun.

    A phase that recalibrates nothing says nothing of it, because the first runs knew no such phase.
    """
    plan = dump(job.plan)
    phases = [{DIGESTED.get(name, name): value for name, value in phase.items()} for phase in plan["phases"]]
    return {**plan, "phases": [{k: v for k, v in phase.items() if k != "adapt" or v} for phase in phases]}
