import math
import shutil
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.evaluation.result_files import read_report
from tl_core.runs import event_log
from tl_core.runs.events import (
    EpochDone,
    GroupStats,
    LayerStats,
    Noted,
    PhaseSkipped,
    PhaseStarted,
    PlanEdited,
    Progress,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    StepDone,
)
from tl_core.runs.record import EVENTS_FILE
from tl_core.runs.store import RunStore
from tl_core.types import Finding
from tl_core.workspace import Workspace
from ui.components.layer_stack import layers
from ui.components.phase_timeline import segments
from ui.runs import live_run
from ui.runs.live_run import POINTS, LiveRun

pytestmark = pytest.mark.usefixtures("tiny_backbones")


@pytest.fixture
def store(workspace: Workspace) -> RunStore:
    return RunStore(workspace)


def open_train(app: AppTest, workspace: Workspace, dataset: Dataset, run: str = "") -> AppTest:
    app.query_params["project"] = scripted.project(workspace, dataset, run=run)
    app.run()
    app.switch_page("../pages/4_train.py").run()
    assert not app.exception
    return app


def live(*events) -> LiveRun:
    followed = LiveRun()
    for event in events:
        followed.take(event)
    return followed


def test_without_a_plan_the_page_leads_to_the_step_before(app, workspace, tiny_images):
    app.query_params["project"] = scripted.project(workspace, tiny_images, plan=None)
    app.run()
    app.switch_page("../pages/4_train.py").run()
    assert not app.exception
    assert "backbone" in page_text(app)
    assert not [button for button in app.button if button.key == "train_start"]


def test_start_queues_the_plan_and_the_same_network_from_scratch(app, workspace, tiny_images, store):
    open_train(app, workspace, tiny_images)
    app.number_input(key="train_budget").set_value(40)
    app.number_input(key="train_seed").set_value(3)
    app.button(key="train_start").click().run()
    assert not app.exception
    scratch, main = store.list()
    assert main.task.plan == scripted.PLAN
    assert main.task.seed == scratch.task.seed == 3
    assert scratch.task.plan.init == "random"
    assert scratch.task.plan.strategy == "from_scratch"
    assert scratch.task.budget == 40
    assert scratch.task.compare_to == main.id
    assert scratch.task.split == main.task.split == tiny_images.split
    assert app.query_params["run"] == main.id


def test_the_baseline_can_be_left_out(app, workspace, tiny_images, store):
    open_train(app, workspace, tiny_images)
    app.toggle(key="train_scratch").set_value(False).run()
    app.button(key="train_start").click().run()
    assert len(store.list()) == 1


def test_a_running_run_shows_where_it_is(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)], alive=True)
    open_train(app, workspace, tiny_images, run)
    words = page_text(app)
    assert "Phase 2, top layers: epoch 2 of 4" in words
    assert len(app.get("echarts_chart")) == 2
    assert {part.key for part in app.get("bidi_component")} >= {"rail", "train_timeline", "train_stack"}
    assert app.button(key="rail_next").disabled
    assert not [button for button in app.button if button.key == "train_start"]


def test_a_waiting_run_says_so(app, workspace, tiny_images, store):
    run = store.create(scripted.task(tiny_images))
    open_train(app, workspace, tiny_images, run)
    assert "Waiting for another run" in app.get("progress")[0].text


def test_stopping_is_confirmed_at_once(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)], alive=True)
    store.stop(run)
    open_train(app, workspace, tiny_images, run)
    assert "Stopping… the best weights so far are kept" in page_text(app)
    assert app.button(key="train_stop").disabled


def test_a_finished_run_leads_to_its_results(app, workspace, tiny_images, store):
    run = scripted.finished(store, tiny_images)
    open_train(app, workspace, tiny_images, run)
    report = read_report(store.folder(run))
    assert f"**The model is ready.** It gets {report.accuracy.value:.0%} of the test items right." in page_text(app)
    assert app.button(key="train_results")
    assert not app.button(key="rail_next").disabled


def test_a_stopped_run_can_be_used_and_resumed(app, workspace, tiny_images, store):
    ended = RunEnded("stopped", "Stopped on request; the best weights so far were kept.")
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35), ended])
    (store.folder(run) / "checkpoints" / "00000003").mkdir(parents=True)
    open_train(app, workspace, tiny_images, run)
    assert "Stopped. The best weights are kept." in page_text(app)
    assert app.button(key="train_results")
    app.button(key="train_go_on").click().run()
    assert not app.exception
    assert store.state(run).status == "queued"


