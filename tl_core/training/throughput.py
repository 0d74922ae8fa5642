"""How fast a phase goes and how its loss does, without making the device wait at every step."""

from collections.abc import Mapping
from typing import Any

import torch

from tl_core.runs.events import StepDone
from tl_core.training.run import Diverged, Run


class Throughput:
    """Collects the losses of one phase's steps, and reads them when something is to be told."""

    def __init__(self, run: Run, index: int) -> None:
        self._run, self.phase = run, index
        self._began = self._since = run.now()
        self.steps = self._items = 0
        self._unread: list[tuple[torch.Tensor, int]] = []
        self._terms: list[Mapping[str, torch.Tensor]] = []
        self._mean = 0.0

    def record(self, loss: torch.Tensor, items: int, terms: Mapping[str, torch.Tensor]) -> None:
        """Keep the mean loss of a step over `items` items, and the size of each penalty in it, unread."""
        self._unread.append((loss, items))
        self._terms.append(terms)
        self.steps += 1
        self._items += items

    def settle(self, total: float) -> float:
        """Return `total` plus the loss of every item since the last call. Raises Diverged at the first not a number.

        One is added after the other, so that the sum does not depend on when it is asked for.
        """
        if not self._unread:
            return total
        losses = torch.stack([loss for loss, _ in self._unread]).double().cpu()
        items = torch.tensor([items for _, items in self._unread], dtype=torch.float64)
        self._require_numbers(losses)
        self._unread.clear()
        self._terms.clear()
        self._mean = float((losses * items).sum() / items.sum())
        for part in (losses * items).tolist():
            total += part
        return total

    def _require_numbers(self, losses: torch.Tensor) -> None:
        """Raise Diverged where a loss or a penalty of the unread steps is no number."""
        found = {"": torch.nonzero(~torch.isfinite(losses)).flatten().tolist()}
        for name in {name: None for terms in self._terms for name in terms}:
            at = [place for place, terms in enumerate(self._terms) if name in terms]
            fine = torch.isfinite(torch.stack([self._terms[place][name] for place in at])).tolist()
            found[name] = [place for place, good in zip(at, fine, strict=True) if not good]
        broken = [(places[0], name) for name, places in found.items() if places]
        if broken:  # the loss before any penalty: whatever broke it breaks the penalties as well
            place, name = min(broken)
            raise Diverged(self._run.step - len(losses) + place + 1, name)

    def event(self, rates: dict[str, float]) -> StepDone:
        """Return the state of the phase at the last settled step; the loss is the mean since the event before."""
        now = self._run.now()
        speed = self._items / max(now - self._since, 1e-9)
        self._since, self._items = now, 0
        left = self._run.seconds_left(self.phase, self.steps, now - self._began)
        sizes = self._run.terms.sizes()
        return StepDone(self.phase, self._run.step, self._run.steps, self._mean, rates, speed, left, sizes)

    def mark(self) -> None:
        """Begin to measure the speed from now on."""
        self._since, self._items = self._run.now(), 0

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"steps": self.steps, "began": self._began}

    def load(self, facts: dict[str, Any]) -> None:
        """Take back what `facts` returned."""
        self.steps, self._began = facts["steps"], facts["began"]
