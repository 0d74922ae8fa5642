"""Where networks drop attention weights in training, as their recipes say; it costs fused attention."""

from dataclasses import dataclass

from torch import nn

NAMES = ("attention_dropout", "dropout")
"""What attention layers that only keep a rate call it."""
MODULES = (*NAMES, "attn_dropout", "attn_drop")
"""What attention layers call their nn.Dropout for attention weights; pos_dropout and output_dropout drop others."""


@dataclass(frozen=True)
class Rate:
    """The attribute of a module that holds a rate, and the rate of the network's recipe."""

    module: nn.Module
    name: str
    recipe: float

    def switch(self, wanted: bool) -> None:
        """Drop at the rate of the recipe, or not at all."""
        setattr(self.module, self.name, self.recipe if wanted else 0.0)


def attention_rates(net: nn.Module) -> list[Rate]:
    """Return every rate at which attention weights are dropped; those for hidden states are left alone."""
    rates = []
    for path, module in net.named_modules():
        kind = type(module).__name__
        if isinstance(module, nn.Dropout):
            parent, _, name = path.rpartition(".")
            if name in MODULES and _weighs(net.get_submodule(parent)):
                rates.append(Rate(module, "p", module.p))
        elif kind.endswith("Attention"):
            rates += [Rate(module, name, r) for name in NAMES if isinstance(r := getattr(module, name, None), float)]
    return [rate for rate in rates if rate.recipe]


def _weighs(module: nn.Module) -> bool:
    """Whether a module is an attention layer; one that wraps another drops the hidden states that it gives."""
    wraps = any(type(child).__name__.endswith("Attention") for child in module.children())
    return type(module).__name__.endswith("Attention") and not wraps
