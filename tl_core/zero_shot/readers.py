"""Which backbones can compare the items of a data set with names of classes."""

from tl_core.backbones.acquire import other_part
from tl_core.backbones.catalogue import find_backbone, registered
from tl_core.backbones.provenance import TEXT
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.workspace import Workspace

JOINT = ("clip_text_model", "siglip_text_model", "siglip2_text_model")
"""Parts for texts that learned to be compared with pictures."""


def readers(dataset: Dataset, workspace: Workspace) -> tuple[BackboneSpec, ...]:
    """Return the backbones that can, and are on this machine; those of the registry first.

    Raises DataError where there is none: for pictures there has to be one that reads pictures and texts alike.
    """
    found = tuple(
        spec
        for spec in (*BACKBONES.values(), *registered(workspace))
        if spec.ready and spec.pretrained and spec.modality == dataset.modality and reads_names(spec, workspace)
    )
    if not found and dataset.modality == "image":
        raise DataError(
            "To sort pictures by the names of classes, a backbone is needed that reads pictures and texts alike, and "
            "none is on this machine.",
            "Get CLIP (about 605 MB): on the Backbone page, or by python -m tl_core fetch clip_b32.",
        )
    if not found:
        raise DataError(
            "Only texts and pictures can be sorted by the names of classes.", "Give one of the two by itself."
        )
    return found


def reads_names(spec: BackboneSpec, workspace: Workspace) -> bool:
    """Return whether a backbone can compare its items with names.

    One for texts can, unless it is the part for texts of another; one for pictures can if it learned with such a part.
    """
    if spec.modality != "image":
        return spec.modality == "text" and not spec.name.endswith(TEXT)
    other = other_part(spec, workspace)
    card = find_backbone(other, workspace).card if other else None
    return card is not None and card["recipe"]["architecture"] in JOINT
