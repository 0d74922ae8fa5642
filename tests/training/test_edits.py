"""Edits during a run: applied at the next step, reported, kept over an interruption, and repeated from the log."""

import random
import threading
from dataclasses import replace

import pytest
import torch

from tests.training.helpers import SOLVED, after, before, descent, epochs, make_job, same_bits
from tests.training.test_resume import PausesAt, attempt, epoch_results, weights
from tl_core.plan import Phase, rate_at
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted, PhaseStarted, PlanEdited, RunEnded, RunPaused, RunResumed, StepDone
from tl_core.runs.history import edits as of_log
from tl_core.training.loop import train
from tl_core.training.step import Stepper

TUNE = descent(["top", "head"], 3)


class Scripted(MemoryControl):
    """Asks for edits at the n-th look, that is before step n of what obeys them."""

    def __init__(self, script):
        super().__init__()
        self.script, self.looks = script, 0

    def edits(self, after):
        for ask in self.script.get(self.looks, ()):
            ask(self)
        self.looks += 1
        return super().edits(after)


def rate(group, value):
    return lambda control: control.edit(group, value)


def skip(control):
    control.skip_phase()


def run_with(job, script):
    events = list(train(job, Scripted(script)))
    assert isinstance(events[-1], RunEnded)
    return events


def edited(events):
    return [event for event in events if isinstance(event, PlanEdited)]


@pytest.fixture
def watched(monkeypatch):
    """Every step: its number, where the inputs start, and which parameters the optimiser holds state of."""
    seen = []
    take = Stepper.step

    def step(stepper, *args):
        number, start = stepper.counter.step, getattr(stepper.inputs, "start", None)
        result = take(stepper, *args)
        names = {p: n for n, p in stepper.model.named_parameters()}
        held = {names[p]: int(state["step"]) for p, state in stepper.optimiser.state.items()}
        bits = {n: t.clone() for n, t in stepper.model.state_dict().items()}
        grads = {names[p] for p in names if p.grad is not None}
        seen.append((number, start, held, bits, grads))
        return result

    monkeypatch.setattr(Stepper, "step", step)
    return seen


def test_a_new_rate_holds_from_the_step_that_the_event_names(tiny_images):
    job = make_job(tiny_images, [replace(TUNE, schedule="linear")], publish=0.0)
    events = run_with(job, {4: [rate("top", 5e-4)]})
    (edit,) = edited(events)
    assert (edit.number, edit.step, edit.phase, edit.action, edit.group, edit.rate) == (1, 4, 0, "rate", "top", 5e-4)
    steps = [event for event in events if isinstance(event, StepDone)]
    total = len(steps)
    for number, event in enumerate(steps):
        factor = rate_at("linear", 0.0, (number + 0.5) / total)
        base = 5e-4 if number >= 4 else 1e-3
        assert event.lr == pytest.approx({"top": base * factor, "head": 1e-3 * factor}, rel=0.05)
    assert events.index(edit) < events.index(steps[4]), "told before it takes effect"


def test_a_frozen_group_stands_still_without_gradient_or_state(tiny_images, watched):
    run_with(make_job(tiny_images, [TUNE]), {3: [rate("top", None)]})
    top = [name for name in watched[0][3] if ".top." in name]
    assert all(same_bits(watched[2][3][name], seen[3][name]) for seen in watched[3:] for name in top)
    assert not same_bits(watched[1][3][top[0]], watched[2][3][top[0]])
    for number, _, held, _, grads in watched:
        assert any(".top." in name for name in held) == (number < 3)
        assert any(".top." in name for name in grads) == (number < 3)
        assert all(step == number + 1 for name, step in held.items() if name.startswith("head"))


def test_a_thawed_group_learns_with_a_state_of_its_own_and_more_of_the_network_runs(tiny_images, watched):
    job = make_job(tiny_images, [TUNE])
    run_with(job, {4: [rate("middle", 1e-3)], 9: [rate("middle", None)]})
    middle = "backbone.net.middle.0.weight"
    assert [start for _, start, *_ in watched] == [2] * 4 + [1] * 5 + [2] * (len(watched) - 9)
    assert [held.get(middle) for _, _, held, *_ in watched] == [None] * 4 + [1, 2, 3, 4, 5] + [None] * (
        len(watched) - 9
    )
    first = before(job).state_dict()[middle]
    assert all(same_bits(first, seen[3][middle]) == (seen[0] < 4) for seen in watched)
    assert all(same_bits(watched[8][3][middle], seen[3][middle]) for seen in watched[9:])


