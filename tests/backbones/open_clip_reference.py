"""A CLIP with the tensors' names of open_clip, written from its description: an oracle for what is converted.

Blocks with the normalisation before each part, torch's own attention, a class token at the front of the pictures, and
the texts' embedding at their last token; https://arxiv.org/abs/2103.00020, section 2.4.
"""

import torch
from torch import nn


class QuickGELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, quick: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGELU() if quick else nn.GELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, quick) for _ in range(layers))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Visual(nn.Module):
    def __init__(self, config: dict, embed: int, quick: bool) -> None:
        super().__init__()
        width, patch, size = config["width"], config["patch_size"], config["image_size"]
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(1 + (size // patch) ** 2, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, config["layers"], width // config["head_width"], quick)
        self.proj = nn.Parameter(torch.randn(width, embed))

    def states(self, maps: torch.Tensor) -> torch.Tensor:
        patches = self.conv1(maps).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(maps), 1, -1), patches], dim=1)
        return self.transformer(self.ln_pre(tokens + self.positional_embedding))


class OpenClip(nn.Module):
    """`model_cfg` as in open_clip_config.json."""

    def __init__(self, model_cfg: dict) -> None:
        super().__init__()
        text, quick = model_cfg["text_cfg"], model_cfg.get("quick_gelu", False)
        self.visual = Visual(model_cfg["vision_cfg"], model_cfg["embed_dim"], quick)
        self.transformer = Transformer(text["width"], text["layers"], text["heads"], quick)
        self.token_embedding = nn.Embedding(text["vocab_size"], text["width"])
        self.positional_embedding = nn.Parameter(torch.randn(text["context_length"], text["width"]))
        self.ln_final = nn.LayerNorm(text["width"])
        self.text_projection = nn.Parameter(torch.randn(text["width"], model_cfg["embed_dim"]))
        self.logit_scale = nn.Parameter(torch.tensor(2.5))

    def embed_pictures(self, maps: torch.Tensor) -> torch.Tensor:
        states = self.visual.states(maps)
        return nn.functional.normalize(self.visual.ln_post(states[:, 0]) @ self.visual.proj, dim=1)

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        causal = torch.full((len(ids), len(ids)), -torch.inf).triu(1)
        states = self.token_embedding(ids)[None] + self.positional_embedding[: len(ids)]
        last = self.ln_final(self.transformer(states, causal))[:, -1]
        return nn.functional.normalize(last @ self.text_projection, dim=1)
