"""MMD: the features of the labelled items and of the unlabelled target become similar."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tl_core.penalties import PENALTIES, Batch, PenaltyContext, PenaltyKind, PenaltyTerm, option
from tl_core.types import WorkDone

if TYPE_CHECKING:
    import torch

GRETTON = "Gretton et al. 2012, A Kernel Two-Sample Test, https://jmlr.org/papers/v13/gretton12a.html"
LONG = "Long et al. 2015, Learning Transferable Features with Deep Adaptation Networks, arXiv:1502.02791"


def mmd2(x: "torch.Tensor", y: "torch.Tensor", bandwidths: "Sequence[float] | torch.Tensor") -> "torch.Tensor":
    """Return the unbiased estimate of MMD^2 between samples x `[M, D]` and y `[N, D]`: a scalar, sometimes below 0.

        MMD^2 = 1 / (M (M - 1)) * sum over i != j of k(x_i, x_j)
              + 1 / (N (N - 1)) * sum over i != j of k(y_i, y_j)
              - 2 / (M N) * sum over i, j of k(x_i, y_j)
        k(a, b) = mean over s in bandwidths of exp(-||a - b||^2 / (2 s^2))

    Gretton et al. 2012, equation 3, with the mean of several RBF kernels (Long et al. 2015). Computed in double
    precision from inner products about the common mean. Raises ValueError where a sample has fewer than two items.
    """
    import torch

    m, n = len(x), len(y)
    if min(m, n) < 2:
        raise ValueError("An unbiased MMD needs two items on each side.")
    squared = _squared_distances(torch.cat((x, y)))
    widths = torch.as_tensor(bandwidths, dtype=squared.dtype, device=squared.device)
    kernel = torch.stack([torch.exp(-squared / (2 * width.square())) for width in widths]).mean(dim=0)
    within_x = (kernel[:m, :m].sum() - kernel[:m, :m].trace()) / (m * (m - 1))
    within_y = (kernel[m:, m:].sum() - kernel[m:, m:].trace()) / (n * (n - 1))
    return within_x + within_y - 2 * kernel[:m, m:].mean()


def median_distance(z: "torch.Tensor") -> "torch.Tensor":
    """Return the median Euclidean distance between different items of z `[N, D]`, without a gradient.

    Always above 0. With an even number of distances it is the lower of the two middle ones.
    """
    import torch

    squared = _squared_distances(z.detach())
    above = torch.triu_indices(len(z), len(z), offset=1, device=z.device)
    return squared[above[0], above[1]].median().clamp_min(1e-12).sqrt()


def _squared_distances(z: "torch.Tensor") -> "torch.Tensor":
    """Return ||z_i - z_j||^2 `[N, N]` in double precision."""
    z = z.double()
    z = z - z.mean(dim=0).detach()
    inner = z @ z.T
    size = inner.diagonal()
    return (size[:, None] + size[None, :] - 2 * inner).clamp_min(0)


@dataclass(frozen=True)
class MMDOptions:
    """The options."""

    kernels: int = option(
        5,
        "Kernels",
        "RBF kernels of doubling bandwidth around the median distance; more cover more scales.",
        (1, 17),
    )


class MMD(PenaltyTerm):
    """MMD^2 (see `mmd2`) between the pooled features of a batch and of equally many items drawn from the target.

    The bandwidths are 2^u times the median distance within both together, u = -(K - 1) / 2 ... (K - 1) / 2 for K
    kernels. The median is measured again at each step and has no gradient, so that to shrink all features gains
    nothing. A batch of one item has no unbiased estimate and adds 0.
    """

    def __init__(self, options: MMDOptions) -> None:
        self._powers = [u - (options.kernels - 1) / 2 for u in range(int(options.kernels))]

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Note the target; nothing is computed."""
        self.load({}, context)
        yield from ()

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Note the target."""
        assert context.target is not None
        self._target, self._seed = context.target, context.seed

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the estimate for this batch."""
        import torch

        if len(batch.rows) < 2 or len(self._target.rows) < 2:
            return batch.pooled.new_zeros(())
        drawn = batch.draw(self._target, len(batch.rows), self._seed)
        own_BD, target_BD = batch.features_with(self._target.rows[drawn])
        median = median_distance(torch.cat((own_BD, target_BD)))
        bandwidths = torch.stack([median * 2.0**power for power in self._powers])
        return mmd2(own_BD, target_BD, bandwidths).to(batch.pooled.dtype)


PENALTIES.add(
    PenaltyKind(
        name="mmd",
        title="Make source and target alike (MMD)",
        summary="The features of the labelled items and of an unlabelled target are pulled together until they "
        "look the same.",
        when="When the model will be used on items that look different from the labelled ones and you have such items.",
        strength=1.0,
        options=MMDOptions,
        make=MMD,
        sources=(GRETTON, LONG),
        needs=("target",),
        protects_pretrained=False,
    ),
)
