"""The train page in and after a phase whose objective has no accuracy."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import scripted
from tests.pages.conftest import PAGES, page_text
from tl_core.data.dataset import Dataset
from tl_core.plan import Phase, TransferPlan
from tl_core.runs import supervisor
from tl_core.runs.events import EpochDone, PhaseStarted, Progress, RunEnded, RunEvent, RunStarted, StepDone
from tl_core.runs.store import RunStore
from tl_core.worker import work
from tl_core.workspace import Workspace
from ui.components.phase_timeline import segments
from ui.components.plan_grid import grid_data
from ui.runs.live_run import LiveRun
from ui.train import curves
from ui.train.live import progress

pytestmark = pytest.mark.usefixtures("tiny_backbones")
HEAD = Phase("head", 10, {"head": 1.0}, optimizer="lbfgs")


def plan(objective: str) -> TransferPlan:
    first = Phase("first", 2, {"top": 1e-3}, objective=objective, draws=16)  # type: ignore[arg-type]
    return TransferPlan("tiny_image", "by hand", (first, HEAD), batch_size=8)


def events(transfer_plan: TransferPlan, heads: bool) -> Iterator[RunEvent]:
    """Yield two epochs without accuracy; with `heads` also the epoch of the head."""
    yield RunStarted("train", transfer_plan, scripted.GROUPS, "cpu", 0, {"train": 18, "validation": 3, "test": 3})
    yield PhaseStarted(0, "first", 2, {"top": 1e-3}, 4)
    for epoch in range(2):
        for step in (1, 2):
            yield StepDone(0, 2 * epoch + step, 5, 6.5 - epoch, {"top": 1e-3}, 20.0, 1.0)
        yield EpochDone(0, epoch, {"loss": 6.25 - epoch}, {}, 1.0, True)
    if heads:
        yield PhaseStarted(1, "head", 10, {"head": 1.0}, 10)
        yield StepDone(1, 5, 5, 0.5, {"head": 1.0}, 20.0, 0.0)
        yield EpochDone(1, 0, {"loss": 0.5, "accuracy": 0.9}, {"loss": 0.6, "accuracy": 0.75}, 0.1, True)


def test_the_current_stage_is_shown_in_words(workspace: Workspace, tiny_images: Dataset) -> None:
    transfer_plan, store = plan("labels"), RunStore(workspace)
    state = store.state(scripted.write_run(store, scripted.task(tiny_images, transfer_plan), [], alive=True))
    live = LiveRun()
    for event in events(transfer_plan, True):
        live.take(event)
    live.take(StepDone(1, 6, 7, 0.5, {"head": 1.0}, 20.0, 0.4))
    assert progress(live, state)[1].endswith("· under a second left")
    live.take(StepDone(1, 6, 7, 0.5, {"head": 1.0}, 20.0, 8.0))
    assert progress(live, state)[1].endswith("· about 8 s left")
    live.take(Progress("frozen layers", 18, 34))
    assert progress(live, state)[1] == "Passing every item through the frozen layers once: 18 of 34"


def open_train(app: AppTest, workspace: Workspace, dataset: Dataset, run: str, transfer_plan: TransferPlan) -> AppTest:
    app.query_params["project"] = scripted.project(workspace, dataset, transfer_plan, run)
    app.run()
    app.switch_page(PAGES["train"]).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("objective", ["masked", "contrastive"])
def test_a_phase_without_accuracy_shows_its_loss(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, objective: str
) -> None:
    transfer_plan, store = plan(objective), RunStore(workspace)
    run = scripted.write_run(
        store, scripted.task(tiny_images, transfer_plan), [*events(transfer_plan, False)], alive=True
    )
    open_train(app, workspace, tiny_images, run, transfer_plan)
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Loss"] == "5.500"
    assert "Training accuracy" not in shown
    assert "Accuracy starts with the phase that learns the labels" in page_text(app)
    assert len(app.get("echarts_chart")) == 1
    assert (
        curves.accuracy_words(watch_of(events(transfer_plan, False)))
        == "Accuracy after 2 epochs: none yet, because the labels are not learned in this phase"
    )


@pytest.mark.parametrize("objective", ["masked", "contrastive"])
def test_the_head_phase_has_accuracy_and_no_line_joins_the_two_losses(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, objective: str
) -> None:
    transfer_plan, store = plan(objective), RunStore(workspace)
    run_events = [*events(transfer_plan, True), RunEnded("done", "All phases are complete.")]
    run = scripted.write_run(store, scripted.task(tiny_images, transfer_plan), run_events)
    open_train(app, workspace, tiny_images, run, transfer_plan)
    assert {metric.label: metric.value for metric in app.metric}["Best validation"] == "75.0%"
    live = watch_of(run_events)
    line = curves.loss(live)["series"][0]["data"]
    assert line == [[1, 6.5], [2, 6.5], [3, 5.5], [4, 5.5], [4.5, None], [5, 0.5]]
    accuracy = curves.accuracy(live)["series"]
    assert [series["data"] for series in accuracy] == [[[3, 90.0]], [[3, 75.0]]]


def test_a_stop_before_the_head_shows_no_accuracy(app: AppTest, workspace: Workspace, tiny_images: Dataset) -> None:
    transfer_plan, store = plan("contrastive"), RunStore(workspace)
    ended = RunEnded("stopped", "Stopped on request before the head was done; the weights were kept as they were.")
    run = scripted.write_run(store, scripted.task(tiny_images, transfer_plan), [*events(transfer_plan, False), ended])
    open_train(app, workspace, tiny_images, run, transfer_plan)
    assert {metric.label: metric.value for metric in app.metric}["Training accuracy"] == "–"
    assert "Stopped. The best weights are kept." in page_text(app)


def test_one_loss_alone_is_drawn_in_one_line() -> None:
    live = watch_of(scripted.script(scripted.PLAN))
    assert not live.mixed
    assert None not in [y for _, y in curves.loss(live)["series"][0]["data"]]


@pytest.mark.parametrize(
    ("objective", "words"), [("masked", "fills in hidden parts"), ("contrastive", "groups items by label")]
)
def test_grid_and_timeline_name_what_the_phase_learns(objective: str, words: str) -> None:
    transfer_plan = plan(objective)
    shown = grid_data(transfer_plan, ["stem", "middle", "top"])["phases"]
    assert words in shown[0]["notes"]
    assert words not in shown[1]["notes"]
    assert [part.filled for part in segments(transfer_plan.phases, 0, 0.5)] == [0.5, 0.0]


@pytest.mark.parametrize("objective", ["masked", "contrastive"])
def test_a_real_run_of_the_worker_reads_well(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, objective: str
) -> None:
    from tl_core.jobs import execute

    transfer_plan, store = plan(objective), RunStore(workspace)
    run = supervisor.start(store, scripted.task(tiny_images, transfer_plan))
    assert work(store.folder(run), execute) == 0
    open_train(app, workspace, tiny_images, run, transfer_plan)
    live = watch_of(store.events(run)[0])
    first = [epoch for _, epoch in live.epochs if epoch.phase == 0]
    assert len(first) == 2
    assert all("accuracy" not in epoch.train and "loss" in epoch.train for epoch in first)
    assert live.mixed
    assert "The model is ready" in page_text(app)
    app.switch_page(PAGES["results"]).run()
    assert not app.exception


def watch_of(events) -> LiveRun:  # type: ignore[no-untyped-def]
    live = LiveRun()
    for event in events:
        live.take(event)
    return live
