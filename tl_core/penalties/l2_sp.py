"""L2-SP: the weights are pulled back to where they started, not to zero."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, NoOptions, PenaltyContext, PenaltyKind, Stage, Term

if TYPE_CHECKING:
    import torch

LI = "Li, Grandvalet & Davoine 2018, Explicit Inductive Bias for Transfer Learning, arXiv:1802.01483"


class L2SP(Term):
    """1/2 * ||w - w0||^2 over the backbone's parameters, w0 the pretrained ones (Li et al. 2018, equation 3).

    Their term on the new head, beta / 2 * ||w||^2, is the optimiser's own weight decay here.
    """

    def __init__(self, options: NoOptions) -> None:
        self._start: Mapping[str, torch.Tensor] = {}

    def prepare(self, ground: PenaltyContext) -> Iterator[Stage]:
        """Note the pretrained weights; nothing is computed."""
        self.load({}, ground)
        yield from ()

    def load(self, state: "Mapping[str, torch.Tensor]", ground: PenaltyContext) -> None:
        """Note the pretrained weights and the parameters that are held to them; statistics have no such pull."""
        self._parameters = dict(ground.model.named_parameters())
        self._start = ground.start

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the term over what learns at this step."""
        import torch

        held = ((self._parameters.get(name), w0) for name, w0 in self._start.items())
        pairs = [(w, w0) for w, w0 in held if w is not None and w.requires_grad]
        if not pairs:
            return batch.pooled.new_zeros(())
        apart = torch._foreach_sub([w for w, _ in pairs], [w0 for _, w0 in pairs])
        return torch.stack([d.square().sum() for d in apart]).sum() / 2


PENALTIES.add(
    PenaltyKind(
        name="l2_sp",
        title="Stay near the pretrained weights (L2-SP)",
        summary="Every weight is pulled back to its pretrained value.",
        when="Fine-tuning on little data, when the task is close to what the backbone knows.",
        strength=0.01,
        options=NoOptions,
        make=L2SP,
        sources=(LI,),
    ),
)
