"""Replay: old items among the new ones, so that the model does not forget them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.errors import DataError
from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, PenaltyTerm, option
from tl_core.types import WorkDone

if TYPE_CHECKING:
    import torch
    from torch import nn

ROLNICK = "Rolnick et al. 2019, Experience Replay for Continual Learning, arXiv:1811.11682"
CHAUDHRY = "Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning, arXiv:1902.10486"


@dataclass(frozen=True)
class ReplayOptions:
    """The options."""

    share: float = option(
        1.0, "Old items for each new one", "1 replays as many source items as a batch has.", (0.1, 4.0)
    )


class Replay(PenaltyTerm):
    """Mean cross-entropy of a batch drawn from the labelled source.

    If every class of the source is also a class of the run, the model's own head classifies the source items. If not, a
    linear head of their own does; it is solved on their features at the start and then learns with the model.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self._share = options.share
        self._source_head: nn.Module | None = None

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Solve a head for the source's classes, unless the run's own head covers them; yield progress."""
        import torch

        self.load({}, context)
        source, done = self._source, 0
        if self._source_head is None:
            message = "The source has no classes but the run's own, so the same head classifies its items."
            context.note("replay-head", message)
            return
        features = []
        for rows_B in context.batches(source.rows):
            with torch.no_grad():
                features.append(context.features(rows_B))
            done += len(rows_B)
            yield "source items", done, len(source.rows)
        self._source_head = context.make_head(len(source.classes), (torch.cat(features), self._labels))
        context.note(
            "replay-head",
            "The source has classes of its own, so an additional head classifies its items during training.",
        )

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Note the source, and make its head if it needs one. Raises DataError where no item of it has a label."""
        import torch

        assert context.source is not None
        self._source, self._seed = context.source.labelled(), context.seed
        self._head: Any = context.model.head
        if not len(self._source.rows):
            raise DataError("No item of the source has a label.", "Replay needs labelled items; choose another source.")
        self._labels = self._source.labels.to(context.device)
        names = context.train.classes
        if set(self._source.classes) <= set(names):
            positions = torch.tensor([names.index(name) for name in self._source.classes], device=context.device)
            self._labels = positions[self._labels]
        else:
            self._source_head = context.make_head(len(self._source.classes))

    def modules(self) -> "Sequence[nn.Module]":
        """Return the head over the source's classes, if there is one."""
        return () if self._source_head is None else (self._source_head,)

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the loss on the source items of this step."""
        import torch

        count = math.ceil(self._share * len(batch.rows))
        drawn = batch.draw(self._source, count, self._seed)
        _, source_BD = batch.features_with(self._source.rows[drawn])
        scores = (self._head if self._source_head is None else self._source_head)(source_BD)
        return torch.nn.functional.cross_entropy(scores, self._labels[torch.from_numpy(drawn)])


PENALTIES.add(
    PenaltyKind(
        name="replay",
        title="Replay source items",
        summary="Every step also learns from labelled items of the source.",
        when="When you have labelled source items and the model must stay good at them.",
        strength=1.0,
        options=ReplayOptions,
        make=Replay,
        sources=(CHAUDHRY, ROLNICK),
        needs=("source",),
        protects_pretrained=False,
        multilabel=False,
    ),
)
