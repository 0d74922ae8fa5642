"""A phase of gradient descent: its inputs, its optimiser, its position between two steps, and how it resumes."""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tl_core.plan import Phase
from tl_core.runs.events import Noted, RunEvent
from tl_core.training.activation_cache import CacheBudget
from tl_core.training.checkpoints import Snapshot
from tl_core.training.inputs import Inputs
from tl_core.training.layer_monitor import LayerMonitor
from tl_core.training.objectives import Objective
from tl_core.training.optimisers import make_optimiser
from tl_core.training.parts import RunParts, objective_of
from tl_core.training.penalty_context import penalty_context
from tl_core.training.phase_precision import decide_precision
from tl_core.training.recalibrate_norm import recalibrate_norm
from tl_core.training.run_state import Events, as_progress
from tl_core.training.step import LossLog, Stepper, StepResult


def phase_inputs(parts: RunParts, objective: Objective, again: bool = False) -> Generator[RunEvent, None, Inputs]:
    """Return what a phase reads, with its groups thawed and its penalties prepared.

    An untrained head also takes the mean and spread of its features here. `again`: the phase has begun already, so the
    head keeps them, and the best weights stay.
    """
    model, phase = parts.model, objective.phase
    rows, judging, start = objective.rows(), parts.rows.validation_rows(phase), model.first_trained(phase.lr)
    parts.freezer.thaw_only(())
    inputs: Inputs | None = None
    standardise = parts.head.untrained and not again
    # random weights that all learn have no meaningful features yet to take mean and spread from
    if start == model.stages or (standardise and parts.job.plan.init == "pretrained" and objective.judged):
        work = parts.provider.pooled(model, np.union1d(rows, judging))
        inputs = pooled = yield from as_progress(work, parts.control, parts.clock)
        if standardise:
            model.head.standardise(pooled.features[torch.from_numpy(rows)])
        pooled.standardise(model)
    if start < model.stages:
        extra = parts.penalties.extra_rows(parts.edited.plan, parts.rows)
        read = np.unique(np.concatenate([parts.rows.items.all_views(rows), judging, extra]))
        staged = parts.provider.staged(model, start, read, _cache_budget(parts, objective))
        inputs = staged_inputs = yield from as_progress(staged, parts.control, parts.clock)
        if not parts.penalties.ready and objective.judged:
            preparation = parts.penalties.prepare(penalty_context(parts, staged_inputs))
            for finding in (yield from as_progress(preparation, parts.control, parts.clock)):
                yield Noted(finding)
    thaw(parts, phase, again)
    parts.clock.start_training()
    assert inputs is not None
    return inputs


def thaw(parts: RunParts, phase: Phase, again: bool) -> None:
    """Let the groups of a phase learn and no others; the best weights cover all that may change."""
    parts.freezer.thaw_only(phase.lr)
    names = [name for group in phase.lr for name in parts.freezer.owned[group]]
    (parts.best.extend if again else parts.best.watch)(names)
    parts.starting.start_phase(names, phase.interpolate_weights, again)


