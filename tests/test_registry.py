"""Names in, values out: duplicates, near misses, and spellings."""

import sys
import threading
from typing import Any, NamedTuple, get_args, get_type_hints

import pytest

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import UsageError
from tl_core.plan import Phase
from tl_core.registry import Registry
from tl_core.strategies import STRATEGIES
from tl_core.training.objectives import OBJECTIVES


class Number(NamedTuple):
    name: str
    value: int


def test_a_duplicate_raises():
    registry: Registry[Number] = Registry("number", "tl_core.strategies")
    registry.add(Number("one", 1))
    with pytest.raises(ValueError, match="'one' is registered twice"):
        registry.add(Number("one", 2))


def test_a_near_miss_suggests():
    with pytest.raises(UsageError, match="Did you mean 'feature_extraction'"):
        STRATEGIES["feature_extracton"]


def test_a_far_miss_lists_what_there_is():
    with pytest.raises(UsageError, match=r"There are: .*lp_ft"):
        STRATEGIES["zzzz"]


def test_a_phase_may_have_every_objective_that_is_registered_and_no_other():
    assert set(get_args(get_type_hints(Phase)["objective"])) == set(OBJECTIVES)


@pytest.mark.parametrize("name", ["EfficientNet-Lite0", "efficientnet_lite0", " EFFICIENTNET_LITE0"])
def test_a_name_is_found_in_any_spelling(name):
    assert BACKBONES[name].name == "efficientnet_lite0"
    assert BACKBONES["all-MiniLM-L6-v2"].modality == "text"


def test_a_second_thread_waits_until_every_name_is_there(tmp_path, monkeypatch):
    package = tmp_path / "slow_names"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import threading\nbegun, go_on = threading.Event(), threading.Event()\nclass One: name = 'one'\n"
    )
    (package / "one.py").write_text(
        "import slow_names\nslow_names.begun.set()\nslow_names.go_on.wait(5)\nslow_names.found.add(slow_names.One())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import slow_names

    slow_names.found = Registry("number", "slow_names")
    first = threading.Thread(target=slow_names.found.values)
    first.start()
    slow_names.begun.wait(5)
    seen: list[tuple[Any, ...]] = []
    second = threading.Thread(target=lambda: seen.append(slow_names.found.values()))
    second.start()
    second.join(0.1)
    slow_names.go_on.set()
    first.join()
    second.join()
    assert [[value.name for value in values] for values in seen] == [["one"]]
    for name in ("slow_names", "slow_names.one"):
        sys.modules.pop(name)
