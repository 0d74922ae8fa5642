"""The freeze proof against brute force, and its alarm against real movement."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.helpers import SOLVED, after, before, descent, make_job, run, same_bits
from tl_core.plan import Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EVENTS, EpochDone, LayerStats, Noted, RunEvent, StepDone
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training import layer_monitor, loop
from tl_core.training.evaluate import Evaluator
from tl_core.training.model import groups_of
from tl_core.training.step import Stepper
from tl_core.types import dump, load

ALL = ["stem", "middle", "top", "head"]


@pytest.fixture
def always(monkeypatch):
    """Measures every epoch, whatever it costs."""
    monkeypatch.setattr(layer_monitor, "SHARE", 1e9)


@pytest.fixture
def steps(monkeypatch):
    """Records weights and buffers around every step, and the gradient before it is clipped."""
    seen = []
    take, clip = Stepper.step, torch.nn.utils.clip_grad_norm_

    def state(model):
        return {name: tensor.detach().clone().numpy() for name, tensor in model.state_dict().items()}

    def stepped(stepper, *args):
        model = stepper.model
        start = state(model)
        gradients = {}

        def spy(parameters, size):
            for name, parameter in model.named_parameters():
                if parameter.grad is not None:
                    gradients[name] = parameter.grad.clone().numpy()
            return clip(parameters, size)

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
        result = take(stepper, *args)
        seen.append((start, state(model), gradients))
        return result

    monkeypatch.setattr(Stepper, "step", stepped)
    return seen


def stats(events: list[RunEvent], phase: int = 0) -> list[LayerStats]:
    return [event for event in events if isinstance(event, LayerStats) and event.phase == phase]


def alarms(events: list[RunEvent]) -> list[Noted]:
    return [event for event in events if isinstance(event, Noted) and event.finding.code == "frozen-moved"]


def length(arrays: Iterator[np.ndarray]) -> float:
    return float(np.linalg.norm(np.concatenate([np.ravel(a).astype(np.float64) for a in arrays] or [np.zeros(1)])))


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_every_figure_is_that_of_a_brute_force(tiny_images, always, steps, decay):
    job = make_job(tiny_images, [descent(["middle", "top", "head"], 3, 1e-2, weight_decay=decay)])
    layer_stats = stats(run(job))
    assert [event.epoch for event in layer_stats] == [0, 1, 2]
    model = before(job)
    start = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    parameters = dict(model.named_parameters())
    per_epoch = len(steps) // 3
    assert per_epoch > 1
    for event in layer_stats:
        old, new, gradients = steps[(event.epoch + 1) * per_epoch - 1]
        for group, names in groups_of(model, job.spec).items():
            one, weights = event.groups[group], [n for n in names if n in parameters]
            running = [n for n in names if n.endswith(("running_mean", "running_var"))]
            if group == "stem":
                assert one == type(one)(0.0, 0.0, 0.0, 0.0, frozen=True, moved=False)
                continue
            first = steps[0][0] if group == "head" else start
            drift = length(new[n] - first[n] for n in weights) / length(first[n] for n in weights)
            assert one.drift == pytest.approx(drift, rel=1e-4)
            assert one.gradient == pytest.approx(length(gradients[n] for n in weights), rel=1e-4)
            update = length(new[n] - old[n] for n in weights) / length(old[n] for n in weights)
            assert one.update == pytest.approx(update, rel=1e-3)
            assert update > 0
            if running:
                drift = length(new[n] - start[n] for n in running) / length(start[n] for n in running)
                assert one.norm_drift == pytest.approx(drift, rel=1e-4)
                assert drift > 0
            else:
                assert one.norm_drift == 0.0
            assert (one.frozen, one.moved) == (False, True)


def test_the_reported_gradient_is_the_one_before_clipping(tiny_images, always, steps, monkeypatch):
    monkeypatch.setattr(layer_monitor, "CLIP", 1e-3)
    monkeypatch.setattr("tl_core.training.step.CLIP", 1e-3)
    (event,) = stats(run(make_job(tiny_images, [descent(ALL, 1)])))
    gradients = steps[-1][2]
    assert length(gradients.values()) > 1e-2
    whole = np.sqrt(sum(one.gradient**2 for one in event.groups.values()))
    assert whole == pytest.approx(length(gradients.values()), rel=1e-4)


def test_drift_is_from_the_start_of_the_run_and_movement_from_that_of_the_phase(tiny_images, always):
    phases = [SOLVED, descent(["top", "head"], 1, 1e-2), Phase("again", 1, {"head": 1e-3})]
    events = run(make_job(tiny_images, phases))
    (solved,), (tuned,), (last,) = (stats(events, phase) for phase in range(3))
    assert {name: one.moved for name, one in solved.groups.items()} == {n: n == "head" for n in ALL}
    assert {name: one.moved for name, one in tuned.groups.items()} == {n: n in ("top", "head") for n in ALL}
    assert {name: one.moved for name, one in last.groups.items()} == {n: n == "head" for n in ALL}
    # the best weights of a phase are what the next one begins with
    assert last.groups["top"].frozen
    assert last.groups["top"].drift in (0.0, pytest.approx(tuned.groups["top"].drift))
    assert last.groups["top"].update == last.groups["top"].gradient == 0.0


@pytest.mark.parametrize("kind", ["weight", "statistic", "sign of a nought"])
def test_a_frozen_group_that_moves_behind_the_loops_back_raises_one_alarm(tiny_images, always, kind, monkeypatch):
    take, count = Stepper.step, 0

    def meddle(stepper, *args):
        nonlocal count
        count += 1
        block = stepper.model.backbone.net["stem"]
        with torch.no_grad():
            if kind == "sign of a nought":
                block[1].bias[0] = 0.0 if count == 1 else -0.0
            elif count == 3:  # in the middle of the first epoch
                target = block[0].weight if kind == "weight" else block[1].running_var
                target[0] = torch.nextafter(target[0], torch.tensor(torch.inf))
        return take(stepper, *args)

    monkeypatch.setattr(Stepper, "step", meddle)
    events = run(make_job(tiny_images, [descent(["top", "head"], 3)]))
    (alarm,) = alarms(events)
    assert alarm.finding.level == "stop"
    assert alarm.finding.items == ("stem",)
    assert "stem" in alarm.finding.message
    place = events.index(alarm)
    assert isinstance(events[place - 1], LayerStats)
    assert events[place - 1].epoch == 0
    assert all(event.groups["stem"].moved and event.groups["stem"].frozen for event in stats(events))
    assert not any(event.groups["middle"].moved for event in stats(events))


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_watched_and_what_it_freezes_stays(name, modality, request):
    dataset = request.getfixturevalue("tiny_images" if modality == "image" else "tiny_texts")
    job = make_job(dataset, [SOLVED])
    task_info = TaskInfo(job.spec.name, modality, tuple(g.name for g in job.spec.groups), 20, len(dataset.classes), 5)
    plan = STRATEGIES[name].make(task_info)
    phases = [
        Phase(**{**vars(p), "epochs": min(p.epochs, 2), "patience": None, "only_if_better": False}) for p in plan.phases
    ]
    whole = replace(plan, phases=tuple(phases), batch_size=4, penalties=())  # a teacher or a target is not at hand
    events = run(replace(job, plan=whole))
    assert not alarms(events)
    for index, phase in enumerate(phases):
        layer_stats = stats(events, index)
        ends = [event.epoch for event in events if isinstance(event, EpochDone) and event.phase == index]
        assert layer_stats[-1].epoch == ends[-1], "the end of a phase is always measured"
        for event in layer_stats:
            for group, one in event.groups.items():
                assert one.frozen == (group not in phase.lr)
                assert one.moved != one.frozen
                if one.frozen and not any(group in earlier.lr for earlier in phases[:index]):
                    assert one.drift == one.norm_drift == one.update == one.gradient == 0.0
        assert load(EVENTS["LayerStats"], json.loads(json.dumps(dump(layer_stats[-1])))) == layer_stats[-1]


def test_a_watched_run_ends_with_the_bits_of_an_unwatched_one(tiny_images, always, monkeypatch):
    phases = [SOLVED, descent(["middle", "top", "head"], 2), Phase("all", 2, dict.fromkeys(ALL, 1e-3))]
    watched, blind = (make_job(tiny_images, phases, folder=name) for name in ("watched", "blind"))
    assert stats(run(watched), 2)
    monkeypatch.setattr(layer_monitor.LayerMonitor, "report", lambda *args, **fields: iter(()))
    assert not stats(run(blind), 2)
    one, other = after(watched).state_dict(), after(blind).state_dict()
    assert all(same_bits(one[name], other[name]) for name in one)


def test_epochs_too_short_to_pay_for_it_are_skipped_but_not_the_last(tiny_images, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(layer_monitor, "monotonic", lambda: now[0])
    measure, validate = layer_monitor.LayerMonitor.measure, Evaluator.validate

    def slow(self, *args):
        now[0] += 0.1
        return measure(self, *args)

    def epoch(*args):
        now[0] += 2.0
        return validate(*args)

    monkeypatch.setattr(layer_monitor.LayerMonitor, "measure", slow)
    monkeypatch.setattr(Evaluator, "validate", epoch)
    events = run(make_job(tiny_images, [descent(["top", "head"], 12)]))
    # the first is free to guess; then 0.1 s is paid for by five seconds
    assert [event.epoch for event in stats(events)] == [0, 4, 7, 9, 11]


def test_a_group_that_an_edit_freezes_is_held_to_what_it_was_then(tiny_images, always, monkeypatch):
    take, monitors = Stepper.step, []
    monkeypatch.setattr(layer_monitor.LayerMonitor, "__init__", _kept(layer_monitor.LayerMonitor.__init__, monitors))
    count = 0

    def edit(stepper, *args):
        nonlocal count
        count += 1
        if count == 3:
            monitors[-1]._freezer.thaw_only(["head"])
            monitors[-1].edited()
        return take(stepper, *args)

    monkeypatch.setattr(Stepper, "step", edit)
    events = run(make_job(tiny_images, [descent(["top", "head"], 1, 1e-2)]))
    (event,) = stats(events)
    top = event.groups["top"]
    assert (top.frozen, top.moved, top.update) == (True, False, 0.0)
    assert top.drift > 0, "it learned before"
    assert not alarms(events)


def _kept(make, monitors):
    def init(self, *args):
        make(self, *args)
        monitors.append(self)

    return init


def test_weights_that_are_not_finite_make_no_event(tiny_images, always, monkeypatch):
    take = Stepper.step

    def broken(stepper, *args):
        result = take(stepper, *args)
        with torch.no_grad():
            stepper.model.backbone.net["top"][0].weight.fill_(torch.nan)
        return result

    monkeypatch.setattr(Stepper, "step", broken)
    job = make_job(tiny_images, [Phase("all", 1, dict.fromkeys(ALL, 1e-3), fit_on="train+validation")])
    events = list(loop.train(job, MemoryControl()))
    assert not stats(events)
    assert not any(isinstance(event, StepDone) and not np.isfinite(event.loss) for event in events)
