import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import said, upload, zip_bytes
from tests.pages.test_plan import saved_plan
from tl_core.penalties import PENALTIES
from tl_core.plan import Penalty
from tl_core.workspace import Workspace

HAD = {"l2_sp", "ewc", "kl", "lwf"}
"""What pictures and a backbone with its original head need nothing more for."""


@pytest.fixture
def planned(app: AppTest) -> AppTest:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.button(key="backbone_use_efficientnet_lite0").click().run()
    app.button(key="rail_next").click().run()
    return app.button(key="plan_choose_lp_ft").click().run()


def test_every_penalty_is_there_and_says_what_it_lacks(planned: AppTest) -> None:
    assert not planned.exception
    for kind in PENALTIES.values():
        toggle = planned.toggle(key=f"plan_guard_{kind.name}_False")
        assert toggle.label == kind.title
        assert toggle.disabled == (kind.name not in HAD)
    assert "needs labelled items of the source" in said(planned)
    assert "needs a trained teacher" in said(planned)


def test_a_guard_goes_into_the_plan_with_its_strength_and_options_and_out_again(
    planned: AppTest, workspace: Workspace
) -> None:
    planned.toggle(key="plan_guard_ewc_False").set_value(True).run()
    assert saved_plan(workspace).penalties == (Penalty("ewc", 1.0),)
    planned.number_input(key="plan_guard_ewc_1_by").set_value(3.0).run()
    assert saved_plan(workspace).penalties == (Penalty("ewc", 3.0),)
    planned.number_input(key="plan_guard_ewc_3_items").set_value(50).run()
    assert saved_plan(workspace).penalties == (Penalty("ewc", 3.0, {"items": 50}),)
    assert not planned.exception
    planned.toggle(key="plan_guard_ewc_True").set_value(False).run()
    assert saved_plan(workspace).penalties == ()


def test_another_strategy_starts_without_guards(planned: AppTest, workspace: Workspace) -> None:
    planned.toggle(key="plan_guard_kl_False").set_value(True).run()
    planned.button(key="plan_choose_full").click().run()
    assert saved_plan(workspace).strategy == "full"
    assert saved_plan(workspace).penalties == ()


def test_a_frozen_backbone_needs_no_guard(planned: AppTest) -> None:
    planned.button(key="plan_choose_feature_extraction").click().run()
    assert all(planned.toggle(key=f"plan_guard_{name}_False").disabled for name in PENALTIES)
    assert "nothing to guard" in said(planned)
