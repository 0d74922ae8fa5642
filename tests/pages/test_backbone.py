from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PAGES, page_text, upload, zip_bytes
from tl_core.backbones.spec import BACKBONES
from tl_core.runs.store import RunStore
from tl_core.workspace import Workspace
from ui.backbone import branches


def leaves(nodes: list[dict]) -> list[dict]:
    return [leaf for node in nodes for leaf in (leaves(node["children"]) if "children" in node else [node])]


def test_without_data_it_leads_back(app: AppTest) -> None:
    app.run()
    app.switch_page(PAGES["backbone"]).run()
    assert not app.exception
    assert "No data yet" in page_text(app)
    app.button(key="empty_go_data").click().run()
    assert app.title[0].value == "Bring your data"


def test_a_ready_backbone_is_proposed_and_taken(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    assert not app.exception
    assert app.title[0].value == "Choose what to build on"
    assert app.button(key="rail_next").disabled
    app.button(key="backbone_use_efficientnet_lite0").click().run()
    assert "Chosen for this project" in page_text(app)
    assert not app.button(key="rail_next").disabled


def test_the_backbone_in_view_is_measured_once(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.run()
    assert [state.task.backbone for state in RunStore(workspace).list() if state.kind == "speed"] == [
        "efficientnet_lite0"
    ]
    assert "measuring" in page_text(app)


def test_a_model_that_is_not_here_says_what_it_needs(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.session_state["backbone_focus"] = "resnet50"
    app.switch_page(PAGES["backbone"]).run()
    assert not app.exception
    assert "download" in page_text(app)
    assert not [button for button in app.button if button.key.startswith("backbone_use")]


def test_the_tree_holds_every_backbone_once() -> None:
    drawn = leaves(branches.branches("image"))
    assert sorted(leaf["id"] for leaf in drawn) == sorted(BACKBONES)
    assert {leaf["id"] for leaf in drawn if leaf["fits"]} == {
        spec.name for spec in BACKBONES.values() if spec.ready and spec.modality == "image"
    }


def test_going_back_loses_nothing(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.session_state["backbone_focus"] = "efficientnet_lite1"
    app.run()
    app.button(key="backbone_use_efficientnet_lite1").click().run()
    app.button(key="rail_back").click().run()
    app.button(key="rail_next").click().run()
    assert "Chosen for this project" in page_text(app)
