"""The branches of the backbone tree, as data for its drawing."""

from typing import Any

from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.tree import TREE
from tl_core.types import Modality
from ui import words
from ui.components.palette import count_text


def branches(modality: Modality) -> list[dict[str, Any]]:
    """Return the modalities with their fields and models."""
    return [
        {
            "id": branch.name,
            "title": branch.title,
            "note": "your data" if branch.name == modality else "",
            "fits": branch.name == modality,
            "children": [
                {
                    "id": "/".join(leaf.path),
                    "title": leaf.title,
                    "note": words.plural(len(leaf.specs), "model"),
                    "fits": branch.name == modality,
                    "children": [_leaf(spec, modality) for spec in leaf.specs],
                }
                for leaf in branch.children
            ],
        }
        for branch in TREE
    ]


def _leaf(spec: BackboneSpec, modality: Modality) -> dict[str, Any]:
    usable = spec.ready and spec.modality == modality
    note = count_text(spec.parameters) if spec.parameters else ""
    return {
        "id": spec.name,
        "title": spec.title,
        "note": note,
        "state": "ready" if spec.ready else "away",
        "fits": usable,
    }
