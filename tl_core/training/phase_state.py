"""A phase of gradient descent as it goes: where it stands, what it holds, and how it is taken up again."""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tl_core.plan import Phase
from tl_core.runs.events import RunEvent
from tl_core.training.checkpoints import Snapshot
from tl_core.training.deciding import decide
from tl_core.training.inputs import Inputs
from tl_core.training.layer_monitor import LayerMonitor
from tl_core.training.objectives import objective
from tl_core.training.optimisers import make_optimiser
from tl_core.training.recalibrate_norm import recalibrate_norm
from tl_core.training.run import Run
from tl_core.training.stepper import Stepper
from tl_core.training.throughput import Throughput

Events = Generator[RunEvent, None, None]


class PhaseState:
    """One phase of gradient descent; between two steps `facts` and `tensors` say all there is to know of it."""

    lessons: Stepper
    watch: LayerMonitor

    def __init__(self, run: Run, index: int) -> None:
        self.run, self.index = run, index
        self.aim = objective(run, index)
        self.pace = Throughput(run, index)
        self.lowest = self.start
        """The first backbone stage that has learned in this phase."""
        self.epoch = self.waited = 0
        self.over = False
        self.changing = False
        """Whether it is between a plan and an edited one, where a checkpoint would be of neither."""
        self._clean()

    def _clean(self) -> None:
        self.todo: list[np.ndarray] | None = None
        """Batches left in this epoch, the next one last; None before they are drawn."""
        self.total = self.done = 0
        self.loss = 0.0
        self.hits: torch.Tensor | None = torch.zeros((), dtype=torch.int64, device=self.run.device)
        self.began = self.run.now()

    @property
    def phase(self) -> Phase:
        """The phase as it was edited."""
        return self.aim.phase

    def begin(self, saved: Snapshot | None) -> Events:
        """Make ready for the first step, or for the one after the checkpoint `saved`."""
        run = self.run
        yield from self.aim.prepare()
        inputs = yield from run.inputs(self.aim, again=saved is not None)
        if saved is not None:
            self._load(saved)
        elif not run.fresh and run.best.score is None and self.aim.judged and len(run.judged(self.phase)):
            run.best.take((yield from run.validate(self.phase, inputs)), {})
        if saved is None and self.phase.recalibrate_norm:
            yield from recalibrate_norm(run, self.index, inputs)
        yield from decide(run, self.aim, inputs)
        self.lessons = Stepper(run, self.aim, inputs, self._optimiser(saved.under("moments") if saved else {}))
        self.watch = LayerMonitor(run, self.index)
        self.pace.mark()

    def rebuild(self) -> Events:
        """Take up an edited phase: what learns now has its optimiser state or gets one, what is frozen loses it."""
        run, start = self.run, self.start
        self.changing = True
        moments = self._moments()
        self.aim.phase = run.plan.phases[self.index]
        inputs = self.lessons.inputs
        if start < run.model.stages:
            run.feed.changed(start)
        if self.start != start:
            run.plain()  # as a run that goes on from after the edit makes them
            inputs = yield from run.inputs(self.aim, again=True)
            yield from decide(run, self.aim, inputs)
        else:
            run.thaw(self.phase, again=True)
        self.lowest = min(self.lowest, self.start)
        self.lessons = Stepper(run, self.aim, inputs, self._optimiser(moments))
        self.watch.edited()
        self.changing = False

    @property
    def start(self) -> int:
        """The first backbone stage that learns at present; the number of stages where the head alone does."""
        return self.run.start_of(self.phase)

    def deepest(self) -> Inputs:
        """Return inputs that run every stage which has learned in this phase, whatever was frozen since."""
        return self.lessons.inputs if self.start == self.lowest else self.run.feed.prepared(self.lowest)

    def draw(self) -> None:
        """Draw the batches of the epoch, if they are not drawn yet."""
        if self.todo is None:
            self.began = self.run.now()
            self.todo = self.aim.epoch(self.epoch, self.lessons.inputs.lengths)[::-1]
            self.total = sum(len(batch) for batch in self.todo)

    def learned(self, batch: np.ndarray, hits: torch.Tensor | None) -> None:
        """Count a batch, of which so many answers were right, as done."""
        assert self.todo is not None
        self.todo.pop()
        self.done += len(batch)
        self.hits = None if self.hits is None or hits is None else self.hits + hits

    def metrics(self) -> dict[str, float]:
        """Return mean loss and accuracy of the epoch's batches, as they were when they were learned from."""
        if not self.done:
            return {}
        right = (
            {}
            if self.hits is None
            else {"accuracy": self.hits.item() / self.done / self.run.label_task.answers_per_item(self.run.labels)}
        )
        return {"loss": self.loss / self.done} | right

    def close(self) -> None:
        """End the epoch."""
        self.epoch += 1
        self._clean()

    def facts(self) -> dict[str, Any]:
        """Return what is plain JSON."""
        return {
            "epoch": self.epoch, "waited": self.waited, "over": self.over, "lowest": self.lowest,
            "cuts": None if self.todo is None else [len(batch) for batch in self.todo],
            "total": self.total, "done": self.done, "loss": self.loss,
            "hits": None if self.hits is None else int(self.hits), "began": self.began, "pace": self.pace.facts(),
        }  # fmt: skip

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the rest: batches to come, optimiser state, and what the objective keeps."""
        found = {f"moments/{name}": tensor for name, tensor in self._moments().items()}
        found |= {f"aim/{name}": tensor for name, tensor in self.aim.state().items()}
        for number, helper in enumerate(self.aim.modules()):
            found |= {f"helper/{number}.{name}": tensor for name, tensor in helper.state_dict().items()}
        if self.todo:
            found["todo/rows"] = torch.from_numpy(np.concatenate(self.todo))
        return found

    def _load(self, saved: Snapshot) -> None:
        facts: Mapping[str, Any] = saved.facts["descent"]
        self.epoch, self.waited, self.over = facts["epoch"], facts["waited"], facts["over"]
        self.lowest, self.began = facts["lowest"], facts["began"]
        if facts["cuts"] is not None:
            ends = np.cumsum(facts["cuts"])[:-1]
            self.todo = np.split(saved.tensors["todo/rows"].numpy(), ends) if facts["cuts"] else []
        self.total, self.done, self.loss = facts["total"], facts["done"], facts["loss"]
        self.hits = None if facts["hits"] is None else torch.tensor(facts["hits"], device=self.run.device)
        self.pace.load(facts["pace"])
        self.aim.load(saved.under("aim"))
        kept = saved.under("helper")
        for number, helper in enumerate(self.aim.modules()):
            start = f"{number}."
            helper.load_state_dict({n[len(start) :]: t for n, t in kept.items() if n.startswith(start)})
        self.run.randomness(saved)

    def _helpers(self) -> list[nn.Module]:
        return [*self.aim.modules(), *self.run.terms.modules()]

    def _optimiser(self, moments: Mapping[str, torch.Tensor]) -> torch.optim.Optimizer:
        """Return a new optimiser of the phase that goes on with `moments` as far as they are its own."""
        run = self.run
        optimiser = make_optimiser(run.model, run.freezer.owned, self.phase, self._helpers())
        names = self._names()
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                start = f"{names[parameter]}:"
                own = {name[len(start) :]: tensor for name, tensor in moments.items() if name.startswith(start)}
                if own:
                    optimiser.state[parameter] = {key: _like(parameter, value) for key, value in own.items()}
        return optimiser

    def _moments(self) -> dict[str, torch.Tensor]:
        """Return the optimiser's state as "parameter:key"."""
        names = self._names()
        state = self.lessons.optimiser.state.items()
        return {f"{names[parameter]}:{key}": value for parameter, own in state for key, value in own.items()}

    def _names(self) -> dict[torch.Tensor, str]:
        names: dict[torch.Tensor, str] = {p: name for name, p in self.run.model.named_parameters()}
        for number, helper in enumerate(self._helpers()):
            names |= {p: f"helper {number} {name}" for name, p in helper.named_parameters()}
        return names


def _like(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return a copy of `value` in the memory layout of its parameter, so that a step rounds as it would have."""
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
