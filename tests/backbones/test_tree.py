"""The modality tree holds every backbone once, in the order in which it is shown."""

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.tiny import TINY_IMAGE
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.tree import TREE, tree


def test_every_backbone_is_in_the_tree_once():
    shown = [spec.name for branch in TREE for node in branch.walk() for spec in node.specs]
    assert sorted(shown) == sorted(BACKBONES)


def test_the_tree_is_that_of_the_guide():
    places = {node.path: [spec.title for spec in node.specs] for branch in TREE for node in branch.walk()}
    assert [branch.name for branch in TREE] == ["image", "text", "multimodal"]
    assert [node.name for node in TREE[0].children] == ["general", "medical", "satellite", "microscopy"]
    assert [node.name for node in TREE[1].children] == ["general", "scientific", "legal", "code"]
    assert places["image", "medical"] == ["RAD-DINO", "BioViL-T", "MedCLIP"]
    assert all(specs for path, specs in places.items() if len(path) == 2)
    assert all((spec.place[0] == "text") <= (spec.modality == "text") for spec in BACKBONES.values())
    assert all(BACKBONES[name].modality == "text" for name in BACKBONES if name.endswith("#text"))


def test_what_is_ready_stands_first():
    for branch in TREE:
        for node in branch.walk():
            ready = [spec.ready for spec in node.specs]
            assert ready == sorted(ready, reverse=True)


def test_a_place_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch):
    lost = replace(TINY_IMAGE, place=("image", "underwater"))
    monkeypatch.setattr(BACKBONES, "_values", {**BACKBONES._values, "tiny_image": lost})
    with pytest.raises(ValueError, match="tiny_image"):
        tree()


def test_the_tree_needs_no_torch():
    code = (
        "import sys; import tl_core.backbones.tree, tl_core.backbones.speed, tl_core.backbones.preprocess; "
        "print(sorted({'torch', 'torchvision', 'timm', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
