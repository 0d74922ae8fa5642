"""The backbone of the model in this folder, as timm, torchvision or transformers build it; predict.py runs it."""

from typing import Any

import torch
from torch import nn


class Reached(Exception):
    """The forward pass has come to the end of the layer group that the head sits on."""


class LibraryBackbone(nn.Module):
    """Any network of timm, torchvision or transformers, run up to the layer group `tap`."""

    def __init__(self, recipe: dict, tap: str) -> None:
        super().__init__()
        self.net, self.entry = build(recipe)
        self.stage: dict = next(stage for stage in recipe["stages"] if stage["name"] == tap)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation `[B, C]` over the places of the picture, or the tokens that are there."""
        reached = []

        def stop(module: nn.Module, args: tuple, output: Any) -> None:
            reached.append(output)
            raise Reached

        hook = (
            self.net.get_submodule(self.stage["module"]).register_forward_hook(stop) if self.stage["module"] else None
        )
        try:
            reached.append(self.entry(*inputs))
        except Reached:
            pass
        finally:
            if hook:
                hook.remove()
        output = reached[0]
        states = (
            output if isinstance(output, torch.Tensor) else next(iter(getattr(output, "values", output.__iter__)()))
        )
        return self.pool(states, inputs)

    def pool(self, states: torch.Tensor, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation `[B, C]` of states in the layout that their stage has."""
        kind = self.stage["kind"]
        if kind in ("hidden", "causal"):
            weight = inputs[1].to(states.dtype)
            weight = (weight / weight.sum(dim=1, keepdim=True)).unsqueeze(-1)
            mean = (states * weight).sum(dim=1)
            variance = ((states - mean.unsqueeze(1)).square() * weight).sum(dim=1)
            if kind == "causal":  # the last token alone has seen the whole text
                mean = states[torch.arange(len(states)), inputs[1].long().sum(dim=1) - 1]
            return mean, variance.clamp_min(1e-12).sqrt()
        if kind == "tokens":  # class and register tokens stand for no place
            states = states[:, self.stage["prefix"] :].transpose(1, 2).unsqueeze(-1)
        maps = states.permute(0, 3, 1, 2) if kind == "nhwc" else states
        mean = maps.mean(dim=(2, 3), keepdim=True)
        variance = (maps - mean).square().mean(dim=(2, 3))
        return mean[:, :, 0, 0], variance.clamp_min(1e-12).sqrt()


def build(recipe: dict) -> tuple[nn.Module, Any]:
    """Return a library's network with random weights, and how it is called on images, or on ids and mask."""
    name, arguments = recipe["architecture"], recipe["args"]
    if recipe["library"] == "timm":
        import timm

        net: Any = timm.create_model(name, pretrained=False, num_classes=0, **arguments)
        return net, net.forward_features
    if recipe["library"] == "torchvision":
        from torchvision import models

        net = models.get_model(name, weights=None, **arguments)
        return net, net
    from transformers import AutoConfig, AutoModel

    config: Any = AutoConfig.for_model(name, **{k: v for k, v in recipe["config"].items() if k != "model_type"})
    if hasattr(config, "use_cache"):
        config.use_cache = False
    try:
        net = AutoModel.from_config(config, dtype=torch.float32, add_pooling_layer=False)
    except TypeError:  # it has no pooling layer
        net = AutoModel.from_config(config, dtype=torch.float32)
    except ValueError:  # the text part of SigLIP and of others is in no list, and called like its configuration
        import transformers

        net = getattr(transformers, type(config).__name__.removesuffix("Config") + "Model")._from_config(
            config, dtype=torch.float32
        )
    main = net.main_input_name
    net = net.get_encoder() if recipe["encoder"] else net
    if main == "input_ids":
        return net, lambda ids, mask: net(input_ids=ids, attention_mask=mask.long())
    return net, net
