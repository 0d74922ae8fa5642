import pytest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tl_core.runs.events import RunEnded
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task

pytestmark = pytest.mark.usefixtures("tiny_backbones")


@pytest.fixture
def store(workspace):
    return RunStore(workspace)


def open_runs(app):
    app.run()
    app.switch_page("../pages/7_runs.py").run()
    assert not app.exception
    return app


def test_an_empty_list_leads_to_the_data(app):
    open_runs(app)
    assert "No runs yet" in page_text(app)
    assert app.button(key="empty_go_data")


def test_every_run_is_listed_with_status_and_accuracy(app, workspace, tiny_images, store):
    done = scripted.finished(store, tiny_images)
    ended = RunEnded("failed", "The disk is full.", "Free some space.")
    failed = scripted.write_run(store, scripted.task(tiny_images), [ended])
    waiting = store.create(scripted.task(tiny_images))
    open_runs(app)
    words = page_text(app)
    assert words.index("Waiting") < words.index("Failed") < words.index("Finished")
    assert "The disk is full." in words
    assert "n = 4" in words
    assert {button.key for button in app.button} >= {
        f"runs_open_{done}",
        f"runs_delete_{done}",
        f"runs_delete_{failed}",
        f"runs_stop_{waiting}",
    }
    assert f"runs_delete_{waiting}" not in {button.key for button in app.button}


def test_opening_a_finished_run_shows_its_results(app, workspace, tiny_images, store):
    run = scripted.finished(store, tiny_images)
    open_runs(app)
    app.button(key=f"runs_open_{run}").click().run()
    assert not app.exception
    assert app.query_params["run"] == run
    assert app.title[0].value == "See what it is worth"


def test_a_run_is_deleted_only_after_a_question(app, workspace, tiny_images, store):
    run = scripted.finished(store, tiny_images)
    open_runs(app)
    app.button(key=f"runs_delete_{run}").click().run()
    assert app.button(key="runs_delete_yes")
    assert [state.id for state in store.list()] == [run]


def test_a_waiting_run_can_be_stopped(app, workspace, tiny_images, store):
    run = store.create(scripted.task(tiny_images))
    open_runs(app)
    app.button(key=f"runs_stop_{run}").click().run()
    assert store.state(run).status == "stopped"


def test_probes_are_shown_on_demand(app, workspace, tiny_images, store):
    store.create(Task("probe", "tiny_image", tiny_images.fingerprint, name="the probe"))
    open_runs(app)
    assert "the probe" not in page_text(app)
    app.toggle(key="runs_everything").set_value(True).run()
    assert "the probe" in page_text(app)


def test_an_interrupted_run_is_gone_on_with_from_the_list(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)])
    open_runs(app)
    app.button(key=f"runs_go_on_{run}").click().run()
    assert not app.exception
    assert store.state(run).status == "queued"
    assert "Waiting" in page_text(app)


def test_a_paused_run_is_resumed_or_deleted_from_the_list(app, workspace, tiny_images, store):
    runs = [scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)]) for _ in "ab"]
    for run in runs:
        store.leave(run, "paused")
    open_runs(app)
    assert "Paused" in page_text(app)
    assert app.button(key=f"runs_go_on_{runs[0]}").label == "Resume"
    app.button(key=f"runs_go_on_{runs[0]}").click().run()
    assert store.state(runs[0]).status == "queued"
    app.button(key=f"runs_delete_{runs[1]}").click().run()
    assert not app.exception
    assert app.button(key="runs_delete_yes")
