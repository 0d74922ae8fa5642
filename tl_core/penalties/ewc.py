"""Elastic Weight Consolidation: the more the predictions depend on a weight, the harder it is held in place."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.errors import DataError
from tl_core.penalties import PENALTIES, Batch, ItemSubset, PenaltyContext, PenaltyKind, PenaltyTerm, option
from tl_core.types import WorkDone

if TYPE_CHECKING:
    import torch

KIRKPATRICK = "Kirkpatrick et al. 2017, Overcoming Catastrophic Forgetting in Neural Networks, arXiv:1612.00796"
KUNSTNER = "Kunstner, Balles & Hennig 2019, Limitations of the Empirical Fisher Approximation, arXiv:1905.12558"
PULL = 0.1
"""Mean of the scaled Fisher information: at strength 1 the average weight is held as L2-SP holds it at 0.1.

Measured on 32 pictures of textiles with EfficientNet-Lite0, three epochs of its last two groups at a rate of 0.0003:
with a mean of 0.01 the term ended at a twentieth of the loss and did next to nothing; with 0.1, at a third of the loss.
"""


@dataclass(frozen=True)
class EWCOptions:
    """The options."""

    items: int = option(
        100,
        "Items for the Fisher information",
        "More items show better which weights matter, but take longer.",
        (10, 2000),
    )


class EWC(PenaltyTerm):
    """1/2 * sum_i F_i (w_i - w0_i)^2 over the backbone's parameters, w0 pretrained (Kirkpatrick et al., equation 3).

    F is the diagonal of the true Fisher information: the mean over items of (d log p(y | x) / d w_i)^2, with one y per
    item drawn from the model's own p(y | x) instead of its label (for the reason, see Kunstner et al.). It is measured
    once, at the weights that the first penalised phase begins with. It is scaled to a mean of PULL over all penalised
    weights, so that a strength means the same for every model. The items are the source's, or else the training items.
    """

    def __init__(self, options: EWCOptions) -> None:
        self._items = int(options.items)

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Measure the Fisher information, one item at a time: the gradient of a batch, squared, is something else."""
        import torch

        subset = context.source or context.train
        if context.source is None:
            context.note(
                "ewc-target",
                "There are no source items, so EWC measured on the training items which weights matter. It preserves "
                "what the pretrained features do for this task, not everything that the backbone once knew.",
            )
        rows = subset.rows[subset.draw(min(self._items, len(subset.rows)), context.seed)]
        head = yield from self._head(context, subset)
        parameters = dict(context.model.named_parameters())
        names = [name for name in context.starting_weights if name in parameters]
        weights = [parameters[name] for name in names]
        required = [w.requires_grad for w in weights]
        fisher = [torch.zeros_like(w) for w in weights]
        draws = torch.Generator().manual_seed(context.seed)
        for weight in weights:
            weight.requires_grad_(True)
        try:
            for done, row in enumerate(rows, start=1):
                log_p = head(context.features(row[None])).log_softmax(dim=1)
                drawn = torch.multinomial(log_p[0].detach().exp().cpu(), 1, generator=draws).item()
                gradients = torch.autograd.grad(log_p[0, int(drawn)], weights, materialize_grads=True)
                torch._foreach_addcmul_(fisher, gradients, gradients)
                yield "Fisher information", done, len(rows)
        finally:
            for weight, flag in zip(weights, required, strict=True):
                weight.requires_grad_(flag)
        self._keep(dict(zip(names, _scaled(fisher, context), strict=True)), context)

    def state(self) -> "dict[str, torch.Tensor]":
        """Return the scaled Fisher information of each parameter."""
        return dict(self._fisher)

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Take the Fisher information back."""
        self._keep({name: fisher.to(context.device) for name, fisher in state.items()}, context)

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the term, summed over the parameters that learn at this step."""
        import torch

        names = [name for name in self._fisher if self._parameters[name].requires_grad]
        if not names:
            return batch.pooled.new_zeros(())
        changes = torch._foreach_sub([self._parameters[n] for n in names], [self._start[n] for n in names])
        terms = [(self._fisher[n] * change.square()).sum() for n, change in zip(names, changes, strict=True)]
        return torch.stack(terms).sum() / 2

    def _keep(self, fisher: "dict[str, torch.Tensor]", context: PenaltyContext) -> None:
        self._fisher, self._start = fisher, context.starting_weights
        self._parameters = dict(context.model.named_parameters())

    def _head(
        self, context: PenaltyContext, subset: ItemSubset
    ) -> "Generator[WorkDone, None, Callable[[torch.Tensor], torch.Tensor]]":
        """Return a head that classifies the items: the run's own if it is trained on their classes, else a solved one.

        Raises DataError where no item has a label.
        """
        import torch

        own: Any = context.model.head
        if context.head_trained and subset.classes == context.train.classes:
            return own
        subset, features, done = subset.labelled(), [], 0
        if not len(subset.rows):
            raise DataError("No item of the source has a label.", "EWC needs labelled items; choose another source.")
        for rows_B in context.batches(subset.rows):
            with torch.no_grad():
                features.append(context.features(rows_B))
            done += len(rows_B)
            yield "features for EWC", done, len(subset.rows)
        return context.make_head(len(subset.classes), (torch.cat(features), subset.labels.to(context.device)))


def _scaled(fisher: "list[torch.Tensor]", context: PenaltyContext) -> "list[torch.Tensor]":
    """Return the Fisher information with the mean PULL over all weights."""
    import torch

    mean = torch.stack([f.double().sum() for f in fisher]).sum() / sum(f.numel() for f in fisher)
    if mean <= 0:
        message = "The head is so sure of every item that no weight seems to matter, so EWC preserves nothing."
        context.note("ewc-nothing", message, "warn")
        return fisher
    return [(f * (PULL / mean)).to(f.dtype) for f in fisher]


PENALTIES.add(
    PenaltyKind(
        name="ewc",
        title="Hold the weights that matter (EWC)",
        summary="Each weight is pulled back to its pretrained value, harder if the predictions depend more on it.",
        when="When fine-tuning must not forget the source; best with source items, which show what mattered there.",
        strength=1.0,
        options=EWCOptions,
        make=EWC,
        sources=(KIRKPATRICK, KUNSTNER),
        reads=("source",),
        multilabel=False,
    ),
)
