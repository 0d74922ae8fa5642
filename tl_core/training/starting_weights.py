"""The values that weights started with: at the beginning of the run, and of the phase that needs them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch

from tl_core.layers import HEAD
from tl_core.training.optimisers import Freezer


class StartingWeights:
    """Copies of the tensors of the backbone groups that may learn, as they were before they did.

    `run` holds the values at the start of the run by name in the model; they never change. `phase` holds what a phase
    that interpolates weights began with, and is empty in all others.
    """

    def __init__(self, freezer: Freezer, groups: Iterable[str]) -> None:
        """Copy the tensors of `groups`; the head's are left out."""
        self._freezer = freezer
        self.run: dict[str, torch.Tensor] = {}
        self.groups: set[str] = set()
        self.touched: set[str] = set()
        """Tensors that some phase has let learn; all others still have their first values."""
        self.phase: dict[str, torch.Tensor] = {}
        self.remember(groups)

    def remember(self, groups: Iterable[str]) -> None:
        """Copy the present tensors of more backbone groups, before they learn for the first time."""
        state = self._freezer.model.state_dict()
        self.groups |= (new := set(groups))
        for group in new & set(self._freezer.owned) - {HEAD}:
            for name in self._freezer.owned[group]:
                if name in state:  # a group also owns buffers that are not saved, such as BERT's position numbers
                    self.run.setdefault(name, state[name].clone())

    def start_phase(self, names: Collection[str], interpolates: bool, again: bool) -> None:
        """Note which tensors a phase lets learn, and copy them where it interpolates weights.

        `again`: the phase has begun already and now lets more tensors learn; the copies made so far stay.
        """
        self.touched.update(names)
        if not again:
            self.phase = {}
        if interpolates:
            state = self._freezer.model.state_dict()
            self.phase |= {n: state[n].clone() for n in names if n in state and n not in self.phase}

    def restart_phase(self) -> None:
        """Let the model's present values be those that the phase began with."""
        state = self._freezer.model.state_dict()
        self.phase = {name: state[name].clone() for name in self.phase}

    def changed(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the model that a checkpoint must keep: the head's, and those that have changed."""
        model = self._freezer.model.state_dict()
        return {
            name: model[name]
            for name in [*self.run, *self._freezer.owned[HEAD]]
            if name not in self.run or (name in self.touched and not torch.equal(model[name], self.run[name]))
        }

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors that the phase began with and that differ from those the run began with."""
        return {n: t for n, t in self.phase.items() if n not in self.run or not torch.equal(t, self.run[n])}

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps as JSON."""
        return {"groups": sorted(self.groups), "phase": list(self.phase)}

    def load(
        self, facts: Mapping[str, Any], state: Mapping[str, torch.Tensor], changed: Mapping[str, torch.Tensor]
    ) -> None:
        """Take back what `facts`, `state` and `changed` returned, and put the last into the model.

        The model must still have the values that it was built with.
        """
        self.remember(facts["groups"])
        model, device = self._freezer.model.state_dict(), self._freezer.model.device
        for name, tensor in changed.items():
            model[name].copy_(tensor)
        self.phase = {name: state[name].to(device) if name in state else self.run[name] for name in facts["phase"]}
        self.touched.update(changed)
