"""How many parameters an adapter adds, counted from the sizes of the layers it adapts. No torch at import."""

from collections.abc import Mapping
from functools import lru_cache
from math import isqrt

from tl_core.backbones.spec import BackboneSpec
from tl_core.layers import partition
from tl_core.plan import Adapter

Matrix = tuple[int, int, int]
"""Inputs, area of the kernel, outputs of one layer."""
ANY_CONVOLUTION = ("lora", "ia3")
"""Kinds that call the adapted layer itself. The others compute a plain convolution, without a subclass's padding."""


def adapter_parameters(adapter: Adapter, spec: BackboneSpec) -> Mapping[str, int]:
    """Return the number of parameters that an adapter adds to each layer group."""
    return {group: sum(_count(adapter, layer) for layer in layers) for group, layers in matrices(spec).items()}


def matrices(spec: BackboneSpec) -> Mapping[str, tuple[Matrix, ...]]:
    """Return the layers of each group that take an adapter; where the spec does not state them, build the network."""
    return stated_matrices(spec) or _read(spec)


def stated_matrices(spec: BackboneSpec) -> Mapping[str, tuple[Matrix, ...]]:
    """Return the layers of each group that take an adapter as the spec states them; nothing where it does not."""
    if not spec.group_matrices:
        return {}
    return dict(zip((group.name for group in spec.groups), spec.group_matrices, strict=True))


def unfit_groups(spec: BackboneSpec, kind: str) -> tuple[str, ...]:
    """Return the groups with no layer that takes this kind of adapter; nothing where the spec does not state them."""
    return tuple(
        group
        for group, layers in stated_matrices(spec).items()
        if not layers or (group in spec.custom_convolutions and kind not in ANY_CONVOLUTION)
    )


def _count(adapter: Adapter, layer: Matrix) -> int:
    """Return the parameters of one adapter as peft builds it: rank r, inputs n, kernel area k, outputs m.

    lora: r * (n * k + m). dora: m more, the length of each row. loha: two such products. ia3: one factor for each
    output. lokr: the Kronecker product of a small block with a large one; of rank r where that is smaller.
    """
    n, k, m = layer
    thin = adapter.rank * (n * k + m)
    if adapter.kind == "lokr":
        (small_n, large_n), (small_m, large_m) = _factors(n), _factors(m)
        low = adapter.rank < max(large_n, large_m) / 2
        return small_n * small_m + (adapter.rank * (large_m + large_n * k) if low else large_m * large_n * k)
    return {"lora": thin, "dora": thin + m, "loha": 2 * thin, "ia3": m}[adapter.kind]


def _factors(size: int) -> tuple[int, int]:
    """Return the two factors of `size` that are nearest each other, the smaller first."""
    small = next(factor for factor in range(isqrt(size), 0, -1) if size % factor == 0)
    return small, size // small


@lru_cache(maxsize=16)
def _read(spec: BackboneSpec) -> Mapping[str, tuple[Matrix, ...]]:
    if spec.load is None:
        return {}
    from torch import nn

    network = spec.load(False)
    owned = partition([name for name, _ in network.named_parameters()], spec.groups)
    modules = {f"{name}.weight": module for name, module in network.named_modules()}
    sizes: dict[str, tuple[Matrix, ...]] = {}
    for group, names in owned.items():
        layers = [modules[name] for name in names if name in modules]
        sizes[group] = tuple(
            (layer.weight.shape[1], layer.weight[0, 0].numel(), layer.weight.shape[0])
            for layer in layers
            if (isinstance(layer, nn.Conv2d) and layer.groups == 1)
            or (type(layer) is nn.Linear)  # torch's own attention holds a subclass and reads its weights itself
        )
    return sizes
