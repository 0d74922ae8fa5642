"""Replay: old items among the new ones, so that what they taught is not forgotten."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.errors import DataError
from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, Stage, Term, option

if TYPE_CHECKING:
    import torch
    from torch import nn

ROLNICK = "Rolnick et al. 2019, Experience Replay for Continual Learning, arXiv:1811.11682"
CHAUDHRY = "Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning, arXiv:1902.10486"


@dataclass(frozen=True)
class ReplayOptions:
    """What can be chosen."""

    share: float = option(
        1.0, "Old items for each new one", "1 replays as many source items as a batch has.", (0.1, 4.0)
    )


class Replay(Term):
    """Mean cross-entropy of a batch drawn from the labelled source.

    Where every class of the source is one of the run's, the model's own head classifies them; else a linear head over
    the source's classes does, solved on the source's features at the start, which then learns along.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self._share = options.share
        self._own: nn.Module | None = None

    def prepare(self, ground: PenaltyContext) -> Iterator[Stage]:
        """Solve a head for the source's classes where the run's own does not do; yields progress."""
        import torch

        self.load({}, ground)
        source, done = self._source, 0
        if self._own is None:
            ground.told("replay-head", "The source's classes are the run's own, so its items go through the same head.")
            return
        found = []
        for some in ground.cut(source.rows):
            with torch.no_grad():
                found.append(ground.features(some))
            done += len(some)
            yield "source items", done, len(source.rows)
        self._own = ground.linear(len(source.classes), (torch.cat(found), self._labels))
        ground.told(
            "replay-head",
            "The source has classes of its own, so a head beside the run's own classifies its items during training.",
        )

    def load(self, state: "Mapping[str, torch.Tensor]", ground: PenaltyContext) -> None:
        """Note the source, and make room for its head. Raises DataError where no item of it has a label."""
        import torch

        assert ground.source is not None
        self._source, self._seed = ground.source.labelled(), ground.seed
        self._head: Any = ground.model.head
        if not len(self._source.rows):
            raise DataError("No item of the source has a label.", "Replay needs labelled items; choose another source.")
        self._labels = self._source.labels.to(ground.device)
        names = ground.train.classes
        if set(self._source.classes) <= set(names):
            places = torch.tensor([names.index(name) for name in self._source.classes], device=ground.device)
            self._labels = places[self._labels]
        else:
            self._own = ground.linear(len(self._source.classes))

    def modules(self) -> "Sequence[nn.Module]":
        """Return the head over the source's classes, where there is one."""
        return () if self._own is None else (self._own,)

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the loss on the source items of this step."""
        import torch

        count = math.ceil(self._share * len(batch.rows))
        drawn = batch.drawn(self._source, count, self._seed)
        _, old = batch.beside(self._source.rows[drawn])
        scores = (self._head if self._own is None else self._own)(old)
        return torch.nn.functional.cross_entropy(scores, self._labels[torch.from_numpy(drawn)])


PENALTIES.add(
    PenaltyKind(
        name="replay",
        title="Replay source items",
        summary="Every step also learns from labelled items of the source.",
        when="Labelled source items are at hand, and the model must stay good at them.",
        strength=1.0,
        options=ReplayOptions,
        make=Replay,
        sources=(CHAUDHRY, ROLNICK),
        needs=("source",),
        protects_pretrained=False,
        multilabel=False,
    ),
)