def test_a_failure_says_what_to_do_and_starts_again(app, workspace, tiny_images, store):
    ended = RunEnded("failed", "The memory was not enough.", "Choose a smaller batch size.")
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 5), ended])
    open_train(app, workspace, tiny_images, run)
    assert "The memory was not enough." in app.error[0].value
    assert "Choose a smaller batch size." in app.error[0].value
    assert app.button(key="rail_next").disabled
    app.button(key="train_again").click().run()
    assert store.list()[0].task == store.state(run).task
    assert app.query_params["run"] == store.list()[0].id != run


def test_the_technical_details_of_a_failure_are_shown_on_demand(app, workspace, tiny_images, store):
    ended = RunEnded("failed", "An error that was not expected.", "Start it again.")
    run = scripted.write_run(store, scripted.task(tiny_images), [ended])
    (store.folder(run) / "worker.log").write_text("x" * 5000 + "Traceback (most recent call last):\nKeyError: 'y'")
    open_train(app, workspace, tiny_images, run)
    assert "not expected" in app.error[0].value
    assert "KeyError" not in page_text(app)
    assert "KeyError: 'y'" in app.code[0].value
    assert len(app.code[0].value) <= 3000


def test_a_worker_that_vanished_shows_as_interrupted(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)])
    open_train(app, workspace, tiny_images, run)
    assert "The run's process ended" in app.warning[0].value
    assert app.button(key="train_again")


def test_a_run_that_does_not_exist_leads_to_the_plan(app, workspace, tiny_images):
    open_train(app, workspace, tiny_images, "20260101-000000-000000")
    assert app.button(key="train_start")


def test_the_losses_are_thinned_and_keep_their_ends():
    rates = {"head": 1e-3}
    followed = live(*(StepDone(0, n, 5000, 1 / n, rates, 10.0, 1.0) for n in range(1, 5001)))
    assert len(followed.losses) <= POINTS
    assert followed.losses[0] == (1, 1.0)
    assert followed.losses[-1][0] > 4900


def test_the_followedknows_the_best_epoch_and_the_stage():
    epochs = [
        EpochDone(0, n, {}, {"loss": 1.0, "accuracy": a}, 1.0, b) for n, a, b in ((1, 0.5, True), (2, 0.4, False))
    ]
    followed = live(*epochs, Noted(Finding("warn", "x", "Look")), Progress("Testing", 1, 4))
    assert followed.best is epochs[0]
    assert followed.notes[0].message == "Look"
    assert followed.progress.stage == "Testing"
    followed.take(RunEnded("done", "All done."))
    assert followed.progress is None
    assert followed.position == 1.0


def test_the_followedreads_only_new_events(workspace, tiny_images, store, monkeypatch):
    import streamlit as st

    monkeypatch.setattr(st, "session_state", {})
    events = [*scripted.script(scripted.PLAN, 20)]
    run = scripted.write_run(store, scripted.task(tiny_images), events, alive=True)
    first = live_run.watch(store, run)
    cursor, steps = first.cursor, len(first.losses)
    assert live_run.watch(store, run) is first
    assert (first.cursor, len(first.losses)) == (cursor, steps)


def test_the_stack_has_the_head_on_top_and_groups_without_a_rate_frozen():
    drawn = layers({"stem": 10, "top": 20_000, "head": 30}, {"head": 1e-3, "top": 1e-4}, top_rate=1e-3)
    assert [layer.name for layer in drawn] == ["head", "top", "stem"]
    assert [layer.title for layer in drawn] == ["new head", "last layers", "first layers"]
    assert [layer.state for layer in drawn] == ["head", "trainable", "frozen"]
    assert drawn[0].level == 1.0
    assert math.isclose(drawn[1].level, 2 / 3)
    assert drawn[2].rate == ""


def test_the_timeline_fills_up_to_the_position():
    drawn = segments(scripted.PLAN.phases, 1, 0.25)
    assert [part.filled for part in drawn] == [1.0, 0.25]
    assert [part.weight for part in drawn] == [2, 4]


