"""The measurement of a backbone's speed."""

import pytest
import torch

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.backbones.speed import ROUNDS, TOKENS, Speed, measure_speed, read_speed
from tl_core.errors import BackboneError
from tl_core.types import dump, load
from tl_core.workspace import Workspace


@pytest.mark.parametrize("spec", [TINY_IMAGE, TINY_TEXT], ids=lambda spec: spec.name)
def test_a_measurement_is_kept(workspace: Workspace, spec: BackboneSpec):
    assert read_speed(workspace, spec.name) is None
    speed = measure_speed(spec, workspace, seconds=0.05)
    assert read_speed(workspace, spec.name) == speed == load(Speed, dump(speed))
    assert list(speed.per_item) == [group.name for group in spec.groups]
    assert all(value > 0 for value in speed.per_item.values())
    assert ROUNDS[0] <= speed.rounds <= ROUNDS[1]
    assert speed.train_ratio > 1
    assert speed.thousand.low <= speed.thousand.value <= speed.thousand.high


def test_seconds_add_up_over_groups_and_grow_with_tokens():
    speed = Speed("x", {"a": 0.1, "b": 0.2}, 0.25, 0.35, 3.0, 5, TOKENS, "cpu", 2)
    assert speed.seconds() == pytest.approx(0.3)
    assert speed.seconds(["b"]) == pytest.approx(0.2)
    assert speed.seconds(["b"], tokens=TOKENS / 2) == pytest.approx(0.1)
    assert speed.thousand.value == pytest.approx(300)


def test_the_measurement_leaves_the_random_numbers_alone(workspace: Workspace):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    measure_speed(TINY_IMAGE, workspace, seconds=0)
    assert torch.equal(torch.rand(4), expected)


def test_what_cannot_be_read_counts_as_not_measured(workspace: Workspace):
    path = workspace.folder("speed") / "tiny_image.json"
    for content in ("", "{}", "[1]"):
        path.write_text(content)
        assert read_speed(workspace, "tiny_image") is None


def test_a_card_cannot_be_measured(workspace: Workspace):
    with pytest.raises(BackboneError, match="not ready"):
        measure_speed(BACKBONES["bert"], workspace)