def test_what_a_cached_prefix_gives_after_an_edit_is_what_the_network_gives(tiny_images):
    script = {2: [rate("middle", 1e-3)], 6: [rate("middle", None)], 9: [rate("top", None)]}
    cached = make_job(tiny_images, [SOLVED, TUNE, Phase("last", 2, {"head": 1e-3})], folder="cached")
    plain = replace(make_job(tiny_images, cached.plan.phases, folder="plain"), cache=0)
    run_with(cached, dict(script))
    run_with(plain, dict(script))
    one, other = after(cached).state_dict(), after(plain).state_dict()
    assert not same_bits(before(cached).state_dict()[name := "backbone.net.middle.0.weight"], one[name])
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-3)


def test_the_best_weights_cover_what_was_thawed(tiny_images, monkeypatch):
    """Thawed and then wrecked, the group goes back to its values from before."""
    take = Stepper.step

    def wrecking(stepper, *args):
        result = take(stepper, *args)
        if "middle" in stepper.objective.phase.lr:
            stepper.model.backbone.net.middle[0].weight.data.zero_()
        return result

    monkeypatch.setattr(Stepper, "step", wrecking)
    job = make_job(tiny_images, [SOLVED, TUNE])
    events = run_with(job, {2: [rate("middle", 1e-3)]})
    assert len(edited(events)) == 1
    assert not any(event.best for event in epochs(events, 1))
    first, last = before(job).state_dict(), after(job).state_dict()
    for name in first:
        if name.startswith("backbone"):
            assert same_bits(first[name], last[name]), name


