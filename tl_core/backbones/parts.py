"""What a folder of weights holds: one network, or one for pictures and one for texts that learned together."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tl_core.backbones.hub.selection import BIOVIL_T, OPEN_CLIP
from tl_core.backbones.layouts import plain_tensors, prithvi_settings
from tl_core.backbones.provenance import TEXT
from tl_core.backbones.recipes import Recipe, library_config, read_recipe
from tl_core.backbones.weight_files import Tensors
from tl_core.errors import BackboneError
from tl_core.workspace import read_json

Parts = Mapping[str, Recipe]
"""Recipes by the end of their name: "" and, where there are two, TEXT."""
LAYOUT = "layout"
"""The entry of a config.json that Graft writes beside weights that come without one."""


def read_parts(folder: Path) -> Parts:
    """Return the networks that a folder holds. Raises BackboneError where no library builds one of them.

    Of some layouts only the shapes of the weights say how large the network is; before the weights are there, the
    recipe is that of the usual size.
    """
    try:
        return _read_parts(folder)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        entry = f" ({error} is missing)" if isinstance(error, KeyError) else ""
        raise BackboneError(
            f"The configuration or the weights are not as this kind of network has them{entry}.",
            "Fetch it again, or bring the files as its authors publish them.",
        ) from error


def _read_parts(folder: Path) -> Parts:
    config = _config(folder)
    if not config and (folder / OPEN_CLIP).is_file():
        return _open_clip(read_json(folder / OPEN_CLIP)["model_cfg"])
    if config.get(LAYOUT) in _BY_LAYOUT:
        return _BY_LAYOUT[config[LAYOUT]](folder)
    if config.get("model_type") == "cxr-bert":
        return _biovil_t(folder, config)
    if str(config.get("architecture", "")).startswith("prithvi_eo_v2"):
        return {"": _prithvi(folder)}
    recipe = read_recipe(folder)
    return _two(recipe) or {"": recipe}


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _two(recipe: Recipe) -> Parts | None:
    """Return both parts of a network of transformers for pictures and texts; None where it is none."""
    if recipe.library != "transformers":
        return None
    config = library_config(recipe)
    vision, text = getattr(config, "vision_config", None), getattr(config, "text_config", None)
    if recipe.architecture == "idefics":
        return _idefics(config)
    if vision is None or text is None:
        return None
    return {
        end: Recipe("transformers", part.model_type, _plain(part), layout="part")
        for end, part in (("", vision), (TEXT, text))
    }


def _plain(config: Any) -> dict[str, Any]:
    drop = {"transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures"}
    return {key: value for key, value in config.to_dict().items() if key not in drop}


def _idefics(config: Any) -> Parts:
    """Idefics rebuilds Flamingo: a CLIP for pictures, a LLaMA, and layers between that look at pictures (left out)."""
    vision = config.vision_config.to_dict()
    same = ("image_size", "intermediate_size", "patch_size", "num_hidden_layers", "num_attention_heads", "hidden_act")
    clip = {key: vision[key] for key in (*same, "layer_norm_eps")} | {"hidden_size": vision["embed_dim"]}
    kept = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "rms_norm_eps",
        "max_position_embeddings",
        "rope_parameters",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
    )
    llama = {key: value for key, value in config.to_dict().items() if key in kept}
    return {
        "": Recipe("transformers", "clip_vision_model", clip, layout="part"),
        TEXT: Recipe("transformers", "llama", llama, layout="part"),
    }


def _open_clip(model: Mapping[str, Any]) -> Parts:
    """Return both parts of an open_clip network. Raises BackboneError where transformers' CLIP does not equal it."""
    vision, text = model["vision_cfg"], model["text_cfg"]
    if "timm_model_name" in vision or "hf_model_name" in text or isinstance(vision.get("layers"), list):
        raise BackboneError(
            "This open_clip model is put together from other libraries' networks.",
            "Take one that is a CLIP with a vision transformer, or the same model in the layout of transformers.",
        )
    activation = {"hidden_act": "quick_gelu" if model.get("quick_gelu") else "gelu"}
    width, words = int(vision["width"]), int(text["width"])
    pictures = {
        "hidden_size": width,
        "intermediate_size": int(width * vision.get("mlp_ratio", 4)),
        "num_hidden_layers": vision["layers"],
        "num_attention_heads": width // vision.get("head_width", 64),
        "image_size": vision.get("image_size", 224),
        "patch_size": vision["patch_size"],
        "projection_dim": model["embed_dim"],
    }
    texts = {
        "hidden_size": words,
        "intermediate_size": int(words * text.get("mlp_ratio", 4)),
        "num_hidden_layers": text["layers"],
        "num_attention_heads": text["heads"],
        "max_position_embeddings": text.get("context_length", 77),
        "vocab_size": text["vocab_size"],
        "eos_token_id": text["vocab_size"] - 1,
        "projection_dim": model["embed_dim"],
    }
    return {
        "": Recipe("transformers", "clip_vision_model", pictures | activation, layout="open_clip"),
        TEXT: Recipe("transformers", "clip_text_model", texts | activation, layout="open_clip"),
    }


