"""How public libraries build the described backbones: recipes from the configuration files that their authors publish.

Only what differs from a library's defaults is written down; a library that changes a default changes the number of
parameters, which tests compare with the cards.
"""

from collections.abc import Mapping
from typing import Any

Described = Mapping[str, Any]
"""A recipe as plain JSON: library, architecture, config, args."""


def _timm(architecture: str, **args: Any) -> Described:
    return {"library": "timm", "architecture": architecture, "config": {}, "args": args}


def _transformers(model_type: str, **config: Any) -> Described:
    return {"library": "transformers", "architecture": model_type, "config": config, "args": {}}


_ROBERTA = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_DEBERTA_V3 = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 128100,
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
    "position_biased_input": False,
    "relative_attention": True,
    "position_buckets": 256,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
}
_LLAMA_32_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": True,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}
_STARCODER2_3B = {
    "max_position_embeddings": 16384,
    "sliding_window": 4096,
    "rope_parameters": {"rope_type": "default", "rope_theta": 999999.4420358813},
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_VIT_L14 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": 768,
}
_VIT_H14 = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "hidden_act": "gelu",
}
_LLAMA_7B = {"vocab_size": 32000, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
_VICUNA_7B = {"vocab_size": 32064, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
_CLIP_B32 = {"patch_size": 32, "hidden_act": "quick_gelu"}
_CLIP_TEXT = {"hidden_act": "quick_gelu"}

RECIPES: Mapping[str, Described] = {
    "resnet50": _timm("resnet50"),
    "efficientnet_b0": _timm("efficientnet_b0"),
    "convnext_tiny": _timm("convnext_tiny"),
    "vit_b16": _timm("vit_base_patch16_224"),
    "rad_dino": _transformers("dinov2", image_size=518, patch_size=14),
    "biovil_t": _timm("resnet50"),
    "biovil_t#text": _transformers("bert"),
    "medclip": _transformers("swin"),
    "medclip#text": _transformers("bert", vocab_size=28996),
    "satmae": _timm("vit_large_patch16_224"),
    "prithvi_eo2": _timm("vit_large_patch16_224"),
    "cellvit": _timm("vit_small_patch16_224", img_size=256),
    "bioclip": _transformers("clip_vision_model", patch_size=16, hidden_act="gelu"),
    "bioclip#text": _transformers("clip_text_model", hidden_act="gelu"),
    "bert": _transformers("bert"),
    "roberta": _transformers("roberta", **_ROBERTA),
    "deberta_v3": _transformers("deberta-v2", **_DEBERTA_V3),
    "llama32_1b": _transformers("llama", **_LLAMA_32_1B),
    "scibert": _transformers("bert", vocab_size=31090),
    "biomedbert": _transformers("bert"),
    "legalbert": _transformers("bert"),
    "codebert": _transformers("roberta", **_ROBERTA),
    "starcoder2_3b": _transformers("starcoder2", **_STARCODER2_3B),
    "clip_b32": _transformers("clip_vision_model", **_CLIP_B32),
    "clip_b32#text": _transformers("clip_text_model", **_CLIP_TEXT),
    "siglip_b16": _transformers("siglip_vision_model"),
    "siglip_b16#text": _transformers("siglip_text_model"),
    "idefics_9b": _transformers("clip_vision_model", **_VIT_H14),
    "idefics_9b#text": _transformers("llama", **_LLAMA_7B),
    "llava_15_7b": _transformers("clip_vision_model", **_VIT_L14, image_size=336),
    "llava_15_7b#text": _transformers("llama", **_VICUNA_7B),
}
"""Recipes by the backbone's name. Of the networks that read pictures and texts, `NAME#text` is the part for texts."""
