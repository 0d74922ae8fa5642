import pytest

from tests.pages import scripted
from tests.pages.conftest import PAGES, page_text
from tl_core.runs.store import RunStore
from ui import session
from ui.projects import title

pytestmark = pytest.mark.usefixtures("tiny_backbones")


def keys(app):
    return {button.key for button in app.button}


@pytest.mark.parametrize(("page", "key"), [("data", "data_new"), ("runs", "runs_new")])
def test_a_new_project_begins_empty_and_the_old_one_can_be_opened(app, workspace, tiny_images, page, key):
    old = scripted.project(workspace, tiny_images)
    app.query_params["project"] = old
    app.run()
    app.switch_page(PAGES[page]).run()
    app.button(key=key).click().run()
    assert not app.exception
    assert app.title[0].value == "Bring your data"
    assert app.query_params["project"] not in (old, [old])
    app.switch_page(PAGES["data"]).run()
    app.button(key=f"projects_open_{old}").click().run()
    assert not app.exception
    assert app.query_params["project"] in (old, [old])
    assert app.title[0].value == tiny_images.name


def test_a_finished_model_leads_to_a_new_project(app, workspace, tiny_images):
    store = RunStore(workspace)
    run = scripted.finished(store, tiny_images)
    (store.folder(run) / "bundle").mkdir()
    app.query_params["project"] = scripted.project(workspace, tiny_images, run=run)
    app.run()
    app.switch_page(PAGES["try"]).run()
    assert "Something went wrong" not in page_text(app)
    app.button(key="try_new").click().run()
    assert app.title[0].value == "Bring your data"


def test_an_empty_project_is_used_again(app, workspace):
    app.run()
    app.switch_page(PAGES["runs"]).run()
    app.button(key="runs_new").click().run()
    assert app.title[0].value == "Bring your data"
    assert not list(workspace.folder("projects").glob("*.json"))


def test_the_only_project_offers_no_other(app, workspace, tiny_images):
    app.query_params["project"] = scripted.project(workspace, tiny_images)
    app.run()
    assert not [key for key in keys(app) if key and key.startswith("projects_open")]


def test_a_project_is_titled_by_its_data_and_backbone(app, workspace, tiny_images):
    app.query_params["project"] = scripted.project(workspace, tiny_images)
    app.run()
    assert tiny_images.name in page_text(app)
    assert title(session.Session("x", dataset="gone")) == "Deleted data set"
