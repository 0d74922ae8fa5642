"""The input that a network was trained on, read from the files beside its weights."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.layouts import LAYOUTS
from tl_core.backbones.recipes import Recipe
from tl_core.backbones.spec import ImageInput, TextInput
from tl_core.errors import BackboneError
from tl_core.types import Modality
from tl_core.workspace import read_json

if TYPE_CHECKING:
    from torch import nn

LONGEST = 512
"""Tokens of a text that are read at most: the cost of a text grows with them."""
USUAL_SIDE = 224
"""Pixels of a picture's side where a configuration does not say it."""
SMALLEST_VOCABULARY = 0.5
"""Share of a network's vocabulary that its tokenizer must know."""
RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's numbers for ways to resize, which processors are stored with."""
SPM = "spm.model"
"""DeBERTa's name for the vocabulary that SentencePiece made."""
_SENTENCE_PIECE = (SPM, "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", *_SENTENCE_PIECE)
SAMPLE = "The quick brown fox jumps over the lazy dog. def f(x): return x"


def image_input(recipe: Recipe, folder: Path | None) -> ImageInput:
    """Return how the network wants its pictures. Raises BackboneError where nothing says it, or only nonsense."""
    try:
        made = _image_input(recipe, folder)
        usable = (
            made.size >= 1 and min(made.std) > 0 and made.crop > 0 and all(map(math.isfinite, made.mean + made.std))
        )
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise _no_picture_sense() from error
    if not usable:
        raise _no_picture_sense()
    return made


def _no_picture_sense() -> BackboneError:
    return BackboneError(
        "What the configuration says about pictures (their size, mean and deviation of their colours) makes no sense.",
        "Bring the configuration from the same place as the weights.",
    )


def _image_input(recipe: Recipe, folder: Path | None) -> ImageInput:
    ensure_torchvision()
    if folder is not None and recipe.layout and (picture := LAYOUTS[recipe.layout].picture):
        return picture(folder)
    if recipe.library == "timm":
        return _timm(recipe, folder)
    if recipe.library == "torchvision":
        return _torchvision(recipe)
    config = _processor_config(folder) if folder else None
    if config is None:
        raise BackboneError(
            "There is no preprocessor_config.json, so nothing says how this network wants its pictures.",
            "Bring it from the same place as the weights.",
        )
    return _processor(config)


