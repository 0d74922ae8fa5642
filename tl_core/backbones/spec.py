"""What a backbone is: its data contract, its layer groups, and how to build it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tl_core.layers import LayerGroup
from tl_core.registry import Registry
from tl_core.types import PARTS, Modality, Part

if TYPE_CHECKING:
    from torch import nn

    from tl_core.backbones.staged import Staged


@dataclass(frozen=True)
class ImageInput:
    """How an image becomes a tensor `[3, size, size]`: resize the short side to size / crop, crop, normalise.

    `squash` resizes both sides to size / crop, whatever the picture's shape.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"] = "bicubic"
    crop: float = 0.875
    squash: bool = False


@dataclass(frozen=True)
class TextInput:
    """How a text becomes token ids: the backbone's own tokenizer, cut at `max_tokens`, filled up with `pad`.

    `prefix` is put before every text, where the backbone was trained with one.
    """

    max_tokens: int
    tokenizer: str = "tokenizer.json"
    pad: int = 0
    prefix: str = ""


@dataclass(frozen=True)
class PairInput:
    """How a picture with a text becomes tensors: each part as its own backbone reads it."""

    image: ImageInput
    text: TextInput


@dataclass(frozen=True)
class Weights:
    """Where the pretrained weights are: in an installed package, in a repository of the hub, or in the workspace.

    "file": their authors give them as a file, which a person has to get.
    """

    kind: Literal["package", "hub", "folder", "file"]
    name: str
    bytes: int


@dataclass(frozen=True)
class BackboneSpec:
    """One leaf of the modality tree.

    `load(pretrained)` builds the network as a chain of stages, one stage a layer group, input side first; it is
    None if the weights are not on this machine. `features` is the width D of the pooled output `[N, D]`, and
    `group_parameters` counts the parameters of each layer group (empty: count them on the network).
    `group_matrices` lists the layers of each group that take an adapter, as (inputs, kernel area, outputs).
    `custom_convolutions` names the groups where all of these are convolutions of a library's own class, which fewer
    kinds of adapters fit.
    `original_head()` builds the classifier that the weights were trained with, from pooled features `[B, features]`.
    `tokenizer()` makes the tokenizer file of a package that holds its vocabulary in another form.
    `card` holds what a bundle needs to build the network again, as plain JSON; None for registered backbones.
    `recipe` says how a public library builds the architecture with random weights (`tl_core.backbones.recipes.Recipe`),
    so that it can be tried before a download; None where no library does.
    `parameters` and `weights.bytes` are 0 if the authors do not state them; `access` says what the authors ask for
    before a download. `towers` are the two backbones, for pictures and for texts, of which this one is made.
    """

    name: str
    title: str
    modality: Modality
    place: tuple[str, ...]
    summary: str
    parameters: int
    licence: str
    source: str
    weights: Weights
    input: ImageInput | TextInput | PairInput | None = None
    features: int = 0
    groups: tuple[LayerGroup, ...] = ()
    group_parameters: tuple[int, ...] = ()
    group_matrices: tuple[tuple[tuple[int, int, int], ...], ...] = ()
    custom_convolutions: tuple[str, ...] = ()
    access: str = ""
    load: Callable[[bool], "Staged"] | None = field(default=None, compare=False, repr=False)
    original_head: Callable[[], "nn.Module"] | None = field(default=None, compare=False, repr=False)
    tokenizer: Callable[[], Path] | None = field(default=None, compare=False, repr=False)
    card: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    recipe: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    towers: "tuple[BackboneSpec, ...]" = ()

    @property
    def image_input(self) -> ImageInput | None:
        """How it reads a picture; None where it reads none."""
        given = self.input.image if isinstance(self.input, PairInput) else self.input
        return given if isinstance(given, ImageInput) else None

    @property
    def text_input(self) -> TextInput | None:
        """How it reads a text; None where it reads none."""
        given = self.input.text if isinstance(self.input, PairInput) else self.input
        return given if isinstance(given, TextInput) else None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What it reads: a picture, a text, or both."""
        return PARTS[self.modality]

    @property
    def pretrained(self) -> bool:
        """False where there are no weights but random ones to start from."""
        return self.load is not None and (self.card is None or bool(self.weights.name))

    @property
    def ready(self) -> bool:
        """True where the weights are at hand and the network can be built."""
        return self.load is not None

    @property
    def unusable(self) -> bool:
        """True where the weights can be had, and no library builds their network."""
        return self.weights.kind == "hub" and self.recipe is None and not self.towers and not self.ready

    @property
    def needs(self) -> str:
        """What a person has to do before this backbone can be used; empty if it is ready."""
        if self.ready:
            return ""
        if self.unusable:
            return f"{self.access} Licence: {self.licence}. About it: {self.source}."
        if self.weights.kind == "file":
            way = f"Once you have the file: python -m tl_core fetch FILE --as {self.name.partition('#')[0]}."
            return f"{self.access} Licence: {self.licence}. {way}"
        if self.towers:
            return " ".join(tower.needs for tower in self.towers if not tower.ready)
        size = (
            f"{_size(self.weights.bytes)} of weights" if self.weights.bytes else "weights of a size that is not stated"
        )
        return (
            f"Not on this machine: it takes a download of {size} from the Hugging Face hub ({self.weights.name}). "
            f"Licence: {self.licence}. {self.access} "
            f"To try it: python -m tl_core fetch {self.name}. Whether it can be used is checked first."
        ).replace(".  ", ". ")


def _size(count: int) -> str:
    return f"about {count / 1e9:.1f} GB" if count >= 1e9 else f"about {count / 1e6:.0f} MB"


BACKBONES: Registry[BackboneSpec] = Registry("backbone", "tl_core.backbones.families")
