"""Networks of transformers as chains of stages, and packaged weights for them."""

import json
import re
from pathlib import Path
from typing import Any

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
    ensure_torchvision()
    from transformers import BertConfig, BertModel

    net = BertModel(
        BertConfig.from_dict(read_json(config), attn_implementation="sdpa"),
        add_pooling_layer=False,
    )
    if weights is not None:
        load_by_name(net, weights, unused=r"pooler\.|embeddings\.position_ids$")
    return StagedBert(net)


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
    wanted = net.state_dict()
    wrong = sorted(state.keys() ^ wanted.keys())
    wrong += [name for name in state.keys() & wanted.keys() if state[name].shape != wanted[name].shape]
    if wrong:
        raise BackboneError(f"{weights.name} does not fit the network at: {', '.join(wrong[:5])}.", _REINSTALL)
    net.load_state_dict(state)


_REINSTALL = "The file is not the one that this backbone was built for; install its package again."
