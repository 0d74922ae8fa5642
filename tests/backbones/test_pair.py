"""Two backbones as one: its name, what is stated of it, and what it refuses."""

from dataclasses import replace

import pytest

from tests.tiny import TINY_IMAGE, TINY_PAIR, TINY_TEXT
from tl_core.advice.cost import estimate
from tl_core.backbones.catalogue import embedded, find_backbone
from tl_core.backbones.pair import pair, tower
from tl_core.backbones.preprocess import describe
from tl_core.backbones.speed import measure_speed
from tl_core.errors import UsageError
from tl_core.layers import partition
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import dump


def test_a_name_of_two_finds_both_in_any_order(tiny_backbones):
    for name in ("tiny_image+tiny_text", "tiny_text + tiny_image"):
        found = find_backbone(name)
        assert found == TINY_PAIR
        assert (found.name, found.modality, found.features) == ("tiny_image+tiny_text", "multimodal", 40)
        assert (tower(found, "image"), tower(found, "text")) == (TINY_IMAGE, TINY_TEXT)
        assert tower(TINY_TEXT, "text") == TINY_TEXT


def test_every_parameter_is_in_one_group_of_its_part():
    network = TINY_PAIR.load(True)
    owned = partition([name for name, _ in network.named_parameters()], TINY_PAIR.groups)
    assert list(owned) == list(network.names)
    for group, names in owned.items():
        assert all(name.startswith(group.partition(".")[0]) for name in names)
    packaged = find_backbone("efficientnet_lite0+all_minilm_l6_v2")
    assert len(packaged.group_parameters) == len(packaged.group_matrices) == len(packaged.groups) == 16
    assert packaged.parameters == sum(packaged.group_parameters)


@pytest.mark.parametrize("name", ["tiny_image+tiny_image", "tiny_text+tiny_text", "tiny_image+tiny_text+tiny_text"])
def test_two_of_a_kind_are_refused(name, tiny_backbones):
    with pytest.raises(UsageError, match="reads") as error:
        find_backbone(name)
    assert "PICTURE+TEXT" in error.value.hint


def test_a_name_that_is_not_there_is_said(tiny_backbones):
    with pytest.raises(UsageError, match="tiny_imagf"):
        find_backbone("tiny_imagf+tiny_text")


def test_a_pair_is_ready_if_both_are():
    absent = replace(TINY_TEXT, load=None, weights=replace(TINY_TEXT.weights, kind="hub", name="lab/words"))
    both = pair(TINY_IMAGE, absent)
    assert not both.ready
    assert both.needs == absent.needs


def test_a_bundles_card_builds_both_again(tiny_backbones):
    """Where one of the two is not registered, the card of a pair holds that one's card."""
    assert TINY_PAIR.card is None
    data = {"towers": [{"name": "tiny_image", "card": None}, {"name": "tiny_text", "card": None}]}
    assert embedded(data, TINY_TEXT.input.tokenizer) == TINY_PAIR


def test_the_preprocessing_of_both_is_told():
    assert describe(TINY_PAIR) == f"{describe(TINY_IMAGE)} {describe(TINY_TEXT)}"


def test_longer_texts_cost_more_in_the_texts_groups_alone(workspace):
    speed = measure_speed(TINY_PAIR, workspace, seconds=0.1)
    assert speed.fixed == ("image.stem", "image.middle", "image.top")
    assert speed.seconds(["image.top"], 48) == speed.seconds(["image.top"], 24)
    assert speed.seconds(["text.layer.1"], 48) == pytest.approx(2 * speed.seconds(["text.layer.1"], 24))
    assert speed.footprint.kept_by("image.top", 48) == speed.footprint.kept_by("image.top", 24) > 0
    assert speed.footprint.kept_by("text.layer.1", 48) > speed.footprint.kept_by("text.layer.1", 24)
    assert dump(speed)["fixed"]
    info = TaskInfo("tiny_image+tiny_text", "multimodal", tuple(g.name for g in TINY_PAIR.groups), 100, 2, 40)
    whole = STRATEGIES["full"].make(info)
    seconds, memory = estimate(whole, TINY_PAIR, speed, 100, 2, 10)
    assert seconds.low <= seconds.value <= seconds.high
    assert memory.value > 0
