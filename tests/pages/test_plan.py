from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PAGES, csv_bytes, page_text, upload, zip_bytes
from tl_core.advice.probe_report import ProbeReport, TapScore, split_key, write_probe
from tl_core.advice.rules import advise
from tl_core.backbones.footprint import Footprint
from tl_core.backbones.reading import profile_for
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.speed import Speed
from tl_core.data.dataset import Dataset
from tl_core.data.sources import list_datasets
from tl_core.plan import TransferPlan, to_yaml
from tl_core.runs.store import RunStore
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import Estimate, dump, load
from tl_core.workspace import Workspace, read_json, write_json
from ui import rail, words
from ui.session import Session

GROUPS = ["stem", *(f"blocks.{i}" for i in range(7)), "top"]


def draft(workspace: Workspace) -> Session:
    return load(Session, read_json(next(workspace.folder("projects").glob("*.json"))))


def saved_plan(workspace: Workspace) -> TransferPlan:
    plan = draft(workspace).plan
    assert plan
    return plan


@pytest.fixture
def planned(app: AppTest) -> AppTest:
    """The plan page, for pictures, before the probe is done."""
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.button(key="backbone_use_efficientnet_lite0").click().run()
    app.button(key="rail_next").click().run()
    return app


def test_the_page_names_the_time_that_the_advice_names(app: AppTest, workspace: Workspace) -> None:
    upload(app, "notes.csv", csv_bytes())
    app.button(key="data_import").click().run()
    app.button(key="rail_next").click().run()
    app.button(key="backbone_use_all_minilm_l6_v2").click().run()
    spec = BACKBONES["all_minilm_l6_v2"]
    per_item = dict.fromkeys([group.name for group in spec.groups], 0.01)
    footprint = Footprint(kept={"layer.0": 1.0})
    speed = Speed(spec.name, per_item, 0.06, 0.08, 3.0, 10, 128, "cpu", 2, footprint)
    write_json(workspace.folder("speed") / f"{spec.name}.json", dump(speed))
    app.button(key="rail_next").click().run()
    app.button(key="plan_choose_full").click().run()
    (dataset,) = list_datasets(workspace)
    profile = profile_for(dataset, spec)
    assert 8 < profile.typical_tokens < 20
    card = advise(profile, spec, None, speed).card("full")
    shown = next(metric.value for metric in app.metric if metric.label == "Expected time")
    assert card.seconds
    assert shown == words.span(card.seconds)


