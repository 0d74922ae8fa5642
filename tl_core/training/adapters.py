"""Adapters (peft): small trainable layers beside frozen ones. `load_best` merges them into the weights.

An adapted group learns through its adapters alone. Its own tensors do not change by a single bit. That includes the
running statistics of its normalisation layers, which stay in evaluation mode: they belong to the frozen weights, and
the merged network must be the one that validation judged. Linear layers and plain convolutions take an adapter. A
depthwise convolution does not: it has 9 to 25 weights a channel, fewer than an adapter would have. Embeddings and
normalisation layers have no matrix to factor.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from tl_core.advice.adapter_sizes import ANY_CONVOLUTION
from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.staged import Staged
from tl_core.errors import PlanError
from tl_core.layers import HEAD, is_adapter
from tl_core.plan import TransferPlan
from tl_core.plan.transfer_plan import Adapter
from tl_core.training.model import TransferModel, groups_of


def insert(model: TransferModel, spec: BackboneSpec, plan: TransferPlan, seed: int) -> None:
    """Put the plan's adapter beside every fitting layer of the backbone groups that some phase trains.

    A new adapter changes no score. Its random weights follow from `seed`. A plan without an adapter changes nothing.
    Raises PlanError where a trained group has no layer that fits, because nothing could learn there.
    """
    if plan.adapter is None:
        return
    trained = {group for phase in plan.phases for group in phase.lr} - {HEAD}
    layers_of = {group: names for group, names in fitting(model, spec, plan.adapter.kind).items() if group in trained}
    if without := [group for group, names in layers_of.items() if not names]:
        raise PlanError(
            f"The adapter {plan.adapter.kind!r} fits no layer of {', '.join(without)}, so nothing could learn there.",
            "Freeze these groups (leave them out of the phases), or choose another kind of adapter.",
        )
    if layers := [name for names in layers_of.values() for name in names]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _inject(model.backbone, plan.adapter, layers)
        # torch's fused encoder layer would bypass its adapters; a layer with a hook is not fused
        for module in model.backbone.modules():
            if isinstance(module, nn.TransformerEncoderLayer):
                module.register_forward_pre_hook(lambda module, inputs: None)
        model.eval()


def fitting(model: TransferModel, spec: BackboneSpec, kind: str) -> dict[str, list[str]]:
    """Return the names, inside the backbone, of the layers of each group that take this kind of adapter."""
    modules = dict(model.backbone.named_modules())
    never_called = {
        f"{name}.{inner}"
        for name, module in modules.items()
        if isinstance(module, nn.MultiheadAttention)  # it only reads the weights of its layers
        for inner, _ in module.named_modules()
    }
    layers: dict[str, list[str]] = {}
    for group, tensors in groups_of(model, spec).items():
        owners = {tensor.removeprefix("backbone.").rpartition(".")[0]: None for tensor in tensors}
        candidates = [name for name in owners if group != HEAD and name not in never_called]
        layers[group] = [name for name in candidates if _fits(modules[name], kind)]
    return layers


def may_learn(plan: TransferPlan) -> Callable[[str], bool]:
    """Return which tensors may learn in a run: with an adapter, only its own and the head's."""
    return lambda name: plan.adapter is None or not name.startswith("backbone.") or is_adapter(name)


def merge(model: TransferModel, plan: TransferPlan) -> None:
    """Add every adapter to its layer and remove it, which leaves a plain model with the same scores."""
    if plan.adapter is None:
        return
    for name, layer in list(_adapted(model.backbone)):
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.backbone.get_submodule(parent), child, layer.get_base_layer())


def _fits(module: nn.Module, kind: str) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and (kind in ANY_CONVOLUTION or type(module) is nn.Conv2d)
    return isinstance(module, nn.Linear)


def _adapted(backbone: Staged) -> Iterator[tuple[str, Any]]:
    ensure_torchvision()
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in backbone.named_modules():
        if isinstance(module, BaseTunerLayer):
            yield name, module


def _inject(backbone: Staged, adapter: Adapter, layers: list[str]) -> None:
    ensure_torchvision()
    import peft

    shape: Mapping[str, Any] = {"r": adapter.rank, "target_modules": layers}
    alpha, dropout = adapter.alpha, adapter.dropout
    config: peft.PeftConfig
    if adapter.kind in ("lora", "dora"):
        dora = adapter.kind == "dora"
        config = peft.LoraConfig(lora_alpha=alpha, lora_dropout=dropout, use_dora=dora, **shape)  # type: ignore[arg-type]
    elif adapter.kind == "loha":
        config = peft.LoHaConfig(alpha=alpha, module_dropout=dropout, **shape)  # type: ignore[arg-type]
    elif adapter.kind == "lokr":
        config = peft.LoKrConfig(alpha=alpha, module_dropout=dropout, **shape)  # type: ignore[arg-type]
    else:
        config = peft.IA3Config(target_modules=layers, feedforward_modules=[])
    peft.inject_adapter_in_model(config, backbone)
