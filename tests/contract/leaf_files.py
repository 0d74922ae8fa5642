"""What the authors of every leaf publish, as tiny random networks: names of files and of tensors, and wrapping.

Names were looked up in the repositories and in the code that reads them.
"""

import argparse
import functools
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from tests.backbones.tiny_checkpoints import (
    PICTURES,
    PREPARED,
    SIZES,
    WORDS,
    clip_net,
    contents,
    library_files,
    open_clip_files,
    siglip_net,
    timm_files,
    torch_bytes,
)
from tests.tiny import TOKENIZER
from tl_core.backbones.compat import ensure_torchvision

Files = dict[str, bytes]
TEXT = {**SIZES, "vocab_size": 118, "max_position_embeddings": 64}
SENTENCES = [
    "the rain is very cold today",
    "bread and butter with soup",
    "the storm and the wind",
    "def f(x): return x",
]


def vocabulary() -> bytes:
    """The words of the tiny tokenizer as a vocab.txt."""
    words = json.loads(TOKENIZER.read_bytes())["model"]["vocab"]
    return "\n".join(sorted(words, key=words.__getitem__)).encode()


@functools.cache
def byte_pairs() -> Files:
    """vocab.json and merges.txt as RoBERTa has them."""
    from tokenizers import ByteLevelBPETokenizer

    made = ByteLevelBPETokenizer()
    made.train_from_iterator(SENTENCES, 280, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    with tempfile.TemporaryDirectory() as folder:
        made.save_model(folder)
        return contents(Path(folder))


def sentence_pieces() -> bytes:
    """A model of SentencePiece with DeBERTa's special tokens: letters, and a few words that cost less than theirs."""
    from transformers.convert_slow_tokenizer import import_protobuf

    model = import_protobuf().ModelProto()
    model.trainer_spec.model_type, model.trainer_spec.unk_id = 1, 3
    special = [("[PAD]", 3), ("[CLS]", 3), ("[SEP]", 3), ("[UNK]", 2)]  # control, control, control, unknown
    words = [
        "\u2581the",
        "\u2581rain",
        "\u2581is",
        "\u2581bread",
        "\u2581wind",
        "\u2581",
        *"abcdefghijklmnopqrstuvwxyz0123456789().:",
    ]
    for number, (piece, kind) in enumerate([*special, *((word, 1) for word in words)]):
        model.pieces.add(piece=piece, score=0.0 if kind != 1 else -2.0 - number / 10, type=kind)
    return model.SerializeToString()


def stored(
    net: Any, pickle: bool = False, names: Callable[[str], str] = str, shard: str = "1GB", old: bool = False
) -> Files:
    """Return config.json and weights, under other names where asked for, or as torch wrote them before 2020."""
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder, max_shard_size=shard)
        files = {name: data for name, data in contents(Path(folder)).items() if name != "generation_config.json"}
    if shard != "1GB":
        return files
    state = {names(name): tensor for name, tensor in load(files.pop("model.safetensors")).items()}
    weights = {"pytorch_model.bin": torch_bytes(state, old)} if pickle else {"model.safetensors": save(state)}
    return files | weights


def network(kind: str, **config: Any) -> Any:
    ensure_torchvision()
    import transformers

    torch.manual_seed(0)
    model, _, settings = kind.partition(":")
    return getattr(transformers, model)(getattr(transformers, settings)(**config)).eval()


def bert(kind: str = "BertForPreTraining", **how: Any) -> Files:
    return stored(network(f"{kind}:BertConfig", **TEXT), **how) | {"vocab.txt": vocabulary()}