def _biovil_t(folder: Path, config: Mapping[str, Any]) -> Parts:
    """BioViL-T: a ResNet-50 for one X-ray (what compares it with an earlier one is left out), and a BERT."""
    kept = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "max_position_embeddings",
        "type_vocab_size",
        "layer_norm_eps",
        "pad_token_id",
    )
    return {
        "": Recipe("timm", "resnet50", args=_resnet(folder), layout="biovil_t"),
        TEXT: Recipe("transformers", "bert", {k: v for k, v in config.items() if k in kept}, layout="part"),
    }


def _resnet(folder: Path) -> dict[str, Any]:
    """Return the blocks and channels of the ResNet in BioViL-T's file; those of ResNet-50 before it is there."""
    if not (folder / BIOVIL_T).is_file():
        return {}
    state = Tensors([folder / BIOVIL_T])
    blocks = [name.split(".layer")[1].split(".") for name in state if name.endswith(".conv3.weight")]
    depths = [sum(layer == str(n) for layer, *_ in blocks) for n in range(1, 5)]
    channels = [_end({name: state.shape(name) for name in state}, f"layer{n}.0.conv1.weight") for n in range(1, 5)]
    if not all(depths) or not all(channels):
        raise BackboneError(f"{BIOVIL_T} holds no ResNet.", "Fetch it again.")
    return {"layers": depths, "channels": [shape[0] for shape in channels if shape]}


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the stored tensors; none before the weights are there."""
    try:
        state = plain_tensors(folder)
    except BackboneError:
        if any(folder.glob("*.bin")) or any(folder.glob("*.safetensors")):
            raise
        return {}
    return {name: state.shape(name) for name in state}


def _end(shapes: Mapping[str, tuple[int, ...]], end: str) -> tuple[int, ...] | None:
    return next((shape for name, shape in shapes.items() if name.endswith(end) and "decoder" not in name), None)


def _check_own(shapes: Mapping[str, tuple[int, ...]], start: str, title: str) -> None:
    """Raise BackboneError where there are weights, and none of them is called as its authors call theirs."""
    if shapes and not any(name.startswith(start) for name in shapes):
        raise BackboneError(
            f"These weights are not those of {title}: none of them begins with {start!r}.",
            "Bring the file that its authors publish.",
        )


def _vit(architecture: str, shapes: Mapping[str, tuple[int, ...]], **args: Any) -> dict[str, Any]:
    """Return the arguments of timm's vision transformer that has such tensors; its heads are 64 channels wide."""
    kernel = _end(shapes, "patch_embed.proj.weight")
    if kernel is None:
        raise BackboneError(
            f"These weights are no vision transformer, which {architecture} is.", "Bring the file of its encoder."
        )
    blocks = {name.split("blocks.")[1].split(".")[0] for name in shapes if "blocks." in name and "decoder" not in name}
    return {
        "embed_dim": kernel[0],
        "depth": len(blocks),
        "num_heads": max(1, kernel[0] // 64),
        "patch_size": kernel[-1],
        **args,
    }


def _satmae(folder: Path) -> Parts:
    shapes = _shapes(folder)
    _check_own(shapes, "cls_token", "SatMAE")
    kernel, positions = _end(shapes, "patch_embed.proj.weight"), _end(shapes, "pos_embed")
    if _end(shapes, "channel_embed") or any("patch_embed.0." in name for name in shapes):
        raise BackboneError(
            "This is the SatMAE for groups of spectral bands, and pictures here have three colours.",
            "Bring the SatMAE that was trained on RGB pictures (fMoW RGB).",
        )
    if kernel and positions and positions[-1] != kernel[0]:
        raise BackboneError(
            "This is the SatMAE for pictures of three moments, and here a picture stands alone.",
            "Bring the SatMAE that was trained on single RGB pictures (fMoW RGB).",
        )
    args = _vit("SatMAE", shapes) if shapes else {}
    return {"": Recipe("timm", "vit_large_patch16_224", args=args, layout="satmae")}


def _prithvi(folder: Path) -> Recipe:
    settings = prithvi_settings(folder)
    patch = settings["patch_size"]
    args = {
        "embed_dim": settings["embed_dim"],
        "depth": settings["depth"],
        "num_heads": settings["num_heads"],
        "patch_size": patch[-1] if isinstance(patch, list) else patch,
        "img_size": settings["img_size"],
    }
    return Recipe("timm", "vit_large_patch16_224", args=args, layout="prithvi")


def _cellvit(folder: Path) -> Parts:
    shapes = _shapes(folder)
    if any("rel_pos_h" in name for name in shapes):
        raise BackboneError(
            "This is the CellViT on the encoder of SAM-H, which has 637 million parameters and is not read here.",
            "Bring CellViT-256.",
        )
    _check_own(shapes, "encoder.", "CellViT-256")
    args = _vit("CellViT-256", shapes, img_size=256) if shapes else {"img_size": 256}
    return {"": Recipe("timm", "vit_small_patch16_224", args=args, layout="cellvit")}


def _medclip(folder: Path) -> Parts:
    """MedCLIP on Swin-T, and its BERT where a vocabulary lies beside the weights."""
    shapes = _shapes(folder)
    _check_own(shapes, "vision_model.model.", "MedCLIP")
    swin, bert = _swin(shapes), _bert(shapes)
    parts = {"": Recipe("transformers", "swin", swin, layout="medclip")}
    if any((folder / name).is_file() for name in ("vocab.txt", "tokenizer.json")):
        parts[TEXT] = Recipe("transformers", "bert", bert, layout="part")
    return parts


def _swin(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the configuration of the Swin with such tensors; that of Swin-T where there are none yet."""
    if not shapes:
        return {}
    first = _end(shapes, "patch_embeddings.projection.weight")
    if first is None:
        raise BackboneError(
            "These weights are not of the MedCLIP on a Swin transformer.", "Bring MedCLIP-ViT's pytorch_model.bin."
        )
    tables = {
        tuple(name.split("encoder.layers.")[1].split(".")[0:3:2]): shape
        for name, shape in shapes.items()
        if name.endswith("relative_position_bias_table")
    }
    depths = [sum(layer == str(n) for layer, _ in tables) for n in range(1 + max(int(layer) for layer, _ in tables))]
    heads = [tables[str(n), "0"][1] for n in range(len(depths))]
    window = (math.isqrt(tables["0", "0"][0]) + 1) // 2
    return {"embed_dim": first[0], "depths": depths, "num_heads": heads, "window_size": window}


def _bert(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the configuration of the BERT with such tensors, its heads 64 channels wide."""
    words = _end(shapes, "word_embeddings.weight")
    if words is None:
        return {"vocab_size": 28996}
    layers = {name.split("encoder.layer.")[1].split(".")[0] for name in shapes if "encoder.layer." in name}
    return {
        "vocab_size": words[0],
        "hidden_size": words[1],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, words[1] // 64),
        "intermediate_size": (_end(shapes, "intermediate.dense.weight") or (0,))[0],
        "max_position_embeddings": (_end(shapes, "position_embeddings.weight") or (512,))[0],
    }


_BY_LAYOUT: Mapping[str, Callable[[Path], Parts]] = {"satmae": _satmae, "cellvit": _cellvit, "medclip": _medclip}
