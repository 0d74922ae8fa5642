"""The described backbones can be built by a public library before anything is downloaded."""

import pytest
import torch
from torch import nn

from tl_core.backbones import recipes
from tl_core.backbones.architectures import RECIPES
from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.recipes import Recipe, build, modality_of
from tl_core.backbones.spec import BACKBONES
from tl_core.types import load


def described(name: str) -> Recipe:
    return load(Recipe, dict(BACKBONES[name].recipe))


def whole(recipe: Recipe) -> nn.Module:
    """Build the library's own network, with the classifier or pooler that a backbone leaves out."""
    if recipe.library == "timm":
        ensure_torchvision()
        import timm

        return timm.create_model(recipe.architecture, **recipe.args)
    config = recipes.library_config(recipe)
    return recipes._model_class(recipe, config)._from_config(config)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_builds_the_network_of_the_card(name: str):
    recipe, spec = described(name), BACKBONES[name]
    assert modality_of(recipe) == spec.modality
    with torch.device("meta"):
        counts = [sum(p.numel() for p in net.parameters()) for net in (whole(recipe), build(recipe)[0])]
    assert spec.parameters in counts


def test_what_has_no_recipe_is_packaged_or_said_to_be_built_by_none():
    without = {spec.name for spec in BACKBONES.values() if spec.recipe is None and not spec.ready}
    assert without == {"flamingo_3b"}
