"""Names in, values out: duplicates, near misses, and spellings."""

import pytest

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import UsageError
from tl_core.registry import Registry
from tl_core.strategies import STRATEGIES


def test_a_duplicate_raises():
    registry: Registry[int] = Registry("number", "tl_core.strategies")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="'one' is registered twice"):
        registry.add("one", 2)


def test_a_near_miss_suggests():
    with pytest.raises(UsageError, match="Did you mean 'feature_extraction'"):
        STRATEGIES["feature_extracton"]


def test_a_far_miss_lists_what_there_is():
    with pytest.raises(UsageError, match=r"There are: .*lp_ft"):
        STRATEGIES["zzzz"]


@pytest.mark.parametrize("name", ["EfficientNet-Lite0", "efficientnet_lite0", " EFFICIENTNET_LITE0"])
def test_a_name_is_found_in_any_spelling(name):
    assert BACKBONES[name].name == "efficientnet_lite0"
    assert BACKBONES["all-MiniLM-L6-v2"].modality == "text"
