"""L2-SP: the weights are pulled back to where they started, not to zero."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, NoOptions, PenaltyContext, PenaltyKind, PenaltyTerm
from tl_core.types import WorkDone

if TYPE_CHECKING:
    import torch

LI = "Li, Grandvalet & Davoine 2018, Explicit Inductive Bias for Transfer Learning, arXiv:1802.01483"


class L2SP(PenaltyTerm):
    """1/2 * ||w - w0||^2 over the backbone's parameters, w0 the pretrained ones (Li et al. 2018, equation 3).

    Their second term, beta / 2 * ||w||^2 on the new head, is the optimiser's own weight decay here.
    """

    def __init__(self, options: NoOptions) -> None:
        self._start: Mapping[str, torch.Tensor] = {}

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Note the pretrained weights; nothing is computed."""
        self.load({}, context)
        yield from ()

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Note the pretrained weights and the parameters; running statistics are not pulled back."""
        self._parameters = dict(context.model.named_parameters())
        self._start = context.starting_weights

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the term, summed over the parameters that learn at this step."""
        import torch

        weights = ((self._parameters.get(name), w0) for name, w0 in self._start.items())
        pairs = [(w, w0) for w, w0 in weights if w is not None and w.requires_grad]
        if not pairs:
            return batch.pooled.new_zeros(())
        changes = torch._foreach_sub([w for w, _ in pairs], [w0 for _, w0 in pairs])
        return torch.stack([change.square().sum() for change in changes]).sum() / 2


PENALTIES.add(
    PenaltyKind(
        name="l2_sp",
        title="Stay near the pretrained weights (L2-SP)",
        summary="Every weight is pulled back to its pretrained value.",
        when="When you fine-tune on little data and the task is close to what the backbone knows.",
        strength=0.01,
        options=NoOptions,
        make=L2SP,
        sources=(LI,),
    ),
)