def test_a_skip_ends_the_phase_after_what_was_learned_is_judged(tiny_images):
    job = make_job(tiny_images, [TUNE, Phase("last", 1, {"head": 1e-3})])
    events = run_with(job, {6: [skip]})
    (edit,) = edited(events)
    assert (edit.step, edit.phase, edit.action) == (6, 0, "skip")
    per_epoch = -(-len(tiny_images.rows("train")) // 4)
    assert len(epochs(events, 0)) == 2
    assert per_epoch < 6 < 2 * per_epoch
    assert [event.index for event in events if isinstance(event, PhaseStarted)] == [0, 1]
    assert len(epochs(events, 1)) == 1
    assert events[-1].status == "done"


def test_skipping_everything_leaves_nothing_and_says_so(tiny_images):
    events = run_with(make_job(tiny_images, [TUNE, Phase("last", 1, {"head": 1e-3})]), {0: [skip], 1: [skip]})
    assert events[-1].status == "stopped"
    assert "skipped" in events[-1].reason


BAD = {
    "unknown group": rate("roof", 1e-3),
    "unknown to freeze": rate("roof", None),
    "no rate": rate("top", -1.0),
    "nought": rate("top", 0.0),
    "absurd": rate("top", 1e6),
    "not a number": rate("top", float("nan")),
    "frozen already": rate("stem", None),
    "head too early": rate("head", None),
}


@pytest.mark.parametrize("name", BAD)
def test_an_edit_that_cannot_be_applied_is_reported_and_changes_nothing(tiny_images, name):
    plain = make_job(tiny_images, [TUNE], folder="plain")
    job = make_job(tiny_images, [TUNE])
    expected = epoch_results(run_with(plain, {}))
    events = run_with(job, {2: [BAD[name]], 3: [rate("head", 1e-3)]})
    (finding,) = [event.finding for event in events if isinstance(event, Noted)]
    assert (finding.level, finding.code) == ("warn", "edit")
    assert finding.message
    assert finding.hint
    assert [event.number for event in edited(events)] == [2], "the bad one counts as obeyed"
    assert epoch_results(events) == expected
    assert weights(job) == weights(plain)


def test_the_last_group_that_learns_cannot_be_frozen(tiny_images):
    job = make_job(tiny_images, [SOLVED, Phase("last", 2, {"head": 1e-3})])
    events = run_with(job, {0: [rate("head", None)]})
    assert "solved" in next(event.finding.message for event in events if isinstance(event, Noted))
    other = make_job(tiny_images, job.plan.phases, folder="other")
    events = run_with(other, {len(epochs(events, 0)) + 2: [rate("head", None)]})
    assert any("so it cannot be frozen" in event.finding.message for event in events if isinstance(event, Noted))


def test_a_group_above_the_tap_cannot_learn(tiny_images):
    from tl_core.plan import Head

    job = make_job(tiny_images, [descent(["middle", "head"])], head=Head(tap="middle"))
    events = run_with(job, {1: [rate("top", 1e-3)]})
    assert not edited(events)
    assert any("sits below" in event.finding.message for event in events if isinstance(event, Noted))


def asks(chance):
    """Some edits at random looks, good and bad ones."""
    script = {}
    for _ in range(chance.randint(2, 6)):
        group = chance.choice(["stem", "middle", "top", "head", "top", "middle"])
        ask = skip if chance.random() < 0.1 else rate(group, chance.choice([None, 3e-4, 2e-3]))
        script.setdefault(chance.randint(0, 25), []).append(ask)
    return script


@pytest.mark.parametrize("seed", range(7))
def test_a_run_with_edits_can_be_repeated_from_its_log_and_resumed(tiny_images, seed):
    """Killed again and again with edits in between: a fresh run from the log alone ends with the same bits."""
    phases = [SOLVED, TUNE, Phase("all", 3, dict.fromkeys(["stem", "middle", "top", "head"], 1e-3), patience=1)]
    chance, events = random.Random(seed), []
    job = make_job(tiny_images, phases, folder="live", publish=0.0, resume=True)
    control = Scripted(asks(chance))
    for _ in range(60):
        count = chance.randint(4, 40)
        events += attempt(replace(job, edits=of_log(events)), control, lambda event, n, count=count: n >= count)
        if isinstance(events[-1], RunEnded):
            break
    assert events[-1].status == "done", events[-1]
    log = of_log(events)
    assert log, "the seed asks for something"
    again = make_job(tiny_images, phases, folder="again", publish=0.0, edits=log)
    replayed = list(train(again, MemoryControl()))
    assert [replace(e, at=0.0) for e in edited(replayed)] == [replace(e, at=0.0) for e in log]
    assert weights(again) == weights(job)
    assert epoch_results(replayed) == epoch_results(events)


def test_a_pause_writes_a_checkpoint_and_changes_no_bit(tiny_images):
    plain, job = (make_job(tiny_images, [SOLVED, TUNE], folder=name, publish=0.0) for name in ("plain", "paused"))
    expected = epoch_results(run_with(plain, {}))
    control, events, clean = MemoryControl(), [], 0
    for event in train(job, control):
        events.append(event)
        if isinstance(event, StepDone) and event.phase == 1 and event.step % 4 == 0:
            control.pause()
        if isinstance(event, RunPaused):
            clean += len(list((job.folder / "checkpoints").glob("[0-9]*")))
            control.resume()
    told_of = [event for event in events if isinstance(event, RunPaused | RunResumed)]
    assert len(told_of) > 2
    assert [type(event) for event in told_of] == [RunPaused, RunResumed] * (len(told_of) // 2)
    assert not any(event.restarted for event in told_of[1::2])
    assert [event.step for event in told_of[::2]] == [event.step for event in told_of[1::2]]
    assert clean
    assert weights(job) == weights(plain)
    assert epoch_results(events) == expected


def test_a_stop_ends_a_pause(tiny_images):
    control = PausesAt(3)
    for event in train(make_job(tiny_images, [TUNE]), control):
        if isinstance(event, RunPaused):
            control.stop()
    assert event.status == "stopped"


def test_waiting_does_not_count(tiny_images, monkeypatch):
    monkeypatch.setattr("tl_core.training.edits.POLL", 0.01)
    control, events = MemoryControl(), []
    for event in train(make_job(tiny_images, [descent(["head"], 1)], publish=0.0), control):
        if isinstance(event, StepDone) and not any(isinstance(e, RunPaused) for e in events):
            control.pause()
        if isinstance(event, RunPaused):
            threading.Timer(2.0, control.resume).start()
        events.append(event)
    paused, resumed = (event for event in events if isinstance(event, RunPaused | RunResumed))
    assert resumed.at - paused.at > 1.9
    assert epochs(events)[0].seconds < 1.9
