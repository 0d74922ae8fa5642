"""How fast a phase goes and how its loss does, without making the device wait at every step."""

from time import monotonic

import torch

from tl_core.runs.events import StepDone
from tl_core.training.run import Diverged, Run


class Pace:
    """Collects the losses of one phase's steps, and reads them when something is to be told."""

    def __init__(self, run: Run, index: int) -> None:
        self._run, self.phase = run, index
        self._began = self._since = monotonic()
        self.steps = self._items = 0
        self._unread: list[tuple[torch.Tensor, int]] = []
        self._mean = 0.0

    def record(self, loss: torch.Tensor, items: int) -> None:
        """Keep the mean loss of a step over `items` items, unread."""
        self._unread.append((loss, items))
        self.steps += 1
        self._items += items

    def settle(self) -> float:
        """Return the summed loss of all items since the last call. Raises Diverged at the first that is no number."""
        if not self._unread:
            return 0.0
        losses = torch.stack([loss for loss, _ in self._unread]).double().cpu()
        items = torch.tensor([items for _, items in self._unread], dtype=torch.float64)
        broken = torch.nonzero(~torch.isfinite(losses))
        if len(broken):
            raise Diverged(self._run.step - len(losses) + int(broken[0]) + 1)
        self._unread.clear()
        self._mean = float((losses * items).sum() / items.sum())
        return float((losses * items).sum())

    def event(self, rates: dict[str, float]) -> StepDone:
        """Return the state of the phase at the last settled step; the loss is the mean since the event before."""
        now = monotonic()
        speed = self._items / max(now - self._since, 1e-9)
        self._since, self._items = now, 0
        left = self._run.seconds_left(self.phase, self.steps, now - self._began)
        sizes = self._run.terms.sizes()
        return StepDone(self.phase, self._run.step, self._run.steps, self._mean, rates, speed, left, sizes)
