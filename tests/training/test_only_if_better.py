"""A phase that is only trained if the one before it helped: skipped or not, and the same after an interruption."""

from dataclasses import replace

import pytest
import torch

from tests.training.helpers import SOLVED, after, descent, make_job, run, same_bits
from tests.training.test_edits import run_with, skip
from tests.training.test_resume import attempt, same_end, weights, whole
from tl_core.data.split import SplitSpec
from tl_core.plan import Phase, from_yaml, to_yaml
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, Noted, PhaseSkipped, PhaseStarted, RunPaused, RunResumed, StepDone
from tl_core.training.step import Stepper

WEAK = Phase("head", 1, {"head": 1e-6})
"""A head that is hardly better than chance, so that every phase after it helps."""
TOP = replace(descent(["top", "head"], 2, 3e-3), name="last block")
TWO = replace(descent(["middle", "top", "head"], 2, 3e-3), name="last 2 blocks", only_if_better=True)
THREE = replace(descent(["stem", "middle", "top", "head"], 2, 3e-3), name="last 3 blocks", only_if_better=True)


@pytest.fixture
def wrecking(monkeypatch):
    """Makes every step that trains the middle group ruin the head, so that no such epoch beats the one before."""
    step = Stepper.step

    def ruin(stepper, *args):
        result = step(stepper, *args)
        if "middle" in stepper.objective.phase.lr:
            with torch.no_grad():
                stepper.model.head.out.weight.zero_()
        return result

    monkeypatch.setattr(Stepper, "step", ruin)


def started(events):
    return [event.index for event in events if isinstance(event, PhaseStarted)]


def skipped(events):
    return [(event.index, event.name) for event in events if isinstance(event, PhaseSkipped)]


def notes(events):
    return [e.finding.message for e in events if isinstance(e, Noted) and e.finding.code == "only-if-better"]


def test_where_the_second_block_brings_nothing_the_third_is_skipped_and_the_best_weights_stay(tiny_images, wrecking):
    job = make_job(tiny_images, [WEAK, TOP, TWO, THREE], publish=0.0)
    short = make_job(tiny_images, [WEAK, TOP], folder="short")
    events = run(job)
    assert not any(event.best for event in events if isinstance(event, EpochDone) and event.phase == 2)
    assert started(events) == [0, 1, 2]
    assert skipped(events) == [(3, "last 3 blocks")]
    (note,) = notes(events)
    assert note == "last 3 blocks: skipped, because the last trained phase brought no better score on validation."
    assert "skipped" in events[-1].reason
    last = [event for event in events if isinstance(event, StepDone)][-1]
    assert last.phase == 2
    run(short)
    one, other = after(job).state_dict(), after(short).state_dict()
    assert all(same_bits(one[name], other[name]) for name in one)


def test_where_the_first_block_brings_nothing_all_others_are_skipped(tiny_images, wrecking):
    events = run(make_job(tiny_images, [SOLVED, replace(TWO, name="first", only_if_better=False), TWO, THREE]))
    assert started(events) == [0, 1]
    assert skipped(events) == [(2, "last 2 blocks"), (3, "last 3 blocks")]
    assert len(notes(events)) == 2


def test_where_every_block_helps_all_are_trained(tiny_images):
    events = run(make_job(tiny_images, [WEAK, TOP, TWO]))
    assert any(event.best for event in events if isinstance(event, EpochDone) and event.phase == 1)
    assert started(events) == [0, 1, 2]
    assert notes(events) == []
    assert events[-1].reason == "Every phase of the plan was trained."


