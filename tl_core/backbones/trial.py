"""What a backbone would cost, before its weights are downloaded: its architecture with random weights, on this machine.

Random weights cost the same time and memory as pretrained ones.
"""

from pathlib import Path

from tl_core.backbones import memory
from tl_core.backbones.catalogue import LIBRARIES, find_backbone, spec_of
from tl_core.backbones.network_card import Card
from tl_core.backbones.provenance import Provenance
from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import BackboneError, UsageError
from tl_core.types import load
from tl_core.workspace import Workspace, file_name, read_value, write_value

PEAK = 16
"""Bytes a parameter that a training takes without what it keeps of the items: weights, gradients, two moments."""
SHARE = 0.5
"""Share of the free memory that a trial may take."""


def read_trial(workspace: Workspace, name: str) -> BackboneSpec | None:
    """Return what is known of a backbone that was tried with random weights, None before that."""
    card = read_value(Card, _file(workspace, name))
    return spec_of(card, workspace) if card else None


def measurable(workspace: Workspace, name: str) -> BackboneSpec:
    """Return a backbone that can be measured: a ready one, else its architecture with random weights, made now.

    Raises UsageError for an unknown name, and BackboneError where no library builds it or it does not fit in memory.
    """
    spec = _known(workspace, name)
    if spec and spec.ready:
        return spec
    if tried := read_trial(workspace, name):
        return tried
    if spec and not fits(spec.parameters):
        raise BackboneError(f"{spec.title} does not fit in the free memory of this machine.", "Choose a smaller one.")
    from tl_core.backbones.derive import outline
    from tl_core.backbones.recipes import Recipe, recipe_of

    if spec and spec.recipe is None:
        raise BackboneError(f"No library here builds {spec.title} by itself.", "It is tried once its weights are here.")
    recipe = load(Recipe, dict(spec.recipe)) if spec and spec.recipe else recipe_of(*name.split(":", 1))
    card = outline(recipe, Provenance(name, spec.source if spec else "", spec.licence if spec else ""))
    write_value(_file(workspace, name), card)
    return spec_of(card, workspace)


def fits(parameters: int) -> bool:
    """Return whether a network of that many parameters can be trained comfortably in the memory that is free now."""
    return PEAK * parameters < SHARE * memory.free_memory()


def _known(workspace: Workspace, name: str) -> BackboneSpec | None:
    """Return a backbone by its name, None for an architecture of a library. Raises UsageError for any other name."""
    try:
        return find_backbone(name, workspace)
    except UsageError:
        if name.partition(":")[0] not in LIBRARIES:
            raise
        return None


def _file(workspace: Workspace, name: str) -> Path:
    return workspace.folder("backbones", "trials") / f"{file_name(name)}.json"
