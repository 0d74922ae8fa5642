from dataclasses import replace

import pytest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tl_core.evaluation.result_files import write_layers, write_rates
from tl_core.evaluation.results import LayerScore, LayerSweep
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.events import Progress, RunEnded, RunStarted
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.statistics.intervals import wilson
from tl_core.training.lr_curve import RateCurve
from tl_core.types import load
from tl_core.workspace import read_json
from ui.session import Session

pytestmark = pytest.mark.usefixtures("tiny_backbones")
PLAN = TransferPlan("tiny_image", "full", (Phase("tune", 2, {"top": 1e-4, "head": 1e-3}),))
SOLVED = TransferPlan("tiny_image", "feature_extraction", (Phase("head", 9, {"head": 1.0}, optimizer="lbfgs"),))


@pytest.fixture
def store(workspace):
    return RunStore(workspace)


@pytest.fixture
def data(workspace):
    return scripted.images(workspace)


def open_plan(app, workspace, data, plan=PLAN):
    project = scripted.project(workspace, data, plan)
    path = workspace.folder("projects") / f"{project}.json"
    path.write_text(path.read_text().replace('"edited": false', '"edited": true'))
    app.query_params["project"] = project
    app.run()
    app.switch_page("../pages/3_plan.py").run()
    assert not app.exception
    return app


def tried(store, data, kind, plan=PLAN):
    task = Task(kind, "tiny_image", data.fingerprint, data.split, plan, name=kind)
    events = [RunStarted(kind, None, {}, "", 0, {}), RunEnded("done", "Tried.")]
    return store.folder(scripted.write_run(store, task, events))


def draft(workspace):
    return load(Session, read_json(workspace.folder("projects") / "0123abcd.json"))


def curve(data, suggestion):
    rates, losses = (1e-5, 1e-4, 1e-3, 1e-2), (1.1, 0.9, 0.4, 3.0)
    return RateCurve("tiny_image", data.fingerprint, 0, "tune", rates, losses, losses, suggestion, 1e-3, 0)


@pytest.mark.parametrize("kind", ["rates", "layers"])
def test_a_button_starts_a_run_for_the_plan_and_waits_for_it(app, workspace, data, store, kind):
    open_plan(app, workspace, data)
    app.button(key=f"plan_try_{kind}").click().run()
    assert not app.exception
    (state,) = [state for state in store.list() if state.kind == kind]
    assert state.task.plan == PLAN
    assert (state.task.fingerprint, state.task.backbone) == (data.fingerprint, "tiny_image")
    assert app.button(key=f"plan_try_{kind}").disabled
    assert app.button(key=f"plan_stop_{kind}")


def test_a_running_trial_shows_its_progress(app, workspace, data, store):
    task = Task("rates", "tiny_image", data.fingerprint, data.split, PLAN, name="rates")
    events = [RunStarted("rates", None, {}, "", 0, {}), Progress("trying rates", 20, 60)]
    scripted.write_run(store, task, events, alive=True)
    open_plan(app, workspace, data)
    assert any("20 of 60" in bar.proto.text for bar in app.get("progress"))


def test_a_suggested_rate_is_shown_and_used_in_proportion(app, workspace, data, store):
    write_rates(tried(store, data, "rates"), curve(data, 2e-4))
    open_plan(app, workspace, data)
    assert "**0.0002**" in page_text(app)
    app.button(key="plan_use_rate").click().run()
    assert not app.exception
    now = draft(workspace)
    assert now.edited
    assert now.plan == replace(PLAN, phases=(replace(PLAN.phases[0], lr={"top": 2e-5, "head": 2e-4}),))
    assert app.button(key="plan_use_rate").disabled, "the curve stays, and the rate is in the plan"


def test_without_a_suggestion_there_is_nothing_to_use(app, workspace, data, store):
    write_rates(tried(store, data, "rates"), curve(data, None))
    open_plan(app, workspace, data)
    assert "none is suggested" in page_text(app)
    assert not [button for button in app.button if button.key == "plan_use_rate"]


def test_the_curve_of_another_plan_is_not_shown(app, workspace, data, store):
    write_rates(tried(store, data, "rates", SOLVED), curve(data, 2e-4))
    open_plan(app, workspace, data)
    assert "0.0002" not in page_text(app)


def test_layers_are_drawn_after_the_head_alone(app, workspace, data, store):
    scores = [LayerScore(group, wilson(right, 20), 0.5) for group, right in (("", 14), ("middle", 15), ("top", 18))]
    sweep = LayerSweep("tiny_image", data.fingerprint, 40, 90, 1e-4, 1e-3, 0, 3, scores[0], tuple(scores[1:]))
    write_layers(tried(store, data, "layers"), sweep)
    before = len(open_plan(app, workspace, data).get("plotly_chart"))
    assert before >= 1
    assert "20 validation items" in page_text(app)
    assert "2 of 3 layer groups were tried" in page_text(app)


def test_a_plan_that_is_solved_has_no_rates_to_try(app, workspace, data):
    open_plan(app, workspace, data, SOLVED)
    assert app.button(key="plan_try_rates").disabled
    assert not app.button(key="plan_try_layers").disabled


def test_a_failed_trial_gives_its_reason(app, workspace, data, store):
    task = Task("layers", "tiny_image", data.fingerprint, data.split, PLAN, name="layers")
    scripted.write_run(store, task, [RunEnded("failed", "The split leaves no validation item.", "Give it one.")])
    open_plan(app, workspace, data)
    assert any("no validation item" in warning.value for warning in app.warning)
