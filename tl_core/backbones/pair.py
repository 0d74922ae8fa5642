"""A picture backbone beside a text backbone: together they read items that have a picture and a text. No torch."""

from functools import partial
from typing import TYPE_CHECKING

from tl_core.backbones.spec import BackboneSpec, ImageInput, PairInput, TextInput, Weights
from tl_core.errors import UsageError
from tl_core.layers import LayerGroup
from tl_core.types import PARTS, Part, noun

if TYPE_CHECKING:
    from tl_core.backbones.staged import Staged

JOIN = "+"
"""Between the names of the two backbones: `efficientnet_lite0+all_minilm_l6_v2`."""


def pair(one: BackboneSpec, other: BackboneSpec) -> BackboneSpec:
    """Return two backbones, one for each part, as one: the picture's layer groups first, then those of the text.

    Its pooled output `[N, D1 + D2]` is that of both, side by side. Raises UsageError unless one reads pictures and the
    other texts.
    """
    by_part = {spec.modality: spec for spec in (one, other)}
    if set(by_part) != {"image", "text"}:
        raise UsageError(
            f"{one.name} reads {noun(one.modality)}, and {other.name} reads {noun(other.modality)}.",
            f"Name a backbone for pictures and one for texts: PICTURE{JOIN}TEXT.",
        )
    image, text = by_part["image"], by_part["text"]
    counted = bool(image.group_parameters and text.group_parameters)
    stated = bool(image.group_matrices and text.group_matrices)
    both = isinstance(image.input, ImageInput) and isinstance(text.input, TextInput)
    return BackboneSpec(
        name=f"{image.name}{JOIN}{text.name}",
        title=f"{image.title} + {text.title}",
        modality="multimodal",
        place=("multimodal", "general"),
        summary=f"{image.title} for the picture and {text.title} for the text, with one head on the features of both.",
        parameters=image.parameters + text.parameters,
        licence=" and ".join(dict.fromkeys((image.licence, text.licence))),
        source=" and ".join(dict.fromkeys((image.source, text.source))),
        weights=Weights(image.weights.kind, _both_names(image, text), image.weights.bytes + text.weights.bytes),
        input=PairInput(image.input, text.input) if both else None,  # type: ignore[arg-type]
        features=image.features + text.features if image.features and text.features else 0,
        groups=(*_groups("image", image), *_groups("text", text)),
        group_parameters=(*image.group_parameters, *text.group_parameters) if counted else (),
        group_matrices=(*image.group_matrices, *text.group_matrices) if stated else (),
        access=" ".join(filter(None, (image.access, text.access))),
        load=partial(_load, image, text) if image.ready and text.ready else None,
        card={"towers": [_tower_card(image), _tower_card(text)]} if image.card or text.card else None,
        towers=(image, text),
    )


def tower(spec: BackboneSpec, part: Part) -> BackboneSpec:
    """Return the backbone that reads a part: one of the two of a pair, or the backbone itself."""
    return spec.towers[PARTS["multimodal"].index(part)] if spec.towers else spec


def _both_names(image: BackboneSpec, text: BackboneSpec) -> str:
    """Return where the weights of both are; "" where one has random weights only."""
    return JOIN.join((image.weights.name, text.weights.name)) if image.pretrained and text.pretrained else ""


def _groups(part: Part, spec: BackboneSpec) -> tuple[LayerGroup, ...]:
    return tuple(LayerGroup(f"{part}.{group.name}", rf"{part}\.(?:{group.pattern})") for group in spec.groups)


def _tower_card(spec: BackboneSpec) -> dict[str, object]:
    return {"name": spec.name, "card": dict(spec.card) if spec.card else None}


def _load(image: BackboneSpec, text: BackboneSpec, pretrained: bool) -> "Staged":
    from tl_core.backbones.pair_network import PairNetwork

    assert image.load is not None
    assert text.load is not None
    return PairNetwork(image.load(pretrained), text.load(pretrained))
