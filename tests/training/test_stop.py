"""A run that is stopped and resumed ends with the same bits as one that was not stopped."""

import random
from dataclasses import replace

import pytest

from tests.training.helpers import SOLVED, descent, make_job
from tests.training.test_edits import Scripted, edited, rate, run_with, skip
from tests.training.test_loop import StopsAt
from tests.training.test_resume import VARIANTS, epoch_results, phases_of_all_kinds, same_end, weights, whole
from tl_core.plan import Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, Noted, PlanEdited, RunPaused, RunResumed, RunStarted, StepDone
from tl_core.runs.history import edits as of_log
from tl_core.training.loop import train

TUNE = descent(["top", "head"], 3)


def saved(job):
    return sorted(path.name for path in (job.folder / "checkpoints").glob("*"))


def stop_at(job, wanted, control=None):
    """Stop at the first event that is wanted; returns the events, the last of which says so."""
    control, events = control or MemoryControl(), []
    for event in train(job, control):
        events.append(event)
        if wanted(event):
            control.stop()
    assert events[-1].status == "stopped", events[-1]
    return events


@pytest.mark.parametrize(
    ("data", "name"),
    [("tiny_images", "none"), ("tiny_images", "random"), ("tiny_texts", "l2_sp"), ("tiny_texts", "dropout")],
)
def test_stopped_again_and_again_it_ends_with_the_same_bits(data, name, request):
    dataset = request.getfixturevalue(data)
    jobs = [make_job(dataset, phases_of_all_kinds(dataset), folder=folder, publish=0.0) for folder in ("a", "b")]
    plain, job = (replace(job, plan=replace(job.plan, **VARIANTS.get(name, {}))) for job in jobs)
    expected, chance, events = whole(plain), random.Random(f"{data} {name}"), []
    for more_patient in range(60):
        control = StopsAt(chance.randint(1, 25) + 4 * more_patient)
        events += train(replace(job, resume=True), control)
        if events[-1].status == "done":
            break
        assert events[-1].status == "stopped"
        assert len(saved(job)) <= 1
    same_end(job, plain, events, expected)
    assert sum(isinstance(event, RunResumed) for event in events) > 1


def test_a_run_stopped_in_an_epoch_resumes_with_its_next_step(tiny_images):
    plain, job = (make_job(tiny_images, [SOLVED, TUNE], folder=name, publish=0.0) for name in ("plain", "run"))
    expected = whole(plain)
    events = stop_at(job, lambda e: isinstance(e, StepDone) and e.phase == 1 and expected_middle(expected, e.step))
    stopped = max(event.step for event in events if isinstance(event, StepDone))
    assert len(saved(job)) == 1
    assert weights(job), "its best weights so far are there as well"
    events += whole(replace(job, resume=True))
    (resumed,) = (event for event in events if isinstance(event, RunResumed))
    assert (resumed.step, resumed.phase, resumed.epoch, resumed.restarted) == (stopped, 1, 1, True)
    same_end(job, plain, events, expected)


def expected_middle(events, step):
    """Whether a step is the second of the second epoch of phase 1."""
    at = next(n for n, e in enumerate(events) if isinstance(e, EpochDone) and e.phase == 1)
    return step == max(e.step for e in events[:at] if isinstance(e, StepDone)) + 2


def test_a_run_stopped_while_its_last_head_is_solved_resumes_at_the_start_of_that_phase(tiny_images):
    phases = [TUNE, SOLVED]
    plain, job = (make_job(tiny_images, phases, folder=name, publish=0.0) for name in ("plain", "run"))
    expected = whole(plain)
    events = stop_at(job, lambda e: isinstance(e, StepDone) and e.phase == 1)
    assert len(saved(job)) == 1
    events += whole(replace(job, resume=True))
    (resumed,) = (event for event in events if isinstance(event, RunResumed))
    assert (resumed.phase, resumed.epoch) == (1, 0)
    same_end(job, plain, events, expected)


def test_a_run_stopped_in_a_pause_resumes_there(tiny_images):
    plain, job = (make_job(tiny_images, [TUNE], folder=name, publish=0.0) for name in ("plain", "run"))
    expected, control = whole(plain), MemoryControl()
    events = []
    for event in train(job, control):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 3:
            control.pause()
        if isinstance(event, RunPaused):
            control.stop()
    assert events[-1].status == "stopped"
    events += whole(replace(job, resume=True))
    assert [event.step for event in events if isinstance(event, RunResumed)] == [3]
    same_end(job, plain, events, expected)


def test_a_stop_before_anything_was_learned_leaves_nothing(tiny_images):
    job = make_job(tiny_images, [TUNE], publish=0.0)
    control = MemoryControl()
    control.stop()
    events = list(train(job, control))
    assert "nothing had been learned" in events[-1].reason
    assert not list(job.folder.iterdir())
    assert isinstance(next(train(replace(job, resume=True), MemoryControl())), RunStarted)


@pytest.mark.parametrize("name", ["skip", "thaw", "freeze"])
def test_a_stop_right_after_an_edit_keeps_the_edit(tiny_images, name):
    """The epoch that a skip ends is still judged, and what is thawed is made ready again."""
    ask = {"skip": skip, "thaw": rate("middle", 1e-3), "freeze": rate("top", None)}[name]
    phases = [TUNE, Phase("last", 2, {"head": 1e-3})]
    plain, job = (make_job(tiny_images, phases, folder=folder, publish=0.0) for folder in ("plain", "run"))
    expected = run_with(plain, {7: [ask]})
    events = stop_at(job, lambda event: isinstance(event, PlanEdited), Scripted({7: [ask]}))
    again = replace(job, resume=True, edits=of_log(events))
    events += whole(again)
    assert [replace(e, at=0.0) for e in {e.number: e for e in edited(events)}.values()] == [
        replace(e, at=0.0) for e in edited(expected)
    ]
    same_end(job, plain, events, expected)
    assert any(isinstance(event, RunResumed) for event in events)
    assert not [event for event in events if isinstance(event, Noted) and event.finding.code == "edit"]
    assert epoch_results(events)
