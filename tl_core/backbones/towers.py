"""Pictures and texts in one space: both parts of a network such as CLIP with the projections that they learned with.

Radford et al., 2021 (https://arxiv.org/abs/2103.00020); with a bias and a sigmoid Zhai et al., 2023
(https://arxiv.org/abs/2303.15343).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tl_core.backbones.catalogue import find_backbone
from tl_core.backbones.layouts import LAYOUTS
from tl_core.backbones.parts import read_parts
from tl_core.backbones.preprocess import ImagePreprocessor, TextPreprocessor, preprocessor
from tl_core.backbones.provenance import TEXT
from tl_core.backbones.recipes import build_library, load_tensors, read_recipe
from tl_core.errors import BackboneError
from tl_core.workspace import Workspace

PADDED = ("siglip", "siglip2")
"""Networks that always read texts of the full length, filled up, and without a mask."""
MEASURED = ("clip", *PADDED)
"""Networks whose embeddings are compared with a scale that is stored beside them."""


@dataclass(frozen=True)
class JointEmbedding:
    """A network for pictures and texts. A picture fits a text as well as `scale * cosine + bias` is large.

    With `sigmoid` every pair is judged by itself; without, the texts compete, and a softmax over them is taken.
    """

    net: nn.Module
    pictures: ImagePreprocessor
    texts: TextPreprocessor
    scale: float
    bias: float
    sigmoid: bool
    padded: bool

    @torch.inference_mode()
    def embed_pictures(self, maps: torch.Tensor) -> torch.Tensor:
        """Return embeddings of length one `[N, P]` of pictures `[N, 3, S, S]`, as `pictures.collate` makes them."""
        return _unit(self.net.get_image_features(pixel_values=maps))  # type: ignore[operator]

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return embeddings of length one `[M, P]`."""
        device = next(self.net.parameters()).device
        ids, mask = self.texts.collate([self.texts.prepare(text) for text in texts], device)
        if not self.padded:
            return _unit(self.net.get_text_features(input_ids=ids, attention_mask=mask.long()))  # type: ignore[operator]
        contract = self.texts.input
        ids = ids.masked_fill(~mask.bool(), contract.pad)
        ids = nn.functional.pad(ids, (0, contract.max_tokens - ids.shape[1]), value=contract.pad)
        return _unit(self.net.get_text_features(input_ids=ids))  # type: ignore[operator]

    def logits(self, pictures: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Return how well embedded pictures `[N, P]` fit embedded texts `[M, P]`, `[N, M]`."""
        return self.scale * pictures @ texts.T + self.bias

    def probabilities(self, pictures: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Return the probability `[N, M]` that a picture fits a text: of this text alone, or among the texts."""
        logits = self.logits(pictures, texts)
        return logits.sigmoid() if self.sigmoid else logits.softmax(dim=1)


def joint_embedding(name: str, workspace: Workspace | None = None) -> JointEmbedding:
    """Load the joint embedding of a fetched network for pictures and texts, by the name of either part.

    Raises BackboneError where it is not fetched, or its parts have no space in common.
    """
    workspace = workspace or Workspace.default()
    pictures = find_backbone(name.removesuffix(TEXT), workspace)
    if not pictures.card or not pictures.weights.name:
        raise BackboneError(f"{pictures.title} is not a fetched network for pictures and texts.", pictures.needs)
    texts = find_backbone(pictures.name + TEXT, workspace)
    folder = workspace.root / pictures.weights.name
    net = _whole(folder, pictures.title)
    prepare_pictures, prepare_texts = preprocessor(pictures), preprocessor(texts)
    assert isinstance(prepare_pictures, ImagePreprocessor)
    assert isinstance(prepare_texts, TextPreprocessor)
    scale, bias = net.logit_scale.detach(), getattr(net, "logit_bias", None)
    return JointEmbedding(
        net.eval(),
        prepare_pictures,
        prepare_texts,
        float(scale.exp()),
        0.0 if bias is None else float(bias.detach()),
        bias is not None,
        net.config.model_type in PADDED,
    )


def _whole(folder: Path, title: str) -> Any:
    """Build the whole network with all its weights."""
    parts = read_parts(folder)
    layout = parts[""].layout
    if layout == "open_clip":
        config = {"vision_config": dict(parts[""].config), "text_config": dict(parts[TEXT].config)}
        config["projection_dim"] = parts[""].config["projection_dim"]
        net = build_library("clip", config)
        missing = load_tensors(net, LAYOUTS[layout].tensors(folder))
    else:
        recipe = read_recipe(folder)
        if recipe.architecture not in MEASURED:
            raise BackboneError(
                f"Pictures and texts have no space in common in {title} that could be used here.",
                f"Choose one of the kind of {', '.join(MEASURED)}.",
            )
        net = build_library(recipe.architecture, recipe.config)
        missing = load_tensors(net, LAYOUTS[layout].read(folder, net.state_dict()))
    if missing := tuple(name for name in missing if not name.endswith("position_ids")):
        raise BackboneError(f"The weights of {title} lack {missing[0]}.", "Fetch it again.")
    return net


def _unit(output: Any) -> torch.Tensor:
    embedded = output if isinstance(output, torch.Tensor) else output.pooler_output
    return nn.functional.normalize(embedded, dim=1)
