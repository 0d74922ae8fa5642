"""Strategies for pictures with texts reach into both backbones, or into the one that is chosen."""

import pytest

from tl_core.errors import PlanError
from tl_core.layers import HEAD
from tl_core.plan import check
from tl_core.strategies import STRATEGIES, TaskInfo

IMAGE = tuple(f"image.{name}" for name in ("stem", "blocks.0", "blocks.1", "top"))
TEXT = tuple(f"text.{name}" for name in ("embeddings", "layer.0", "layer.1"))
INFO = TaskInfo("a+b", "multimodal", (*IMAGE, *TEXT), 4000, 4, 900, parameters=10**8)
FITTING = [name for name in STRATEGIES if "multimodal" in STRATEGIES[name].modalities]


def learning(name, **options):
    plan = STRATEGIES[name].make(INFO, options)
    return [set(phase.lr) - {HEAD} for phase in plan.phases if phase.objective == "labels"]


def test_the_last_blocks_are_the_last_of_each():
    assert learning("partial", reach="one")[-1] == {"image.top", "text.layer.1"}
    assert learning("partial", reach="one", towers="text")[-1] == {"text.layer.1"}
    assert learning("partial", reach="two", towers="picture")[-1] == {"image.blocks.1", "image.top"}
    gradual = learning("gradual", steps=4)[1:]
    assert gradual[0] == {"image.top", "text.layer.1"}
    assert gradual[3] == {*IMAGE, *TEXT}
    assert learning("lora")[-1] == {*IMAGE[1:], *TEXT[1:]}
    assert learning("full", towers="text")[-1] == set(TEXT)


def test_each_backbone_has_its_usual_rate():
    lr = STRATEGIES["full"].make(INFO).phases[-1].lr
    assert {lr[group] for group in IMAGE} == {lr[HEAD]} == {1e-4}
    assert {lr[group] for group in TEXT} == {3e-5}
    falling = STRATEGIES["discriminative"].make(INFO, {"reach": "all", "decay": 0.5}).phases[-1].lr
    assert [falling[group] for group in TEXT] == [7.5e-6, 1.5e-5, 3e-5]
    assert falling["image.top"] == falling[HEAD] == 1e-4


@pytest.mark.parametrize("name", FITTING)
def test_every_plan_passes_its_check(name):
    plan = STRATEGIES[name].make(INFO)
    assert [f for f in check(plan, INFO.groups, modality="multimodal") if f.level == "stop"] == []


def test_a_cut_keeps_the_text():
    assert STRATEGIES["lower_layers"].make(INFO).head.tap == "text.layer.0"


def test_what_does_not_fit_is_refused():
    with pytest.raises(PlanError, match="does not work with pictures with texts"):
        STRATEGIES["domain_adaptive"].make(INFO)
    alone = TaskInfo("a", "image", IMAGE, 100, 2, 40)
    with pytest.raises(PlanError, match="pictures with texts"):
        STRATEGIES["full"].make(alone, {"towers": "text"})


def test_a_linear_head_says_what_it_cannot_learn():
    codes = {name: {f.code for f in STRATEGIES[name].caveats(INFO)} for name in ("feature_extraction", "partial")}
    assert all("caveat-adds-up" in found for found in codes.values())
    assert "caveat-adds-up" not in {f.code for f in STRATEGIES["feature_extraction"].caveats(INFO, {"head": "mlp"})}


@pytest.mark.parametrize("name", ["full", "partial", "gradual", "discriminative", "lp_ft"])
def test_the_plan_of_one_backbone_says_nothing_of_the_other(name):
    plan = STRATEGIES[name].make(INFO, {"towers": "text"})
    assert not any(phase.recalibrate_norm for phase in plan.phases), "nothing that learns normalises pictures"
    assert not any("picture" in reason.text for reason in plan.why)
    both = STRATEGIES[name].make(INFO)
    assert any(phase.recalibrate_norm for phase in both.phases)
    assert any("for the picture's layers" in reason.text for reason in both.why)
