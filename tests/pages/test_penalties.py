import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import page_text, upload, zip_bytes
from tests.pages.test_plan import saved_plan
from tl_core.penalties import PENALTIES
from tl_core.plan import Penalty
from tl_core.workspace import Workspace

AVAILABLE = {"l2_sp", "ewc", "kl", "lwf"}
"""Penalties that need nothing but pictures and a backbone with its original head."""


@pytest.fixture
def planned(app: AppTest) -> AppTest:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.button(key="backbone_use_efficientnet_lite0").click().run()
    app.button(key="rail_next").click().run()
    return app.button(key="plan_choose_lp_ft").click().run()


def test_every_penalty_is_listed_and_says_what_it_needs(planned: AppTest) -> None:
    assert not planned.exception
    for kind in PENALTIES.values():
        toggle = planned.toggle(key=f"plan_penalty_{kind.name}_False")
        assert toggle.label == kind.title
        assert toggle.disabled == (kind.name not in AVAILABLE)
    assert "needs labelled items of the source" in page_text(planned)
    assert "needs a trained teacher" in page_text(planned)


def test_a_penalty_is_added_to_the_plan_with_strength_and_options_and_removed(
    planned: AppTest, workspace: Workspace
) -> None:
    planned.toggle(key="plan_penalty_ewc_False").set_value(True).run()
    assert saved_plan(workspace).penalties == (Penalty("ewc", 1.0),)
    planned.number_input(key="plan_penalty_ewc_1_by").set_value(3.0).run()
    assert saved_plan(workspace).penalties == (Penalty("ewc", 3.0),)
    planned.number_input(key="plan_penalty_ewc_3_items").set_value(50).run()
    assert saved_plan(workspace).penalties == (Penalty("ewc", 3.0, {"items": 50}),)
    assert not planned.exception
    planned.toggle(key="plan_penalty_ewc_True").set_value(False).run()
    assert saved_plan(workspace).penalties == ()


def test_another_strategy_starts_without_penalties(planned: AppTest, workspace: Workspace) -> None:
    planned.toggle(key="plan_penalty_kl_False").set_value(True).run()
    planned.button(key="plan_choose_full").click().run()
    assert saved_plan(workspace).strategy == "full"
    assert saved_plan(workspace).penalties == ()


def test_a_frozen_backbone_needs_no_penalty(planned: AppTest) -> None:
    planned.button(key="plan_choose_feature_extraction").click().run()
    assert all(planned.toggle(key=f"plan_penalty_{name}_False").disabled for name in PENALTIES)
    assert "nothing to act on" in page_text(planned)