def _processor_config(folder: Path) -> dict[str, Any] | None:
    """Return the configuration of a folder's image processor, which newer files keep inside of another."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            config = read_json(folder / name)
            config = config.get("image_processor", config)
            if "image_mean" in config or "size" in config:
                return config
    return None


def assumed_input(recipe: Recipe, modality: Modality, net: "nn.Module") -> ImageInput | TextInput:
    """Return what a network reads as its architecture alone says it: enough to measure it with random weights."""
    if modality == "text":
        positions = getattr(net.config, "max_position_embeddings", LONGEST)
        return TextInput(min(LONGEST, positions if isinstance(positions, int) and positions > 0 else LONGEST))
    if recipe.library != "transformers":
        return image_input(recipe, None)
    size: Any = getattr(net.config, "image_size", USUAL_SIDE)
    side = size if isinstance(size, int) else min(size) if isinstance(size, (list, tuple)) else USUAL_SIDE
    return ImageInput(side, (0.5,) * 3, (0.5,) * 3)


def _timm(recipe: Recipe, folder: Path | None) -> ImageInput:
    import timm
    from timm.data import resolve_data_config

    named = timm.get_pretrained_cfg(recipe.architecture)
    cfg: dict[str, Any] = dict(named.to_dict()) if named else {}
    if folder is not None and (folder / "config.json").is_file():
        cfg |= read_json(folder / "config.json").get("pretrained_cfg") or {}
    data = resolve_data_config({}, pretrained_cfg=cfg)
    channels, height, width = data["input_size"]
    sides = recipe.args.get("img_size") or (height, width)
    sides = (sides, sides) if isinstance(sides, int) else tuple(sides)
    size = sides[0]
    if channels != 3 or set(sides) != {size}:
        raise BackboneError(
            f"This network takes pictures of {sides[0]} x {sides[-1]} with {channels} channels.",
            "Choose one that takes square pictures in three colours.",
        )
    way = str(data["interpolation"])
    return ImageInput(
        size,
        _three(data["mean"]),
        _three(data["std"]),
        way if way in RESAMPLE else "bicubic",  # type: ignore[arg-type]
        float(data["crop_pct"]),
        data.get("crop_mode") == "squash",
    )


def _torchvision(recipe: Recipe) -> ImageInput:
    from torchvision import models

    made = models.get_model_weights(recipe.architecture)
    chosen = getattr(made, "DEFAULT", None)
    if chosen is None:
        return ImageInput(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear", 0.875)
    preset: Any = chosen.transforms()
    size, short = preset.crop_size[0], preset.resize_size[0]
    return ImageInput(
        size, _three(preset.mean), _three(preset.std), preset.interpolation.value, _crop(size, max(size, short))
    )


def _processor(config: Mapping[str, Any]) -> ImageInput:
    """Read an image processor's configuration as transformers writes it."""
    size, crop = config.get("size"), config.get("crop_size")
    if size is None and isinstance(side := config.get("image_size"), int):  # as Idefics says it
        size = {"height": side, "width": side}
    size = {"shortest_edge": size} if isinstance(size, int) else size or {}
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop or {}
    cropped = bool(config.get("do_center_crop")) and bool(crop)
    short = size.get("shortest_edge", size.get("height"))
    side = crop["height"] if cropped else short
    square = crop.get("height") == crop.get("width") if cropped else size.get("height") == size.get("width")
    scale = float(config.get("rescale_factor", 1 / 255))
    if not isinstance(side, int) or not isinstance(short, int) or not square or not math.isclose(scale, 1 / 255):
        raise BackboneError(
            "Its preprocessor_config.json asks for pictures that are not square, or scaled in an unusual way.",
            "Choose a network that takes square pictures.",
        )
    normal = config.get("do_normalize", True)
    way = config.get("resample", 2)
    return ImageInput(
        side,
        _three(config.get("image_mean", (0.5,) * 3) if normal else (0.0,) * 3),
        _three(config.get("image_std", (0.5,) * 3) if normal else (1.0,) * 3),
        RESAMPLE[way] if isinstance(way, int) and 0 <= way < len(RESAMPLE) else "bilinear",  # type: ignore[arg-type]
        _crop(side, max(short, side)),
        not cropped and "height" in size,
    )


def check_tokenizer(folder: Path) -> None:
    """Raise BackboneError where a folder has no tokenizer of its own."""
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise BackboneError(
            "There is no tokenizer beside the weights, so no text can be turned into this network's tokens.",
            "Bring tokenizer.json (or its vocabulary files) from the same place as the weights.",
        )


def text_input(folder: Path, net: "nn.Module", save_as: Path) -> TextInput:
    """Return how the network wants its texts, and write its tokenizer to `save_as` as one tokenizer.json.

    Raises BackboneError where the tokenizer cannot be read or does not fit the vocabulary.
    """
    check_tokenizer(folder)
    config: Any = net.config
    tokenizer = _tokenizer(folder, config.model_type)
    words = max(int(getattr(config, "vocab_size", 0)), 1)
    ids = tokenizer(SAMPLE)["input_ids"]
    unknown = tokenizer.unk_token_id
    special = set(tokenizer.all_special_ids)
    plain = [number for number in ids if number not in special]
    if len(tokenizer) < SMALLEST_VOCABULARY * words or max(ids, default=0) >= words or not plain:
        raise BackboneError(
            f"The tokenizer knows {len(tokenizer):,} tokens and the network {words:,}: they do not belong together.",
            "Bring the tokenizer from the same place as the weights.",
        )
    if unknown is not None and all(number == unknown for number in plain):
        raise BackboneError("The tokenizer knows no word.", "Bring its vocabulary from the same place as the weights.")
    tokenizer.backend_tokenizer.save(str(save_as))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else getattr(config, "pad_token_id", None)
    pad = pad if isinstance(pad, int) and 0 <= pad < words else 0
    return TextInput(_longest(folder, net, int(tokenizer.model_max_length)), str(save_as), pad)


