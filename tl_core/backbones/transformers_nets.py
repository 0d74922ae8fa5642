"""Networks of transformers as chains of stages, and packaged weights for them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.staged import Staged, State
from tl_core.errors import BackboneError
from tl_core.workspace import read_json


class StagedBert(Staged):
    """transformers' BertModel: `embeddings`, then one stage a layer."""

    net: Any

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.names = ("embeddings", *(f"layer.{i}" for i in range(len(net.encoder.layer))))
        self.drop_attention(False)

    def drop_attention(self, wanted: bool) -> None:
        """Switch attention dropout on, at the config's rate, or off. It disables torch's fused attention.

        Without fused attention, training on long texts loses a third of its speed (docs/LOG.md, 2026-11-21).
        """
        for layer in self.net.encoder.layer:
            layer.attention.self.dropout.p = self.net.config.attention_probs_dropout_prob if wanted else 0.0

    def recipe(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"library": "transformers", "config": json.loads(self.net.config.to_json_string(use_diff=False))}

    def stage(self, index: int, state: State) -> State:
        """Run one stage on ids or hidden states; the mask `[B, T]` is true where there is a token."""
        hidden, mask = state
        if index == 0:
            return self.net.embeddings(input_ids=hidden), mask
        return self.net.encoder.layer[index - 1](hidden, attention_mask=mask[:, None, None, :].bool()), mask


def bert(config: Path, weights: Path | None) -> StagedBert:
    """Build a BertModel from its config file; `weights` None initialises it from torch's seed.

    Raises BackboneError unless the weights of the safetensors file and the network's are the same, name by name.
    """
    net = _bert(read_json(config))
    if weights is not None:
        load_by_name(net, weights, unused=r"pooler\.|embeddings\.position_ids$")
    return StagedBert(net)


def bert_of(config: Mapping[str, Any], state: Mapping[str, torch.Tensor] | None, file: str) -> StagedBert:
    """Build a BertModel from its configuration and its weights, which `file` holds; None: random ones.

    Raises BackboneError unless the weights and the network's are the same, name by name.
    """
    net = _bert(config)
    if state is not None:
        _load(net, state, file)
    return StagedBert(net)


def _bert(config: Mapping[str, Any]) -> Any:
    ensure_torchvision()
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig.from_dict(dict(config), attn_implementation="sdpa"), add_pooling_layer=False)


def load_by_name(net: nn.Module, weights: Path, unused: str) -> None:
    """Load a safetensors file; names that start with the pattern `unused` are left out.

    Raises BackboneError that names what is missing, left over or of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = {name: tensor for name, tensor in load_file(weights).items() if not re.match(unused, name)}
    except (OSError, SafetensorError) as error:
        raise BackboneError(f"The weights in {weights.name} cannot be read ({error}).", _REINSTALL) from error
    _load(net, state, weights.name)


def _load(net: nn.Module, state: Mapping[str, torch.Tensor], file: str) -> None:
    """Copy the weights of a file. Raises BackboneError that names what is missing, left over or of another shape."""
    wanted = net.state_dict()
    wrong = sorted(state.keys() ^ wanted.keys())
    wrong += [name for name in state.keys() & wanted.keys() if state[name].shape != wanted[name].shape]
    if wrong:
        raise BackboneError(f"{file} does not fit the network at: {', '.join(wrong[:5])}.", _REINSTALL)
    net.load_state_dict(state)


_REINSTALL = "The file is not the one that this backbone was built for; install its package again."
