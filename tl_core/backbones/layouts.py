"""Weights that are not stored as the library that builds their network stores them, and how to read each.

A layout reads a folder as tensors by the names that the network has for them. Nothing is rewritten on the disk: the
files stay those that were published, and their checksums hold.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_core.backbones.hub.selection import BIOVIL_T, OPEN_CLIP, OPEN_CLIP_WEIGHTS, PRITHVI
from tl_core.backbones.spec import ImageInput
from tl_core.backbones.weight_files import Tensors, weight_files
from tl_core.errors import BackboneError
from tl_core.workspace import read_json

if TYPE_CHECKING:
    import torch

State = Mapping[str, "torch.Tensor"]
BANDS = ("B04", "B03", "B02")
"""Red, green and blue, as Sentinel-2 numbers its bands."""
WHITE = 2000.0
"""Reflectance times 10,000 at which Sentinel-2's own true-colour pictures of the ground are white."""


class Renamed(Mapping[str, "torch.Tensor"]):
    """Some tensors under other names, read when they are asked for; `names` gives the stored name of each."""

    def __init__(self, state: State, names: Mapping[str, str]) -> None:
        self._state, self._names = state, names

    def __getitem__(self, name: str) -> "torch.Tensor":
        return self._state[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


@dataclass(frozen=True)
class Layout:
    """`tensors` reads the files of a folder; `picture` says how its pictures are prepared, None where a file does."""

    tensors: Callable[[Path], State]
    picture: Callable[[Path], ImageInput] | None = None

    def read(self, folder: Path, wanted: State) -> State:
        """Return what lies under the prefix that most of the wanted tensors are found under.

        Raises BackboneError where there is none of them.
        """
        state = self.tensors(folder)
        stored = _by_end(state)
        prefixes: Counter[str] = Counter()
        for name, tensor in wanted.items():
            for full in stored.get(name.rpartition(".")[2], ()):
                if full.endswith(name) and (full == name or full[-len(name) - 1] == "."):
                    prefixes[full.removesuffix(name)] += 1 + (_shape(state, full) == tuple(tensor.shape))
        if not prefixes:
            raise BackboneError(
                "These weights are of another network: none of its layers is among them.",
                "Bring the file that its authors publish for it.",
            )
        prefix = prefixes.most_common(1)[0][0]
        return Renamed(state, {name.removeprefix(prefix): name for name in state if name.startswith(prefix)})


def _by_end(state: State) -> dict[str, list[str]]:
    ends: dict[str, list[str]] = {}
    for name in state:
        ends.setdefault(name.rpartition(".")[2], []).append(name)
    return ends


def _shape(state: State, name: str) -> tuple[int, ...]:
    return state.shape(name) if isinstance(state, Tensors) else tuple(state[name].shape)


def plain_tensors(folder: Path) -> Tensors:
    """Return the tensors of the usual files of weights."""
    return Tensors(weight_files(folder))


def _open_clip(folder: Path) -> State:
    """Return the tensors of open_clip under the names of transformers' CLIPModel."""
    file = next((folder / name for name in OPEN_CLIP_WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise BackboneError(f"There are no weights in {folder.name}.", f"Bring {OPEN_CLIP_WEIGHTS[0]}.")
    named: dict[str, torch.Tensor] = {}
    for name, tensor in Tensors([file]).items():
        tower, short = ("vision_model", name[7:]) if name.startswith("visual.") else ("text_model", name)
        short = short.removeprefix("text.")
        if short in _PROJECTIONS:
            named[("visual" if tower == "vision_model" else "text") + "_projection.weight"] = tensor.T
        elif short == "logit_scale":
            named[short] = tensor
        elif match := re.fullmatch(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", short):
            for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                named[f"{tower}.encoder.layers.{match[1]}.self_attn.{letter}_proj.{match[2]}"] = third
        else:
            for ours, theirs in _CLIP_NAMES:
                short = re.sub(ours, theirs, short)
            named[f"{tower}.{short}"] = tensor
    return named


_PROJECTIONS = ("proj", "text_projection")
_CLIP_NAMES = (
    (r"^class_embedding$", "embeddings.class_embedding"),
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^conv1\.", "embeddings.patch_embedding."),
    (r"^token_embedding\.", "embeddings.token_embedding."),
    (r"^ln_pre\.", "pre_layrnorm."),
    (r"^ln_post\.", "post_layernorm."),
    (r"^ln_final\.", "final_layer_norm."),
    (r"^transformer\.resblocks\.", "encoder.layers."),
    (r"\.ln_(\d)\.", r".layer_norm\1."),
    (r"\.attn\.", ".self_attn."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)


def _open_clip_picture(folder: Path) -> ImageInput:
    config = read_json(folder / OPEN_CLIP)
    given: dict[str, Any] = config.get("preprocess_cfg") or {}
    size = given.get("size") or config["model_cfg"]["vision_cfg"].get("image_size", 224)
    mean = given.get("mean") or (0.48145466, 0.4578275, 0.40821073)
    std = given.get("std") or (0.26862954, 0.26130258, 0.27577711)
    return ImageInput(
        size[0] if isinstance(size, list) else int(size),
        (mean[0], mean[1], mean[2]),
        (std[0], std[1], std[2]),
        given.get("interpolation") or "bicubic",
        1.0,
        given.get("resize_mode") == "squash",
    )


def _biovil_t(folder: Path) -> State:
    return Tensors([folder / BIOVIL_T])


def _prithvi(folder: Path) -> State:
    """Return the encoder for one picture: red, green and blue filters, and the positions of the first moment.

    Where the other bands have their mean, which is 0 after normalisation, the network computes just this.
    """
    file = next((path for path in folder.iterdir() if PRITHVI.fullmatch(path.name)), None)
    state = dict(Tensors([file] if file else weight_files(folder)))
    bands = prithvi_settings(folder)["bands"]
    for name, tensor in state.items():
        if name.endswith("patch_embed.proj.weight") and tensor.ndim == 5:
            state[name] = tensor[:, [bands.index(band) for band in BANDS], 0]
        elif name.endswith("pos_embed") and "decoder" not in name:
            frames = int(prithvi_settings(folder)["num_frames"])
            state[name] = tensor[:, : 1 + (tensor.shape[1] - 1) // frames]
    return state


def prithvi_settings(folder: Path) -> dict[str, Any]:
    """Return the settings in Prithvi's config.json. Raises BackboneError where red, green and blue are not in it."""
    settings: dict[str, Any] = read_json(folder / "config.json").get("pretrained_cfg") or {}
    if not set(BANDS) <= set(settings.get("bands") or ()):
        raise BackboneError("Its config.json does not name its bands.", "Bring it from the same place as the weights.")
    return settings


def _prithvi_picture(folder: Path) -> ImageInput:
    settings = prithvi_settings(folder)
    places = [settings["bands"].index(band) for band in BANDS]
    red, green, blue = (settings["mean"][place] / WHITE for place in places)
    deviations = [settings["std"][place] / WHITE for place in places]
    return ImageInput(
        int(settings["img_size"]), (red, green, blue), (deviations[0], deviations[1], deviations[2]), "bilinear", 1.0
    )


def _satmae_picture(folder: Path) -> ImageInput:
    mean = (0.4182007312774658, 0.4214799106121063, 0.3991275727748871)
    std = (0.28774282336235046, 0.27541765570640564, 0.2764017581939697)
    return ImageInput(224, mean, std, "bicubic", 224 / 256)


LAYOUTS: Mapping[str, Layout] = {
    "part": Layout(plain_tensors),
    "open_clip": Layout(_open_clip, _open_clip_picture),
    "biovil_t": Layout(_biovil_t, lambda folder: ImageInput(448, (0.0,) * 3, (1.0,) * 3, "bilinear", 448 / 512)),
    "medclip": Layout(
        plain_tensors, lambda folder: ImageInput(224, (0.5862785803043838,) * 3, (0.27950088968644304,) * 3, crop=1.0)
    ),
    "satmae": Layout(plain_tensors, _satmae_picture),
    "prithvi": Layout(_prithvi, _prithvi_picture),
    "cellvit": Layout(plain_tensors, lambda folder: ImageInput(256, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)),
}
"""Every layout; "part" is a part of a network that transformers stores whole."""
FROM_FILES = ("medclip", "satmae", "cellvit")
"""Backbones whose weights come as a file from their authors, without a configuration."""