def with_old_norms(name: str) -> str:
    """BERT's own checkpoint calls weight and bias of a normalisation gamma and beta."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def roberta(kind: str, **how: Any) -> Files:
    words = len(json.loads(byte_pairs()["vocab.json"]))
    config = {**TEXT, "vocab_size": words, "max_position_embeddings": 66, "pad_token_id": 1, "type_vocab_size": 1}
    return stored(network(f"{kind}:RobertaConfig", **config), **how) | byte_pairs()


def deberta() -> Files:
    more = {"relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True}
    net = network(
        "DebertaV2Model:DebertaV2Config",
        **{**TEXT, "vocab_size": 60},
        **more,
        pos_att_type=["p2c", "c2p"],
        type_vocab_size=0,
    )
    files = stored(net.half(), pickle=True, names=lambda name: f"deberta.{name}")
    return files | {"spm.model": sentence_pieces(), "tokenizer_config.json": b'{"do_lower_case": false}'}


def decoder(kind: str, shard: str = "1GB", dtype: torch.dtype = torch.float32) -> Files:
    net = network(kind, **TEXT, num_key_value_heads=2, bos_token_id=2, eos_token_id=3)
    settings = b'{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[SEP]"}'
    words = {"tokenizer.json": TOKENIZER.read_bytes(), "tokenizer_config.json": settings}
    return stored(net.to(dtype), shard=shard) | words


def siglip() -> Files:
    files = library_files(siglip_net(), pictures=True, texts=True)
    return files | {"tokenizer_config.json": b'{"tokenizer_class": "SiglipTokenizer", "pad_token": "[SEP]"}'}


def llava() -> Files:
    config = {"vision_config": SIZES | PICTURES | {"model_type": "clip_vision_model"}}
    config["text_config"] = {**SIZES, **WORDS, "model_type": "llama", "num_key_value_heads": 2}
    net = network("LlavaForConditionalGeneration:LlavaConfig", **config, image_token_index=117)
    files = stored(net, names=lambda name: name.replace("vision_tower.", "vision_tower.vision_model."))
    return files | {"tokenizer.json": TOKENIZER.read_bytes(), "preprocessor_config.json": json.dumps(PREPARED).encode()}


def idefics() -> Files:
    same = ("num_hidden_layers", "num_attention_heads", "intermediate_size")
    vision = {name: SIZES[name] for name in same} | PICTURES | {"embed_dim": 32}
    config = {**SIZES, **WORDS, "additional_vocab_size": 2, "use_resampler": True, "vision_config": vision}
    prepare = {"image_num_channels": 3, "image_mean": [0.48] * 3, "image_std": [0.27] * 3, "image_size": 32}
    files = stored(network("IdeficsForVisionText2Text:IdeficsConfig", **config), shard="600KB")
    assert "model.safetensors.index.json" in files
    return files | {"tokenizer.json": TOKENIZER.read_bytes(), "preprocessor_config.json": json.dumps(prepare).encode()}


def rad_dino() -> Files:
    config = {**SIZES, **PICTURES, "mlp_ratio": 2}
    prepare = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    prepare |= {"image_mean": [0.53] * 3, "image_std": [0.26] * 3, "resample": 3}
    return stored(network("Dinov2Model:Dinov2Config", **config)) | {
        "preprocessor_config.json": json.dumps(prepare).encode()
    }


def small_vit(**more: Any) -> dict[str, torch.Tensor]:
    """The tensors of a vision transformer three blocks deep and 64 wide."""
    ensure_torchvision()
    import timm

    torch.manual_seed(0)
    size = {"embed_dim": 64, "depth": 3, "num_heads": 1, "num_classes": 0, **more}
    net = timm.create_model("vit_small_patch16_224", **size)
    return {name: torch.randn_like(tensor) * 0.1 for name, tensor in net.state_dict().items()}


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def biovil_t() -> Files:
    ensure_torchvision()
    import timm

    files = bert("BertForMaskedLM", pickle=True)
    config = json.loads(files["config.json"]) | {
        "model_type": "cxr-bert",
        "projection_size": 128,
        "auto_map": {"AutoModel": "modeling_cxrbert.CXRBertModel"},
    }
    torch.manual_seed(0)
    resnet = timm.create_model("resnet50", num_classes=0, layers=(1, 1, 1, 1), channels=(8, 8, 16, 16))
    state = under("encoder.encoder.", resnet.state_dict()) | {
        "encoder.backbone_to_vit.weight": torch.randn(256, 64, 1, 1),
        "encoder.missing_previous_emb": torch.randn(1, 256, 1, 1),
        "projector.model.0.weight": torch.randn(128, 512, 1, 1),
    }
    return files | {
        "config.json": json.dumps(config).encode(),
        "modeling_cxrbert.py": b"1/0",
        "biovil_t_image_model_proj_size_128.pt": torch_bytes(state),
    }


def prithvi() -> Files:
    state = small_vit(img_size=32, patch_size=8)
    kernel = torch.randn(64, 6, 1, 8, 8) * 0.1
    positions = torch.randn(1, 1 + 4 * 16, 64) * 0.1
    state |= {"patch_embed.proj.weight": kernel, "pos_embed": positions}
    whole = under("encoder.", state) | {
        "encoder.temporal_embed_enc.scale": torch.ones(1),
        "encoder.location_embed_enc.scale": torch.ones(1),
        "decoder.mask_token": torch.zeros(1, 1, 32),
        "decoder.decoder_pos_embed": torch.zeros(1, 65, 32),
    }
    settings = {
        "img_size": 32, "num_frames": 4, "patch_size": [1, 8, 8], "in_chans": 6, "embed_dim": 64, "depth": 3,
        "num_heads": 1, "coords_encoding": ["time", "location"],
        "bands": ["B02", "B03", "B04", "B05", "B06", "B07"],
        "mean": [1087.0, 1342.0, 1433.0, 2734.0, 1958.0, 1363.0],
        "std": [2248.0, 2179.0, 2178.0, 1850.0, 1242.0, 1049.0],
    }  # fmt: skip
    config = {"architecture": "prithvi_eo_v2_300_tl", "num_features": 64, "pretrained_cfg": settings}
    return {"config.json": json.dumps(config).encode(), "Prithvi_EO_V2_300M_TL.pt": torch_bytes(whole)}


def satmae() -> Files:
    decoder = {"mask_token": torch.zeros(1, 1, 32), "decoder_pos_embed": torch.zeros(1, 197, 32)}
    saved = {"model": small_vit() | decoder, "epoch": 199, "args": argparse.Namespace(model="mae_vit_large_patch16")}
    return {"fmow_pretrain.pth": torch_bytes(saved)}


def cellvit() -> Files:
    decoder = {"decoder0.0.block.0.weight": torch.zeros(8, 3, 3, 3), "classifier_head.weight": torch.zeros(19, 64)}
    saved = {
        "arch": "CellViT256",
        "model_state_dict": under("encoder.", small_vit()) | decoder,
        "config": {"data.num_nuclei_classes": 6},
    }
    return {"CellViT-256-x20.pth": torch_bytes(saved)}


def medclip() -> Files:
    torch.manual_seed(0)
    swin = network("SwinModel:SwinConfig", embed_dim=16, depths=[1, 1, 2], num_heads=[2, 2, 4])
    text = network("BertModel:BertConfig", **{**TEXT, "hidden_size": 64, "num_attention_heads": 1})
    state = {
        **under("vision_model.model.", swin.state_dict()),
        "vision_model.projection_head.weight": torch.randn(32, 64),
        **under("text_model.model.", text.state_dict()),
        "text_model.projection_head.weight": torch.randn(32, 64),
        "logit_scale": torch.tensor(2.0),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("pytorch_model.bin", torch_bytes(state))
        archive.writestr("vocab.txt", vocabulary())
    return {"medclip-vit-pretrained.zip": out.getvalue()}


HUB: dict[str, Callable[[], Files]] = {
    "resnet50": lambda: timm_files("test_resnet"),
    "efficientnet_b0": lambda: timm_files("test_efficientnet"),
    "convnext_tiny": lambda: timm_files("test_convnext"),
    "vit_b16": lambda: resized(timm_files("test_vit")),
    "rad_dino": rad_dino,
    "biovil_t": biovil_t,
    "prithvi_eo2": prithvi,
    "bioclip": lambda: open_clip_files()[0],
    "bert": lambda: bert(names=with_old_norms) | {"tokenizer.json": TOKENIZER.read_bytes()},
    "roberta": lambda: roberta("RobertaForMaskedLM"),
    "deberta_v3": deberta,
    "llama32_1b": lambda: decoder("LlamaForCausalLM:LlamaConfig", dtype=torch.bfloat16),
    "scibert": lambda: bert(pickle=True, old=True),
    "biomedbert": lambda: bert("BertForMaskedLM", pickle=True),
    "legalbert": lambda: bert(pickle=True, names=with_old_norms, old=True),
    "codebert": lambda: roberta("RobertaModel", pickle=True),
    "starcoder2_3b": lambda: decoder("Starcoder2ForCausalLM:Starcoder2Config", shard="60KB"),
    "clip_b32": lambda: library_files(clip_net(), pictures=True, texts=True),
    "siglip_b16": siglip,
    "idefics_9b": idefics,
    "llava_15_7b": llava,
}
"""Repositories of the hub, by the leaf that names them."""
FILES: dict[str, Callable[[], Files]] = {"medclip": medclip, "satmae": satmae, "cellvit": cellvit}
"""Files that authors give themselves."""


def resized(files: Files) -> Files:
    """Return a repository whose configuration asks for pictures of another size than its positions are for."""
    config = json.loads(files["config.json"])
    config["model_args"] = {"img_size": 96}
    return files | {"config.json": json.dumps(config).encode()}