class PhaseState:
    """One phase of gradient descent.

    Between two steps, `state` and `tensors` together describe it completely, except what the monitor measures, which
    begins again after a resume.
    """

    stepper: Stepper
    monitor: LayerMonitor

    def __init__(self, parts: RunParts, index: int) -> None:
        self.parts, self.index = parts, index
        self.objective = objective_of(parts, index)
        self.log = LossLog(parts.clock)
        self.lowest = self.start
        """The first backbone stage that has learned in this phase."""
        self.epoch = self.epochs_without_gain = 0
        self.over = False
        self.rebuilding = False
        """Whether it stands between a plan and an edited one, where a checkpoint would fit neither."""
        self.gradient_norm = torch.zeros(())
        """Norm of the whole gradient at the last step, before clipping."""
        self._start_epoch()

    def _start_epoch(self) -> None:
        self.batches: list[np.ndarray] | None = None
        """Batches left in this epoch, the next one last; None before they are drawn."""
        self.items = self.items_done = 0
        self.loss = 0.0
        """Sum over the items done in this epoch."""
        self.hits: torch.Tensor | None = torch.zeros((), dtype=torch.int64, device=self.parts.model.device)
        self.epoch_began = self.parts.clock.now()

    @property
    def phase(self) -> Phase:
        """The phase, with the edits so far."""
        return self.objective.phase

    @property
    def start(self) -> int:
        """The first backbone stage that learns at present; the number of stages where only the head does."""
        return self.parts.model.first_trained(self.phase.lr)

    def begin(self, saved: Snapshot | None) -> Events:
        """Prepare the first step, or the step after the checkpoint `saved`."""
        parts = self.parts
        yield from self.objective.prepare()
        inputs = yield from phase_inputs(parts, self.objective, again=saved is not None)
        judged = self.objective.judged and len(parts.rows.validation_rows(self.phase))
        if saved is not None:
            self._load(saved)
        elif not parts.head.untrained and parts.best.score is None and judged:
            parts.best.take((yield from parts.evaluator.validate(self.phase, inputs)), {})
            parts.best.score_before = parts.best.score
        if saved is None and self.phase.recalibrate_norm:
            yield from recalibrate_norm(parts, self.index, inputs)
        yield from decide_precision(parts, self.index, self.objective, inputs)
        moments = saved.under("optimiser") if saved else {}
        self.stepper = Stepper(parts.of_step, self.objective, inputs, self._optimiser(moments))
        self.monitor = LayerMonitor(parts.freezer, parts.starting.run, self.index, self.phase.name)
        self.log.restart_speed()

    def rebuild(self) -> Events:
        """Follow an edit of the phase: what learns now gets or keeps optimiser state, what is frozen loses it."""
        parts, start = self.parts, self.start
        self.rebuilding = True
        moments = self._moments()
        self.objective.phase = parts.edited.plan.phases[self.index]
        inputs = self.stepper.inputs
        if start < parts.model.stages:
            parts.provider.changed(start)
        if self.start != start:
            parts.model.reset_precision(parts.job.spec.parts)  # as in a run that resumes after the edit
            inputs = yield from phase_inputs(parts, self.objective, again=True)
            yield from decide_precision(parts, self.index, self.objective, inputs)
        else:
            thaw(parts, self.phase, again=True)
        self.lowest = min(self.lowest, self.start)
        self.stepper = Stepper(parts.of_step, self.objective, inputs, self._optimiser(moments))
        self.monitor.edited()
        self.rebuilding = False

    def deepest_inputs(self) -> Inputs:
        """Return inputs that run every stage which has learned in this phase, even if it was frozen since."""
        return self.stepper.inputs if self.start == self.lowest else self.parts.provider.prepared(self.lowest)

    def draw_batches(self) -> None:
        """Draw the batches of the epoch, if they are not drawn yet."""
        if self.batches is None:
            self.epoch_began = self.parts.clock.now()
            self.batches = self.objective.epoch(self.epoch, self.stepper.inputs.lengths)[::-1]
            self.items = sum(len(rows_B) for rows_B in self.batches)

    def position(self) -> float:
        """Return the middle of the next batch, as a position in [0, 1] of the phase."""
        assert self.batches
        return (self.epoch + (self.items_done + len(self.batches[-1]) / 2) / self.items) / self.phase.epochs

    def record(self, result: StepResult) -> None:
        """Count the next batch as done, with what its step gave."""
        assert self.batches is not None
        items = len(self.batches.pop())
        self.items_done += items
        self.hits = None if self.hits is None or result.hits is None else self.hits + result.hits
        self.gradient_norm = result.gradient_norm
        self.log.record(result, items)

    def settle_loss(self) -> None:
        """Add the losses of the steps since the last call. Raises Diverged where one is not finite."""
        self.loss = self.log.settle(self.loss, self.parts.counter.step)

    def metrics(self) -> dict[str, float]:
        """Return mean loss and accuracy of the epoch's batches, as they were when the model learned from them."""
        if not self.items_done:
            return {}
        metrics = {"loss": self.loss / self.items_done}
        if self.hits is not None:
            rows = self.parts.rows
            metrics["accuracy"] = self.hits.item() / self.items_done / rows.label_task.answers_per_item(rows.labels)
        return metrics

    def end_epoch(self) -> None:
        """Count the epoch as done."""
        self.epoch += 1
        self._start_epoch()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps as JSON."""
        return {
            "epoch": self.epoch,
            "epochs_without_gain": self.epochs_without_gain,
            "over": self.over,
            "lowest": self.lowest,
            "batch_sizes": None if self.batches is None else [len(rows_B) for rows_B in self.batches],
            "items": self.items,
            "items_done": self.items_done,
            "loss": self.loss,
            "hits": None if self.hits is None else int(self.hits),
            "gradient_norm": float(self.gradient_norm),
            "epoch_began": self.epoch_began,
            "log": self.log.state(),
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint keeps as tensors: batches to come, optimiser state, and the objective's state."""
        tensors = {f"optimiser/{name}": tensor for name, tensor in self._moments().items()}
        tensors |= {f"objective/{name}": tensor for name, tensor in self.objective.state().items()}
        for number, helper in enumerate(self.objective.modules()):
            tensors |= {f"helper/{number}.{name}": tensor for name, tensor in helper.state_dict().items()}
        if self.batches:
            tensors["batches/rows"] = torch.from_numpy(np.concatenate(self.batches))
        return tensors

    def _load(self, saved: Snapshot) -> None:
        state: Mapping[str, Any] = saved.facts["phase_state"]
        self.epoch, self.epochs_without_gain, self.over = state["epoch"], state["epochs_without_gain"], state["over"]
        self.lowest, self.epoch_began = state["lowest"], state["epoch_began"]
        if (sizes := state["batch_sizes"]) is not None:
            ends = np.cumsum(sizes)[:-1]
            self.batches = np.split(saved.tensors["batches/rows"].numpy(), ends) if sizes else []
        self.items, self.items_done, self.loss = state["items"], state["items_done"], state["loss"]
        self.hits = None if state["hits"] is None else torch.tensor(state["hits"], device=self.parts.model.device)
        self.gradient_norm = torch.tensor(state.get("gradient_norm", 0.0), device=self.parts.model.device)
        self.log.load(state["log"])
        self.objective.load(saved.under("objective"))
        helpers = saved.under("helper")
        for number, helper in enumerate(self.objective.modules()):
            prefix = f"{number}."
            helper.load_state_dict({n[len(prefix) :]: t for n, t in helpers.items() if n.startswith(prefix)})
        self.parts.random.load(saved.under("random"))

    def _helpers(self) -> list[nn.Module]:
        return [*self.objective.modules(), *self.parts.penalties.modules()]

    def _optimiser(self, moments: Mapping[str, torch.Tensor]) -> torch.optim.Optimizer:
        """Return a new optimiser for the phase, which continues with those `moments` that fit it."""
        parts = self.parts
        optimiser = make_optimiser(parts.model, parts.freezer.owned, self.phase, self._helpers())
        names = self._names()
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                prefix = f"{names[parameter]}:"
                own = {name[len(prefix) :]: tensor for name, tensor in moments.items() if name.startswith(prefix)}
                if own:
                    optimiser.state[parameter] = {key: _like(parameter, value) for key, value in own.items()}
        return optimiser

    def _moments(self) -> dict[str, torch.Tensor]:
        """Return the optimiser's state by "parameter:key"."""
        names = self._names()
        state = self.stepper.optimiser.state.items()
        return {f"{names[parameter]}:{key}": value for parameter, own in state for key, value in own.items()}

    def _names(self) -> dict[torch.Tensor, str]:
        names: dict[torch.Tensor, str] = {p: name for name, p in self.parts.model.named_parameters()}
        for number, helper in enumerate(self._helpers()):
            names |= {p: f"helper {number} {name}" for name, p in helper.named_parameters()}
        return names


def _cache_budget(parts: RunParts, objective: Objective) -> CacheBudget:
    """Return the room for cached activations; none for an objective that reads the items themselves."""
    folder = parts.job.store.workspace.root / "cache"
    return CacheBudget(0 if objective.raw else parts.job.cache, parts.job.disk, folder)


def _like(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return a copy of `value` in the memory layout of its parameter, so that a step rounds as it would have."""
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