def _tokenizer(folder: Path, model_type: str) -> Any:
    try:
        if not (folder / "tokenizer.json").is_file() and (folder / SPM).is_file():
            return _deberta_tokenizer(folder)
        kind = _tokenizer_class(folder, model_type)
        tokenizer = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer.backend_tokenizer  # noqa: B018 (a tokenizer in plain Python has none)
    except Exception as error:  # libraries that are missing and files that are broken show in many ways
        raise BackboneError(
            "The tokenizer beside the weights cannot be read.", "Bring it as tokenizer.json, which needs nothing else."
        ) from error
    return tokenizer


def _tokenizer_class(folder: Path, model_type: str) -> Any:
    """Return what reads a tokenizer: tokenizer.json itself where transformers would not, or does not know the model."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    fast = transformers.PreTrainedTokenizerFast
    whole = (folder / "tokenizer.json").is_file()
    config, settings = (_json(folder / name) for name in ("config.json", "tokenizer_config.json"))
    if config.get("model_type") not in CONFIG_MAPPING:
        return fast if whole else getattr(transformers, str(TOKENIZER_MAPPING_NAMES.get(model_type)))
    named = getattr(transformers, str(settings.get("tokenizer_class")), fast)
    return transformers.AutoTokenizer if not whole or issubclass(named, fast) else fast


def _json(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _deberta_tokenizer(folder: Path) -> Any:
    """Read the vocabulary of SentencePiece that DeBERTa-v3 is published with, and nothing else.

    transformers asks for the package sentencepiece, of which it then uses only the description of the file.
    """
    from transformers import DebertaV2Tokenizer
    from transformers.convert_slow_tokenizer import import_protobuf

    model = import_protobuf().ModelProto()
    model.ParseFromString((folder / SPM).read_bytes())
    if model.trainer_spec.model_type != 1:
        raise BackboneError("Its spm.model is not a unigram model.", "Bring it as tokenizer.json.")
    settings = _json(folder / "tokenizer_config.json")
    return DebertaV2Tokenizer(
        vocab=[(piece.piece, piece.score) for piece in model.pieces],
        do_lower_case=bool(settings.get("do_lower_case", False)),
        unk_id=model.trainer_spec.unk_id,
    )


def _longest(folder: Path, net: "nn.Module", stated: int) -> int:
    """Return how many tokens of a text are read."""
    from torch import nn

    limits = [LONGEST, stated]
    config: Any = net.config
    if isinstance(positions := getattr(config, "max_position_embeddings", None), int) and positions > 0:
        table = next((m for n, m in net.named_modules() if n.endswith("position_embeddings")), None)
        kept = table.padding_idx if isinstance(table, nn.Embedding) else None
        limits.append(positions - (0 if kept is None else kept + 1))
    for name in ("sentence_bert_config.json",):
        if (folder / name).is_file() and isinstance(most := read_json(folder / name).get("max_seq_length"), int):
            limits.append(most)
    return max(2, min(limit for limit in limits if limit > 0))


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in (values if len(values) == 3 else [values[0]] * 3))
    return red, green, blue


def _crop(size: int, short: int) -> float:
    """Return the share of the resized short side that is cut out, with `floor(size / share)` equal to `short`."""
    share = size / short
    return share if math.floor(size / share) == short else size / (short + 0.5)
