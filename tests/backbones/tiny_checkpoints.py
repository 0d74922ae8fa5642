"""Checkpoints with a million random weights at most, saved by timm and transformers themselves."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

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


def pickled(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return a repository whose weights are a pickle in place of safetensors."""
    from safetensors.torch import load

    buffer = io.BytesIO()
    torch.save(load(files["model.safetensors"]), buffer)
    rest = {name: data for name, data in files.items() if name != "model.safetensors"}
    return {**rest, "pytorch_model.bin": buffer.getvalue()}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files of a repository into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
