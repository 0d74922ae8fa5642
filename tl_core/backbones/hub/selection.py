"""Which files of a model are needed: one set of weights, what describes the network, and what prepares its input."""

import re
from collections.abc import Iterable

from tl_core.backbones.hub.listing import RepoFile
from tl_core.errors import BackboneError

CONFIG = "config.json"
OPEN_CLIP = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
PRITHVI = re.compile(r"Prithvi_EO_V2_\w+\.pt")
BIOVIL_T = "biovil_t_image_model_proj_size_128.pt"
"""The part for pictures of a model whose part for texts is stored in the usual way."""
_OF_THEIR_OWN = re.compile("|".join([*map(re.escape, (*OPEN_CLIP_WEIGHTS, BIOVIL_T)), PRITHVI.pattern]))
"""Weights in layouts of their own that are known (`tl_core.backbones.layouts`)."""
_COMPANIONS = re.compile(
    r"config\.json|open_clip_config\.json|(preprocessor|processor|image_processor|sentence_bert)_config\.json|"
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|"
    r"vocab\.(txt|json)|merges\.txt|bpe\.codes|[\w.-]*(spiece|spm|sentencepiece[\w.]*|tokenizer)\.model|"
    r"README\.md|LICEN[SC]E[\w.-]*"
)
_LARGEST_COMPANION = 256 * 2**20
"""Bytes of a file that is not weights."""
_KINDS = (("model", "safetensors"), ("pytorch_model", "bin"))
_FOREIGN = {
    "adapter_model": "an adapter, which needs the network that it was made for",
    ".gguf": "weights in the GGUF format",
    ".onnx": "a graph in the ONNX format",
    ".h5": "weights for TensorFlow",
    ".msgpack": "weights for Flax",
    ".pth": "weights as a PyTorch file of its own layout",
    ".pt": "weights as a PyTorch file of its own layout",
    "open_clip": "weights in the layout of open_clip",
}
_HOW = "Give a model in the layout of transformers or timm: config.json with model.safetensors or pytorch_model.bin."


def choose_files(files: Iterable[RepoFile], name: str) -> tuple[RepoFile, ...]:
    """Return the files that are needed, weights last. `name` is the model's, for messages.

    Safetensors are preferred to pickles, and one file to several. Programs and sub-folders are never taken.
    Raises BackboneError where the configuration or usable weights are missing.
    """
    top = {file.path: file for file in files if "/" not in file.path}
    weights = _weights(top)
    if not weights:
        raise BackboneError(f"{name} holds no weights that can be used{_instead(top)}.", _HOW)
    if CONFIG not in top and OPEN_CLIP not in top:
        raise BackboneError(f"{name} holds no {CONFIG}, so nothing says which network its weights belong to.", _HOW)
    companions = [file for path, file in top.items() if _COMPANIONS.fullmatch(path)]
    for file in (*companions, *weights):
        if file.size <= 0 and file not in companions:
            raise BackboneError(f"{file.path} of {name} is empty.", "Ask its owner, or take another model.")
    if large := [file.path for file in companions if file.size > _LARGEST_COMPANION]:
        raise BackboneError(f"{large[0]} of {name} is larger than such a file ever is.", "Take another model.")
    return (*sorted(companions, key=lambda file: file.path), *weights)


def is_weights(path: str) -> bool:
    """Return whether a file that was chosen holds weights."""
    return path.endswith((".safetensors", ".bin", ".pt"))


def _weights(top: dict[str, RepoFile]) -> tuple[RepoFile, ...]:
    """Return one set of weights: a file, or an index with all of its shards; nothing where there is none."""
    beside = (top[BIOVIL_T],) if BIOVIL_T in top else ()
    usual = _usual(top)
    if usual or beside:
        return (*usual, *beside)
    named = sorted(path for path in top if _OF_THEIR_OWN.fullmatch(path))
    return (top[named[0]],) if named else ()


def _usual(top: dict[str, RepoFile]) -> tuple[RepoFile, ...]:
    """Return the weights as transformers and timm store them."""
    for stem, suffix in _KINDS:
        if whole := top.get(f"{stem}.{suffix}"):
            return (whole,)
        index = top.get(f"{stem}.{suffix}.index.json")
        shards = [file for path, file in sorted(top.items()) if _shard(path, stem, suffix)]
        if index and shards and _complete([file.path for file in shards]):
            return (index, *shards)
    return ()


def _shard(path: str, stem: str, suffix: str) -> bool:
    return bool(re.fullmatch(rf"{stem}-\d{{5}}-of-\d{{5}}\.{suffix}", path))


def _complete(paths: list[str]) -> bool:
    """Return whether shards 00001-of-0000N to 0000N-of-0000N are all there."""
    count = int(re.findall(r"-of-(\d{5})\.", paths[0])[0])
    return [int(re.findall(r"-(\d{5})-of-", path)[0]) for path in paths] == list(range(1, count + 1))


def _instead(top: dict[str, RepoFile]) -> str:
    """Return what a model holds in place of weights that can be used, as an ending of the sentence."""
    if any(re.fullmatch(r"(model|pytorch_model)-\d{5}-of-\d{5}\.\w+|.*\.index\.json", path) for path in top):
        return ": some parts of them are missing"
    if variants := [path for path in top if re.fullmatch(r"(model|pytorch_model)\.\w+\.(safetensors|bin)", path)]:
        return f": only the variant {variants[0]}"
    kinds = dict.fromkeys(words for mark, words in _FOREIGN.items() if any(mark in path for path in top))
    return f", only {' and '.join(kinds)}" if kinds else ""