def test_without_a_backbone_it_leads_back(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.switch_page(PAGES["plan"]).run()
    assert "No backbone yet" in page_text(app)


def test_a_recommendation_is_there_at_once(planned: AppTest, workspace: Workspace) -> None:
    assert not planned.exception
    assert not planned.error
    assert planned.title[0].value == "Decide what learns"
    assert "Feature extraction" in page_text(planned)
    assert saved_plan(workspace).strategy == "feature_extraction"


def test_the_page_runs_again_when_it_made_a_plan_because_the_rail_was_drawn_before(
    planned: AppTest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(rail, "draw", lambda project, current: drawn.append(project.plan))
    planned.button(key="plan_choose_partial").click().run()
    assert drawn[-1] is not None
    assert drawn[-1].strategy == "partial"


def test_continue_waits_for_the_probe_unless_a_strategy_is_chosen(planned: AppTest) -> None:
    assert planned.button(key="rail_next").disabled
    assert "being checked on your data" in page_text(planned)
    planned.button(key="plan_choose_lp_ft").click().run()
    assert not planned.button(key="rail_next").disabled


def test_the_probe_is_started_once(planned: AppTest, workspace: Workspace) -> None:
    planned.run()
    assert sum(state.kind == "probe" for state in RunStore(workspace).list()) == 1
    assert "Probing your data" in page_text(planned)


def test_every_strategy_can_be_chosen_instead(planned: AppTest, workspace: Workspace) -> None:
    offered = {button.key for button in planned.button if button.key.startswith("plan_choose_")}
    assert offered == {f"plan_choose_{name}" for name in STRATEGIES if name != "feature_extraction"}
    planned.button(key="plan_choose_gradual").click().run()
    assert not planned.exception
    assert saved_plan(workspace).strategy == "gradual"
    planned.button(key="plan_follow").click().run()
    assert saved_plan(workspace).strategy == "feature_extraction"


def test_a_strategy_that_makes_little_sense_says_so_with_its_source_and_can_be_chosen(
    planned: AppTest, workspace: Workspace
) -> None:
    assert not planned.warning
    planned.button(key="plan_choose_full").click().run()
    assert any(
        "few for changing pretrained layers" in warning.value and "cs231n" in warning.value
        for warning in planned.warning
    )
    assert saved_plan(workspace).strategy == "full"
    assert not planned.button(key="rail_next").disabled
    planned.button(key="plan_follow").click().run()
    assert not planned.warning


def test_caveats_follow_the_options(planned: AppTest) -> None:
    planned.button(key="plan_choose_gradual").click().run()
    assert "partial fine-tuning" not in page_text(planned)
    planned.number_input(key="plan_option_gradual_steps").set_value(1).run()
    assert "this is partial fine-tuning" in page_text(planned)


def test_an_option_changes_the_plan(planned: AppTest, workspace: Workspace) -> None:
    planned.button(key="plan_choose_full").click().run()
    before = saved_plan(workspace).epochs
    planned.number_input(key="plan_option_full_epochs").set_value(3).run()
    assert saved_plan(workspace).epochs != before
    assert draft(workspace).options == {"epochs": 3}


def test_another_strategy_forgets_the_options(planned: AppTest, workspace: Workspace) -> None:
    planned.button(key="plan_choose_full").click().run()
    planned.number_input(key="plan_option_full_epochs").set_value(3).run()
    planned.button(key="plan_choose_gradual").click().run()
    assert draft(workspace).options == {}


def test_a_plan_is_saved_and_loaded(planned: AppTest, workspace: Workspace) -> None:
    plan = STRATEGIES["full"].make(_task_info(), {"epochs": 2})
    planned.file_uploader[0].upload("plan.yaml", to_yaml(plan, GROUPS).encode())
    planned.run()
    assert saved_plan(workspace) == plan
    assert draft(workspace).edited
    assert "Edited by hand" in page_text(planned)
    planned.button(key="plan_undo").click().run()
    assert saved_plan(workspace).strategy == "feature_extraction"


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("blocks.6", "blocks.99", "blocks.99"),
        ("epochs: 2", "epochs: many", "Line"),
        ("backbone: efficientnet_lite0", "backbone: efficientnet_lite1", "efficientnet_lite1"),
        ("phases:", "phases: [", "ine"),
    ],
)
def test_a_mistake_in_a_plan_is_named(planned: AppTest, workspace: Workspace, old: str, new: str, text: str) -> None:
    kept = saved_plan(workspace)
    document = (
        to_yaml(STRATEGIES["full"].make(_task_info(), {"epochs": 2}), GROUPS).split("\n", 2)[2].replace(old, new, 1)
    )
    planned.file_uploader[0].upload("plan.yaml", document.encode())
    planned.run()
    assert not planned.exception
    assert text in planned.error[0].value
    assert saved_plan(workspace) == kept


def test_a_plan_with_a_mistake_blocks_the_way(planned: AppTest, workspace: Workspace) -> None:
    now = draft(workspace)
    phase = replace(now.plan.phases[0], lr={"blocks.99": 0.1})
    wrong = replace(now, plan=replace(now.plan, phases=(phase,)), edited=True)
    write_json(workspace.folder("projects") / f"{now.project}.json", dump(wrong))
    planned.run()
    assert "blocks.99" in planned.error[0].value
    assert planned.button(key="rail_next").disabled