def test_the_timeline_shows_a_skipped_phase_empty_and_names_it():
    done = {0: 2, 2: 4}
    phases = (*scripted.PLAN.phases, scripted.PLAN.phases[1])
    drawn = segments(phases, 3, 1.0, done, skipped={1})
    assert [part.filled for part in drawn] == [1.0, 0.0, 1.0]
    assert [part.epochs for part in drawn] == ["2 epochs", "skipped", "4 epochs"]
    assert [part.skipped for part in drawn] == [False, True, False]


def test_the_timeline_of_a_finished_run_leaves_phases_empty_that_never_began():
    drawn = segments(scripted.PLAN.phases, 2, 1.0, {0: 2})
    assert [part.filled for part in drawn] == [1.0, 0.0]
    assert drawn[1].epochs == "not trained"


def test_a_skipped_phase_moves_no_boundary_of_the_others(tiny_images):
    """The second of three phases is skipped, and the run is resumed in the third."""
    head, top = scripted.PLAN.phases
    plan = replace(scripted.PLAN, phases=(head, replace(top, name="middle", only_if_better=True), top))
    first = [*scripted.script(replace(plan, phases=(head,)))]
    last = PhaseStarted(2, top.name, 4, top.lr, 40)
    steps = [StepDone(2, 20 + n, 60, 0.5, {}, 1.0, 1.0) for n in range(1, 13)]
    epoch = EpochDone(2, 0, {"loss": 0.5, "accuracy": 0.8}, {"loss": 0.6, "accuracy": 0.7}, 1.0, True)
    events = [
        replace(first[0], plan=plan), *first[1:], PhaseSkipped(1, "middle"), last, *steps[:10], epoch, *steps[10:],
        RunEnded("failed", "Killed."), RunResumed(30, 2, 1, restarted=True), last,
    ]  # fmt: skip
    followed = live(*events)
    assert followed.skipped == {1}
    assert followed.boundaries == {0: (0, 0, "head"), 2: (20, 2, "top layers")}
    assert followed.epochs_done == {0: 2, 2: 1}
    assert (followed.phase_start, followed.phase_epochs, followed.phase_position) == (20, 1, 0.25)
    drawn = segments(plan.phases, 2, followed.phase_position, followed.epochs_done, followed.skipped)
    assert [part.filled for part in drawn] == [1.0, 0.0, 0.25]


def test_the_epochs_ahead_leave_out_a_skipped_phase(tiny_images):
    head, top = scripted.PLAN.phases
    plan = replace(scripted.PLAN, phases=(head, top, top))
    first = [*scripted.script(replace(plan, phases=(head,)))]
    followed = live(replace(first[0], plan=plan), *first[1:], PhaseSkipped(1, top.name))
    assert followed.epochs_planned == 2 + 4


def test_the_timeline_shows_the_epochs_of_a_phase_that_ended_early(app, workspace, tiny_images, store):
    events = [
        *scripted.script(scripted.PLAN, 15), PlanEdited(1, 15, 0, "skip"),
        PhaseStarted(1, "top layers", 4, {"head": 1e-3, "top": 3e-4}, 40),
    ]  # fmt: skip
    live = LiveRun()
    for event in events:
        live.take(event)
    assert live.epochs_done == {0: 1, 1: 0}
    drawn = segments(scripted.PLAN.phases, 1, live.phase_position, live.epochs_done)
    assert [part.epochs for part in drawn] == ["1 of 2 epochs", "4 epochs"]
    assert [part.filled for part in drawn] == [1.0, 0.0]
    run = scripted.write_run(store, scripted.task(tiny_images), events, alive=True)
    open_train(app, workspace, tiny_images, run)
    assert "Phase 1 was ended by hand after step 15." in page_text(app)
    assert "Phase 2, top layers: epoch 1 of 4" in page_text(app)


def stats(phase: int = 0, epoch: int = 0, moved: bool = False) -> LayerStats:
    frozen = GroupStats(0.0, 0.0, 0.0, 0.0, True, moved)
    return LayerStats(phase, epoch, {"stem": frozen, "head": GroupStats(0.3, 1e-3, 0.2, 0.0, False, True)})


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        (lambda data: data, "Train once more"),
        (lambda data: data.change_split(replace(data.split, seed=7)), "Train the plan as it is now"),
        (lambda data: data.decide(Decision("drop", (int(data.rows("train")[0]),))), "Train the plan as it is now"),
    ],
)
def test_a_finished_run_is_offered_again_with_another_label_if_the_data_changed(
    changed, label, app, workspace, tiny_images, store
):
    run = scripted.finished(store, tiny_images)
    changed(tiny_images)
    open_train(app, workspace, tiny_images, run)
    assert [expander.label for expander in app.expander if expander.label.startswith("Train")] == [label]