def test_without_validation_items_all_are_trained_and_it_says_so(tiny_images, wrecking):
    dataset = replace(tiny_images, split=SplitSpec(validation=0.0))
    events = run(make_job(dataset, [WEAK, TOP, TWO, THREE]))
    assert started(events) == [0, 1, 2, 3]
    assert len(notes(events)) == 2
    assert all("no validation items" in note and "trained" in note for note in notes(events))


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("last", ["middle of the phase", "end of the phase", "decision"])
def test_a_run_that_is_killed_around_the_decision_decides_the_same(tiny_images, request, skips, last):
    if skips:
        request.getfixturevalue("wrecking")
    phases = [WEAK, TOP, TWO, THREE] if skips else [WEAK, TOP, TWO]
    plain, job = (make_job(tiny_images, phases, folder=name, publish=0.0) for name in ("plain", "run"))
    expected = whole(plain)
    before = 2 if skips else 1

    def killed(event, _):
        done = isinstance(event, EpochDone) and event.phase == before
        if last == "middle of the phase":
            return isinstance(event, StepDone) and event.phase == before and event.step % 4 == 0
        if last == "end of the phase":
            return done and event.epoch == 1
        return bool(notes([event])) if skips else isinstance(event, PhaseStarted) and event.index == 2

    events = attempt(job, MemoryControl(), killed)
    events += whole(replace(job, resume=True))
    same_end(job, plain, events, expected)
    assert weights(job) == weights(plain)
    assert started(expected) == [0, 1, 2]


def test_after_a_phase_that_somebody_skips_the_next_one_is_trained(tiny_images):
    steps = -(-len(tiny_images.rows("train")) // 4)  # of the first phase
    events = run_with(make_job(tiny_images, [WEAK, TOP, TWO]), {steps: [skip]})
    assert started(events) == [0, 1, 2]


def test_a_phase_that_a_person_skips_before_its_first_step_is_not_said_to_be_of_no_help(tiny_images):
    per_epoch = -(-len(tiny_images.rows("train")) // 4)
    events = run_with(make_job(tiny_images, [WEAK, TOP, TWO]), {3 * per_epoch: [skip]})
    assert started(events) == [0, 1, 2]
    assert not any(isinstance(event, StepDone) and event.phase == 2 for event in events)
    assert events[-1].reason == "The plan was carried out; a phase was skipped by hand before its first step."


def test_that_phases_were_skipped_is_still_known_after_a_resume(tiny_images, wrecking):
    job = make_job(tiny_images, [WEAK, TOP, TWO, THREE, replace(TOP, name="again", epochs=3)], publish=0.0)
    events = attempt(job, MemoryControl(), lambda event, _: isinstance(event, StepDone) and event.phase == 4)
    resumed = whole(replace(job, resume=True))
    assert skipped(events) == [(3, "last 3 blocks")]
    assert skipped(resumed) == []
    assert isinstance(resumed[0], RunResumed)
    assert "could not help any more" in resumed[-1].reason


def test_a_first_phase_skipped_by_hand_needs_no_score_and_the_decision_is_not_taken_again(tiny_images):
    job = make_job(tiny_images, [WEAK, TWO], publish=0.0)
    control = SkipsThenPauses()
    events = attempt(job, control, lambda event, _: isinstance(event, RunPaused))
    assert started(events) == [0, 1]
    assert events[-1].step == 0
    resumed = whole(replace(job, resume=True))
    assert isinstance(resumed[0], RunResumed)
    assert resumed[0].phase == 1
    assert notes(events + resumed) == []


class SkipsThenPauses(MemoryControl):
    """Asks to skip the first phase before its first step, and to pause before the first step of the second."""

    def __init__(self):
        super().__init__()
        self.skip_phase()
        self.looks = 0

    @property
    def paused(self):
        self.looks += 1
        return self.looks > 1


def test_a_solved_head_always_counts_as_a_gain(tiny_images):
    events = run(make_job(tiny_images, [SOLVED, TWO]))
    assert started(events) == [0, 1]


def test_it_goes_through_yaml_and_is_left_out_at_its_default(tiny_images):
    plan = make_job(tiny_images, [WEAK, TOP, TWO]).plan
    groups = ("stem", "middle", "top")
    assert from_yaml(to_yaml(plan, groups), groups) == plan
    assert to_yaml(plan, groups).count("only_if_better") == 1
