"""How fast a phase goes and how its loss does, without making the device wait at every step."""

from typing import Any

import torch

from tl_core.runs.events import StepDone
from tl_core.training.run import Diverged, Run


class Pace:
    """Collects the losses of one phase's steps, and reads them when something is to be told."""

    def __init__(self, run: Run, index: int) -> None:
        self._run, self.phase = run, index
        self._began = self._since = run.now()
        self.steps = self._items = 0
        self._unread: list[tuple[torch.Tensor, int]] = []
        self._mean = 0.0

    def record(self, loss: torch.Tensor, items: int) -> None:
        """Keep the mean loss of a step over `items` items, unread."""
        self._unread.append((loss, items))
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
        broken = torch.nonzero(~torch.isfinite(losses))
        if len(broken):
            raise Diverged(self._run.step - len(losses) + int(broken[0]) + 1)
        self._unread.clear()
        self._mean = float((losses * items).sum() / items.sum())
        for part in (losses * items).tolist():
            total += part
        return total

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