def test_an_interrupted_run_is_resumed(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)])
    open_train(app, workspace, tiny_images, run)
    assert "resume it from its last checkpoint" in app.warning[0].value
    app.button(key="train_go_on").click().run()
    assert not app.exception
    assert store.state(run).status == "queued"
    assert len(store.list()) == 1
    assert "Waiting for another run" in page_text(app) + "".join(bar.text for bar in app.get("progress"))
    assert not [button for button in app.button if button.key in ("train_go_on", "train_again")]


@pytest.mark.parametrize("saved", [True, False])
def test_only_a_failure_with_a_saved_state_can_be_resumed(app, workspace, tiny_images, store, saved):
    ended = RunEnded("failed", "The disk is full.", "Free some space.")
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35), ended])
    if saved:
        (store.folder(run) / "checkpoints" / "00000001").mkdir(parents=True)
    open_train(app, workspace, tiny_images, run)
    assert ("train_go_on" in [button.key for button in app.button]) == saved
    assert app.button(key="train_again")
    if saved:
        app.button(key="train_go_on").click().run()
        assert store.state(run).status == "queued"


def test_a_run_is_paused_and_resumed(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)], alive=True)
    open_train(app, workspace, tiny_images, run)
    app.button(key="train_pause").click().run()
    assert not app.exception
    assert store.control(run).paused
    assert "Pausing…" in page_text(app)
    event_log.append(store.folder(run) / EVENTS_FILE, RunPaused(35))
    app.run()
    assert "Paused. Everything learned so far is kept" in page_text(app)
    assert "Paused after step 35." in page_text(app)
    assert app.button(key="train_pause_end").label == "Resume"
    app.button(key="train_pause_end").click().run()
    assert not store.control(run).paused


@pytest.mark.parametrize("prepared", [True, False])
def test_a_paused_run_is_resumed_or_stopped(app, workspace, tiny_images, store, prepared):
    events = [*scripted.script(scripted.PLAN, 35)] if prepared else [Progress("features", 3, 9)]
    run = scripted.write_run(store, scripted.task(tiny_images), events)
    store.leave(run, "paused")
    open_train(app, workspace, tiny_images, run)
    assert app.title[0].value == "Watch it learn"
    assert "Paused. Everything learned so far is kept" in page_text(app) + str(
        [bar.proto for bar in app.get("progress")]
    )
    assert {button.key for button in app.button}.isdisjoint({"train_go_on", "train_again", "train_change"})
    app.button(key="train_pause_end").click().run()
    assert store.state(run).status == "queued"
    assert not [button for button in app.button if button.key and button.key.startswith("train_pause")]
    store.stop(run)
    app.run()
    assert app.button(key="train_pause_end").label == "Resume"
    app.button(key="train_stop").click().run()
    assert app.button(key="train_stop_yes")
    store.stop(run)
    app.run()
    assert not app.exception
    assert "Stopping…" in page_text(app)


def test_a_layer_group_is_changed_while_it_runs(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)], alive=True)
    open_train(app, workspace, tiny_images, run)
    app.selectbox(key="train_group").set_value("middle").run()
    app.number_input(key="train_rate_middle").set_value(5e-4)
    app.button(key="train_edit").click().run()
    assert not app.exception
    app.segmented_control(key="train_wish").set_value("Freeze it").run()
    app.selectbox(key="train_group").set_value("top").run()
    app.button(key="train_edit").click().run()
    app.button(key="train_skip").click().run()
    edits_sent = [(edit.action, edit.group, edit.rate) for edit in store.control(run).edits(0)]
    assert edits_sent == [("rate", "middle", 5e-4), ("freeze", "top", None), ("skip", "", None)]
    assert "Phase 2, top layers: ends after this step, as requested" in page_text(app)
    assert app.button(key="train_skip").disabled
    event_log.append(store.folder(run) / EVENTS_FILE, PlanEdited(1, 35, 1, "rate", "middle", 5e-4))
    app.run()
    assert "Since step 36, middle learns at the rate 0.0005: changed by hand." in page_text(app).replace("\\", "")


