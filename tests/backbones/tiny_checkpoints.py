"""Checkpoints with a million random weights at most, saved by timm and transformers themselves."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from tests.backbones.open_clip_reference import OpenClip
from tests.tiny import TOKENIZER
from tl_core.backbones.compat import ensure_torchvision

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
CLASSES = 10


def timm_files(architecture: str = "test_resnet", seed: int = 0) -> dict[str, bytes]:
    """Return a repository as timm publishes it, with a classifier of ten classes."""
    ensure_torchvision()
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        save_for_hf(timm.create_model(architecture, num_classes=CLASSES), folder, safe_serialization=True)
        card = b"---\nlicense: apache-2.0\nlibrary_name: timm\n---\n# Tiny\n"
        return {**contents(Path(folder)), "README.md": card}


def bert_files(seed: int = 0, dtype: torch.dtype = torch.float32, shard: str = "1GB", **more: Any) -> dict[str, bytes]:
    """Return a repository as transformers saves a BERT, with a tokenizer; `shard` is the most bytes of a file."""
    ensure_torchvision()
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    net = BertModel(BertConfig(vocab_size=118, max_position_embeddings=64, **{**SIZES, **more})).to(dtype)
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder, max_shard_size=shard)
        settings = json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": 48}).encode()
        return {
            **contents(Path(folder)),
            "tokenizer.json": TOKENIZER.read_bytes(),
            "tokenizer_config.json": settings,
        }


def llama_files(seed: int = 0) -> dict[str, bytes]:
    """Return a repository as transformers saves a LLaMA with its language head, with a tokenizer."""
    ensure_torchvision()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=118, max_position_embeddings=64, num_key_value_heads=2, eos_token_id=3, **SIZES)
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        return {**contents(Path(folder)), "tokenizer.json": TOKENIZER.read_bytes()}


WORDS = {"vocab_size": 118, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
PICTURES = {"image_size": 32, "patch_size": 8}
PREPARED = {
    "size": {"height": 32, "width": 32},
    "do_center_crop": False,
    "image_mean": [0.5] * 3,
    "image_std": [0.4] * 3,
}
"""An image processor's configuration."""
OPEN_CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 48, "vocab_size": 118, "width": 32, "heads": 2, "layers": 3},
}


def library_files(net: Any, pictures: bool = False, texts: bool = False) -> dict[str, bytes]:
    """Return a repository as transformers saves a network, with what prepares its input."""
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder)
        files = contents(Path(folder))
    if pictures:
        files["preprocessor_config.json"] = json.dumps(PREPARED).encode()
    if texts:
        settings = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}).encode()
        files |= {"tokenizer.json": TOKENIZER.read_bytes(), "tokenizer_config.json": settings}
    return files


def clip_net(seed: int = 0) -> Any:
    """Return a CLIP as transformers builds it."""
    ensure_torchvision()
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    text = {**SIZES, **WORDS, "max_position_embeddings": 48}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=SIZES | PICTURES, projection_dim=24)).eval()


def siglip_net(seed: int = 0) -> Any:
    """Return a SigLIP as transformers builds it."""
    ensure_torchvision()
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(seed)
    text = {**SIZES, **WORDS, "max_position_embeddings": 24, "projection_size": 32}
    return SiglipModel(SiglipConfig(text_config=text, vision_config=SIZES | PICTURES)).eval()


def open_clip_files(quick: bool = False, seed: int = 0) -> tuple[dict[str, bytes], OpenClip]:
    """Return a repository in the layout of open_clip, and the network that it holds."""
    torch.manual_seed(seed)
    model = OPEN_CLIP | ({"quick_gelu": True} if quick else {})
    net = OpenClip(model).eval()
    prepare = {"mean": [0.5] * 3, "std": [0.4] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    files = {
        "open_clip_config.json": json.dumps({"model_cfg": model, "preprocess_cfg": prepare}).encode(),
        "open_clip_pytorch_model.bin": torch_bytes(net.state_dict()),
        "tokenizer.json": _ending_with_the_last_word(),
        "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}',
    }
    return files, net


def _ending_with_the_last_word() -> bytes:
    """Return the tokenizer with the last of its words at the end of every text, as that of CLIP has it."""
    tokenizer = json.loads(TOKENIZER.read_bytes())
    post = tokenizer["post_processor"]
    post["single"][-1]["SpecialToken"]["id"] = "[MASK]"
    post["special_tokens"]["[MASK]"] = {"id": "[MASK]", "ids": [117], "tokens": ["[MASK]"]}
    return json.dumps(tokenizer).encode()


def torch_bytes(value: Any, old: bool = False) -> bytes:
    """Return what torch.save writes, or wrote before 2020."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def pickled(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return a repository whose weights are a pickle in place of safetensors."""
    from safetensors.torch import load

    rest = {name: data for name, data in files.items() if name != "model.safetensors"}
    return {**rest, "pytorch_model.bin": torch_bytes(load(files["model.safetensors"]))}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files of a repository into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
