"""What is known of a network beside the registry, as a small file: what was given, and what was derived from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tl_core.backbones.provenance import Provenance
from tl_core.backbones.spec import ImageInput, TextInput
from tl_core.layers import LayerGroup
from tl_core.types import Modality


@dataclass(frozen=True)
class StageEnd:
    """Where a stage ends: its layer group, the module there ("" for the network's output), and its state's layout."""

    group: str
    module: str
    kind: Literal["nchw", "nhwc", "tokens", "hidden", "causal"]
    prefix: int = 0
    width: int = 0


@dataclass(frozen=True)
class Proof:
    """What was proven: with which versions of the libraries, and the fingerprint of stages and owners."""

    versions: Mapping[str, str]
    fingerprint: str


@dataclass(frozen=True)
class Card:
    """What a network is. `recipe`, `input` and `provenance` are given; everything else is derived from them.

    `folder` is where the weights are, below the workspace; "" where there are none. `without` are modules that looked
    like the end of a stage and failed the proof; `unread` are tensors that no stage reads. `shapes_tell`: its stages
    are found without computing anything, as was checked when it was proven.
    """

    provenance: Provenance
    modality: Modality
    recipe: Mapping[str, Any]
    input: ImageInput | TextInput
    stages: tuple[StageEnd, ...]
    groups: tuple[LayerGroup, ...]
    group_parameters: tuple[int, ...]
    group_matrices: tuple[tuple[tuple[int, int, int], ...], ...]
    unread: tuple[str, ...]
    proof: Proof
    without: tuple[str, ...] = ()
    custom_convolutions: tuple[str, ...] = ()
    folder: str = ""
    shapes_tell: bool = False


def fingerprint(stages: Mapping[str, list[str]]) -> str:
    """Return a short hash of each stage's end and of the tensors that it owns."""
    return hashlib.sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()[:16]


def plain(value: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON types."""
    return json.loads(json.dumps(asdict(value)))
