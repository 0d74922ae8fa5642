"""Elastic Weight Consolidation: a weight is held the more firmly the more the predictions depend on it."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.errors import DataError
from tl_core.penalties import PENALTIES, Batch, ItemSubset, PenaltyContext, PenaltyKind, Stage, Term, option

if TYPE_CHECKING:
    import torch

KIRKPATRICK = "Kirkpatrick et al. 2017, Overcoming Catastrophic Forgetting in Neural Networks, arXiv:1612.00796"
KUNSTNER = "Kunstner, Balles & Hennig 2019, Limitations of the Empirical Fisher Approximation, arXiv:1905.12558"
PULL = 0.1
"""Mean of the scaled Fisher information: at strength 1 the average weight is held as L2-SP holds it at 0.1.

Tried on 32 pictures of textiles with EfficientNet-Lite0, three epochs of its last two groups at a rate of 0.0003:
with a mean of 0.01 the term ended at a twentieth of the loss and did next to nothing, with 0.1 at a third of it.
"""


@dataclass(frozen=True)
class EWCOptions:
    """What can be chosen."""

    items: int = option(
        100,
        "Items for the Fisher information",
        "More measure better which weights matter, and take longer.",
        (10, 2000),
    )


class EWC(Term):
    """1/2 * sum_i F_i (w_i - w0_i)^2 over the backbone's parameters, w0 pretrained (Kirkpatrick et al., equation 3).

    F is the diagonal of the true Fisher information: the mean over items of (d log p(y | x) / d w_i)^2, one y an item
    drawn from the model's own p(y | x), not its label (Kunstner et al. say why). It is measured once, at the weights
    that the first guarded phase begins with, and scaled so that its mean over all guarded weights is PULL: a
    strength then means the same for every model. The items are the source's where the run has one, else its own.
    """

    def __init__(self, options: EWCOptions) -> None:
        self._items = int(options.items)

    def prepare(self, ground: PenaltyContext) -> Iterator[Stage]:
        """Measure the Fisher information, one item at a time, for squares do not add up over a batch."""
        import torch

        side = ground.train
        if ground.source is not None:
            side = ground.source
        else:
            ground.told(
                "ewc-target",
                "There are no source items, so EWC measured on the training items which weights matter. It guards "
                "what the pretrained features do for this task, not all that the backbone once knew.",
            )
        rows = side.rows[side.draw(min(self._items, len(side.rows)), ground.seed)]
        head = yield from self._head(ground, side)
        known = dict(ground.model.named_parameters())
        names = [name for name in ground.start if name in known]
        weights = [known[name] for name in names]
        before = [w.requires_grad for w in weights]
        fisher = [torch.zeros_like(w) for w in weights]
        draws = torch.Generator().manual_seed(ground.seed)
        for weight in weights:
            weight.requires_grad_(True)
        try:
            for done, row in enumerate(rows, start=1):
                log_p = head(ground.features(row[None])).log_softmax(dim=1)
                drawn = torch.multinomial(log_p[0].detach().exp().cpu(), 1, generator=draws).item()
                slopes = torch.autograd.grad(log_p[0, int(drawn)], weights, materialize_grads=True)
                torch._foreach_addcmul_(fisher, slopes, slopes)
                yield "Fisher information", done, len(rows)
        finally:
            for weight, flag in zip(weights, before, strict=True):
                weight.requires_grad_(flag)
        self._keep(dict(zip(names, _scaled(fisher, ground), strict=True)), ground)

    def state(self) -> "dict[str, torch.Tensor]":
        """Return the scaled Fisher information of each parameter."""
        return dict(self._fisher)

    def load(self, state: "Mapping[str, torch.Tensor]", ground: PenaltyContext) -> None:
        """Take the Fisher information back."""
        self._keep({name: fisher.to(ground.device) for name, fisher in state.items()}, ground)

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the term over what learns at this step."""
        import torch

        names = [name for name in self._fisher if self._parameters[name].requires_grad]
        if not names:
            return batch.pooled.new_zeros(())
        apart = torch._foreach_sub([self._parameters[n] for n in names], [self._start[n] for n in names])
        terms = [(self._fisher[n] * d.square()).sum() for n, d in zip(names, apart, strict=True)]
        return torch.stack(terms).sum() / 2

    def _keep(self, fisher: "dict[str, torch.Tensor]", ground: PenaltyContext) -> None:
        self._fisher, self._start = fisher, ground.start
        self._parameters = dict(ground.model.named_parameters())

    def _head(
        self, ground: PenaltyContext, side: ItemSubset
    ) -> "Generator[Stage, None, Callable[[torch.Tensor], torch.Tensor]]":
        """Return what classifies the items: the run's head where it fits and has learned, else one solved for them.

        Raises DataError where none has a label.
        """
        import torch

        own: Any = ground.model.head
        if ground.solved and side.classes == ground.train.classes:
            return own
        side, found, done = side.labelled(), [], 0
        if not len(side.rows):
            raise DataError("No item of the source has a label.", "EWC needs labelled items; choose another source.")
        for some in ground.cut(side.rows):
            with torch.no_grad():
                found.append(ground.features(some))
            done += len(some)
            yield "features for EWC", done, len(side.rows)
        return ground.linear(len(side.classes), (torch.cat(found), side.labels.to(ground.device)))


def _scaled(fisher: "list[torch.Tensor]", ground: PenaltyContext) -> "list[torch.Tensor]":
    """Return the Fisher information with the mean PULL over all weights."""
    import torch

    mean = torch.stack([f.double().sum() for f in fisher]).sum() / sum(f.numel() for f in fisher)
    if mean <= 0:
        message = "The head is so sure of every item that no weight seems to matter, so EWC guards nothing."
        ground.told("ewc-nothing", message, "warn")
        return fisher
    return [(f * (PULL / mean)).to(f.dtype) for f in fisher]


PENALTIES.add(
    PenaltyKind(
        name="ewc",
        title="Hold the weights that matter (EWC)",
        summary="Each weight is pulled back to its pretrained value, the harder the more the predictions depend on it.",
        when="Fine-tuning that must not unlearn the source; best with source items, which tell what mattered there.",
        strength=1.0,
        options=EWCOptions,
        make=EWC,
        sources=(KIRKPATRICK, KUNSTNER),
        reads=("source",),
        multilabel=False,
    ),
)