def test_the_probe_changes_the_recommendation_and_is_drawn(planned: AppTest, workspace: Workspace) -> None:
    now = draft(workspace)
    dataset = Dataset.open(workspace.root / "datasets" / now.dataset)
    scores = {"stem": 0.6, "blocks.4": 0.95, "top": 0.8}
    depth = tuple(
        TapScore(tap, "mean", Estimate(value, value - 0.03, value + 0.03, 20, "cross-validation"), 0.1)
        for tap, value in scores.items()
    )
    report = ProbeReport(
        now.dataset, "efficientnet_lite0", split_key(dataset), 20, 2, 5, depth, "blocks.4", "mean", 0.1, 0.1,
        depth[1].accuracy, 0.5, {"stem": 0.6},
    )  # fmt: skip
    write_probe(workspace, report)
    planned.run()
    assert not planned.exception
    assert saved_plan(workspace).strategy == "lower_layers"
    assert saved_plan(workspace).head.tap == "blocks.4"
    assert len(planned.get("plotly_chart")) == 1
    assert "How much of the backbone to use" in page_text(planned)
    assert "Expected to be right about **95%** of the time" in page_text(planned)
    assert "block 5 of 7" in next(text.proto.help for text in planned.markdown if "Expected to" in text.value)


def probed(planned: AppTest, workspace: Workspace, last: float, cut: float, corrected: float) -> AppTest:
    """Return the plan page after a probe that cuts below the last layer; `corrected` allows for choosing the depth."""
    now = draft(workspace)
    dataset = Dataset.open(workspace.root / "datasets" / now.dataset)
    depth = tuple(
        TapScore(tap, "mean", Estimate(value, value - 0.1, value + 0.1, 20, "folds; Wilson interval"), 0.1)
        for tap, value in (("blocks.4", cut), ("top", last))
    )
    report = ProbeReport(
        now.dataset, "efficientnet_lite0", split_key(dataset), 20, 2, 5, depth, "blocks.4", "mean", 0.1, 0.1,
        Estimate(corrected, corrected - 0.1, corrected + 0.1, 20, "folds; Wilson interval"), 0.5, {"stem": 0.6},
    )  # fmt: skip
    write_probe(workspace, report)
    return planned.run()


def test_a_card_with_a_higher_figure_than_the_recommendation_is_explained(planned, workspace) -> None:
    text = page_text(probed(planned, workspace, last=0.69, cut=0.72, corrected=0.62))
    assert "Expected to be right about **62%** of the time" in text
    assert "Feature extraction scored 69% (59% to 79%), measured in the same way. The two ranges overlap" in text
    assert "about 69% (59% to 79%)" in text
    planned.session_state["plan_others"] = True
    planned.run()
    planned.button(key="plan_choose_feature_extraction").click().run()
    assert planned.session_state["plan_others"] is False, "the others are folded away"
    text = page_text(planned)
    assert "Expected to be right about **69%** of the time" in text
    assert "about 62% (52% to 72%)" in text, "a card says what the recommendation page_text"
    assert "measured in the same way" not in text


def test_nothing_is_said_twice(planned, workspace) -> None:
    text = page_text(probed(planned, workspace, last=0.6, cut=0.8, corrected=0.75))
    assert text.count("Inside the backbone your items are 0.60 away") == 1
    assert text.count("75%") == 1
    assert "Wilson" not in text


def test_the_chosen_similarity_counts(planned: AppTest, workspace: Workspace) -> None:
    next(control for control in planned.get("segmented_control") if control.key == "plan_domain").set_value(
        "different"
    ).run()
    assert draft(workspace).domain == "different"
    assert saved_plan(workspace).strategy == "lower_layers"


def _task_info() -> TaskInfo:
    return TaskInfo("efficientnet_lite0", "image", tuple(GROUPS), 16, 2, 8)
