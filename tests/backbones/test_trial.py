"""Measuring a backbone before its weights are downloaded: its architecture with random weights."""

from dataclasses import replace

import pytest

from tests.backbones.tiny_checkpoints import SIZES
from tl_core.backbones import memory, trial
from tl_core.backbones.catalogue import registered
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.backbones.speed import measure_speed, read_speed
from tl_core.errors import BackboneError, UsageError
from tl_core.workspace import Workspace

RECIPES = {
    "resnet50": {"library": "timm", "architecture": "test_resnet", "config": {}, "args": {}},
    "bert": {
        "library": "transformers",
        "architecture": "bert",
        "config": {"vocab_size": 118, "max_position_embeddings": 64, **SIZES},
        "args": {},
    },
    "rad_dino": {
        "library": "transformers",
        "architecture": "dinov2",
        "config": {**SIZES, "image_size": 28, "patch_size": 14},
        "args": {},
    },
}


@pytest.fixture
def tiny_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give leaves of the tree tiny networks; one is of a size that no machine has."""
    len(BACKBONES)
    known = dict(BACKBONES._values)
    for name, recipe in RECIPES.items():
        known[name] = replace(known[name], recipe=recipe, parameters=100_000)
    known["llama32_1b"] = replace(known["llama32_1b"], parameters=10**15)
    known["roberta"] = replace(known["roberta"], recipe=None)
    monkeypatch.setattr(BACKBONES, "_values", known)


@pytest.mark.parametrize("name", [*RECIPES, "timm:test_vit"])
def test_time_and_memory_are_known_before_a_download(name: str, workspace: Workspace, tiny_leaves: None):
    assert trial.read_trial(workspace, name) is None
    spec = trial.measurable(workspace, name)
    speed = measure_speed(spec, workspace, seconds=0)
    assert speed == read_speed(workspace, name)
    known: BackboneSpec | None = trial.read_trial(workspace, name)
    assert known is not None
    assert list(speed.per_item) == [group.name for group in known.groups]
    assert len(known.groups) >= 3
    assert sum(speed.footprint.kept.values()) > 0
    assert known.modality == ("text" if name == "bert" else "image")
    assert registered(workspace) == (), "a trial is no backbone that can be used"


def test_what_cannot_be_tried_is_said(workspace: Workspace, tiny_leaves: None):
    with pytest.raises(BackboneError, match="does not fit in the free memory"):
        trial.measurable(workspace, "llama32_1b")
    with pytest.raises(BackboneError, match="No library here builds RoBERTa-base by itself"):
        trial.measurable(workspace, "roberta")
    with pytest.raises(UsageError, match="not in this workspace"):
        trial.measurable(workspace, "hub:lab/none")


def test_a_ready_backbone_is_measured_as_it_is(workspace: Workspace):
    assert trial.measurable(workspace, "efficientnet_lite0") == BACKBONES["efficientnet_lite0"]


def test_a_network_fits_where_a_training_takes_half_the_free_memory_at_most(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 32_000)
    assert [trial.fits(count) for count in (999, 1000)] == [True, False]
    monkeypatch.undo()
    assert 10**6 < memory.free_memory() < 10**15