def test_a_phase_that_solves_the_head_cannot_be_changed(app, workspace, tiny_texts, store):
    started = RunStarted("train", scripted.TEXT_PLAN, {"embeddings": 10, "head": 5}, "cpu", 0, {})
    events = [started, PhaseStarted(0, "head", 30, {"head": 1.0}, 30)]
    run = scripted.write_run(store, scripted.task(tiny_texts, scripted.TEXT_PLAN), events, alive=True)
    open_train(app, workspace, tiny_texts, run)
    assert "in one step" in page_text(app)
    assert not [button for button in app.button if button.key in ("train_edit", "train_skip")]


def test_the_freeze_proof_reports_what_changed(app, workspace, tiny_images, store):
    events = [*scripted.script(scripted.PLAN, 35), stats()]
    run = scripted.write_run(store, scripted.task(tiny_images), events, alive=True)
    open_train(app, workspace, tiny_images, run)
    assert "bit for bit the same" in page_text(app)
    shown = app.dataframe[0].value
    assert list(shown["Layer group"]) == ["new head", "first layers"]
    assert list(shown["State"]) == ["Learns", "Frozen"]
    assert list(shown["Drift"]) == [0.2, 0.0]
    event_log.append(store.folder(run) / EVENTS_FILE, stats(epoch=1, moved=True))
    app.run()
    assert any("were frozen but changed: stem" in error.value for error in app.error)


def test_the_sizes_of_the_penalties_are_shown(app, workspace, tiny_images, store):
    step = StepDone(0, 5, 60, 1.0, {}, 10.0, 5.0, {"l2_sp": 0.0123})
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 4), step], alive=True)
    open_train(app, workspace, tiny_images, run)
    assert "Stay near the pretrained weights (L2-SP) 0.0123" in page_text(app).replace("\\", "")


def test_a_workspace_that_is_deleted_while_a_run_is_shown_breaks_no_page(app, workspace, tiny_images, store):
    run = scripted.write_run(store, scripted.task(tiny_images), [*scripted.script(scripted.PLAN, 35)], alive=True)
    open_train(app, workspace, tiny_images, run)
    shutil.rmtree(workspace.root)
    app.run()
    assert not app.exception
    app.switch_page("../pages/7_runs.py").run()
    assert not app.exception
    assert "No runs yet" in page_text(app)


def test_the_followedforgets_what_an_interruption_lost():
    """A run killed at step 47 and resumed from the end of the epoch before looks like one that was never killed."""
    whole = [*scripted.script(scripted.PLAN)]
    steps = [i for i, event in enumerate(whole) if isinstance(event, StepDone) and event.step in (40, 47)]
    phase = next(event for event in reversed(whole) if isinstance(event, PhaseStarted))
    kept = steps[0] + 3  # with the epoch's own events
    resumed = RunResumed(40, 1, 3, restarted=True)
    killed = [*whole[: steps[1] + 1], stats(1, 3), RunEnded("failed", "Killed."), resumed, phase, *whole[kept:]]
    one, other = live(*whole), live(*killed)
    for name in (
        "losses",
        "epochs",
        "boundaries",
        "phase_start",
        "phase_epochs",
        "position",
        "rates",
        "stats",
        "ended",
    ):
        assert getattr(one, name) == getattr(other, name), name
    assert [note.code for note in other.notes] == ["resumed"]


def test_a_run_that_starts_from_the_beginning_is_empty():
    whole = [*scripted.script(scripted.PLAN, 7)]
    followed = live(*whole, whole[0])
    assert (followed.losses, followed.epochs, followed.step, followed.phase) == ([], [], None, None)
    assert followed.boundaries == {}
    assert followed.started is whole[0]


def test_paused_time_is_not_counted():
    followed = live(*scripted.script(scripted.PLAN, 20))
    last = followed.last
    followed.take(RunPaused(20, at=last + 1))
    assert followed.waiting
    followed.take(RunResumed(20, 1, 0, restarted=False, at=last + 100))
    assert not followed.waiting
    assert followed.idle == 99


def test_a_repeated_edit_is_noted_once():
    edit = PlanEdited(1, 7, 0, "freeze", "head")
    followed = live(*scripted.script(scripted.PLAN, 9), edit)
    assert followed.rates == {}
    followed.take(RunResumed(5, 0, 0, restarted=True))
    followed.take(edit)
    assert [note.code for note in followed.notes] == ["edited", "resumed"]
