import dataclasses
import gc
import logging
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.helpers import (
    SOLVED,
    after,
    before,
    descent,
    epochs,
    logits,
    make_job,
    run,
    same_bits,
    spec_of,
)
from tl_core.penalties import PENALTIES
from tl_core.penalties.l2_sp import L2SP
from tl_core.plan import Head, Penalty, Phase, rate_at
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import CheckpointSaved, Noted, PhaseStarted, Progress, RunEnded, RunStarted, StepDone
from tl_core.training import inputs
from tl_core.training.loop import train
from tl_core.training.step import Stepper

ALL = ["stem", "middle", "top", "head"]
LETTERS = {
    "RunStarted": "R",
    "PhaseStarted": "P",
    "StepDone": "s",
    "EpochDone": "E",
    "LayerStats": "L",
    "CheckpointSaved": "C",
    "RunEnded": "X",
}
GRAMMAR = {
    "done": r"R(P(s*EL?C?)*s*ELC?)+X",
    "stopped": r"R(P(s*EL?C?)*s*ELC?)*(P(s*EL?C?)*s*)?C?X",
    "failed": r"(R(P(s*EL?C?)*s*ELC?)*(P(s*EL?C?)*s*)?C?)?X",
}
STRATEGIES = {
    "solved": [SOLVED],
    "head": [Phase("head", 3, {"head": 1e-2}, patience=2)],
    "probe, then tune": [SOLVED, descent(["top", "head"])],
    "in stages": [SOLVED, descent(["top", "head"]), Phase("all", 2, dict.fromkeys(ALL, 1e-4))],
    "everything": [descent(ALL)],
}


class StopsAt(MemoryControl):
    """Asks to stop at the n-th look."""

    def __init__(self, looks):
        super().__init__()
        self.left = looks

    @property
    def stopped(self):
        self.left -= 1
        return self.left < 0


def spelled(events):
    return "".join(LETTERS.get(type(event).__name__, "") for event in events)


@pytest.fixture
def broken_loss(monkeypatch):
    """Makes the scores of every training step from the given one on no numbers."""

    def install(first, error=None):
        count = 0
        take = Stepper.step

        def poisoned(stepper, *args):
            nonlocal count
            count += 1
            if count >= first and error:
                raise error
            if count >= first:
                with torch.no_grad():
                    stepper.model.head.out.weight.fill_(torch.inf)
            return take(stepper, *args)

        monkeypatch.setattr(Stepper, "step", poisoned)

    return install


@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_kind_of_plan_goes_through_the_same_loop_and_grammar(tiny_images, name, init):
    job = make_job(tiny_images, STRATEGIES[name], init=init, publish=0.0)
    events = run(job)
    assert re.fullmatch(GRAMMAR["done"], spelled(events)), spelled(events)
    started = events[0]
    assert isinstance(started, RunStarted)
    assert list(started.groups) == ALL
    assert sum(started.groups.values()) == sum(p.numel() for p in before(job).parameters())
    assert sum(started.items.values()) == len(tiny_images.items)
    phases = [event for event in events if isinstance(event, PhaseStarted)]
    assert [dict(event.lr) for event in phases] == [dict(phase.lr) for phase in job.plan.phases]
    assert all(event.steps > 0 for event in phases)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert all(np.isfinite([e.loss, e.items_per_second, e.seconds_left]).all() and e.step <= e.steps for e in steps)
    assert [event.step for event in steps] == sorted(event.step for event in steps)
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_texts_too(tiny_texts):
    assert re.fullmatch(GRAMMAR["done"], spelled(run(make_job(tiny_texts, [SOLVED, descent(["layer.1", "head"])]))))


@pytest.mark.parametrize("looks", [0, 1, 2, 4, 7, 12, 20])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_stop_ends_the_run_at_the_next_step_wherever_it_comes(tiny_images, name, looks):
    job = make_job(tiny_images, STRATEGIES[name], publish=0.0)
    events = list(train(job, StopsAt(looks)))
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert re.fullmatch(GRAMMAR[ended.status], spelled(events)), spelled(events)
    if looks == 0:
        assert ended.status == "stopped"
        assert "nothing had been learned" in ended.reason
        assert not list(job.folder.iterdir())
        assert not job.store.has(tiny_images, job.spec), "half a probe is none"
    if any(isinstance(event, StepDone) for event in events):
        after(job)


def test_stopping_keeps_the_best_weights_not_the_last(tiny_images):
    phases = [SOLVED, descent(["top", "head"], epochs=50, rate=1.0)]
    solved = make_job(tiny_images, [SOLVED], folder="solved")
    run(solved)
    job = make_job(tiny_images, phases)
    control = MemoryControl()
    events = []
    for event in train(job, control):
        events.append(event)
        if len(epochs(events, 1)) == 2:
            control.stop()
    assert events[-1].status == "stopped"
    assert len(epochs(events, 1)) == 2
    if not any(event.best for event in epochs(events, 1)):
        assert all(same_bits(a, b) for a, b in zip(after(job).parameters(), after(solved).parameters(), strict=True))


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "slanted", "one_cycle"])
def test_every_step_takes_the_rate_of_the_schedule(tiny_images, schedule):
    rates = {"top": 1e-4, "head": 1e-3}
    phase = Phase("p", 6, rates, schedule=schedule, warmup=0.25)
    job = make_job(tiny_images, [phase], publish=0.0, batch_size=len(tiny_images.rows("train")) // 2)
    assert len(tiny_images.rows("train")) % 2 == 0
    steps = [event for event in run(job) if isinstance(event, StepDone)]
    assert len(steps) == steps[-1].steps == 12
    for index, event in enumerate(steps):
        factor = rate_at(schedule, 0.25, (index + 0.5) / 12)
        assert event.lr == pytest.approx({group: rate * factor for group, rate in rates.items()})


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(data, request):
    dataset = request.getfixturevalue(data)
    groups = [group.name for group in spec_of(dataset).groups]
    phases = [SOLVED, descent([*groups, "head"], epochs=2)]
    runs = []
    for folder, seed in (("a", 4), ("b", 4), ("c", 5)):
        job = make_job(dataset, phases, folder=folder, seed=seed, head=Head(dropout=0.3))
        events = []
        for event in train(job, MemoryControl()):
            torch.rand(3)  # whoever reads along may draw numbers
            events.append(event)
        metrics = [(e.train, e.validation, e.best) for e in events if type(e).__name__ == "EpochDone"]
        runs.append((metrics, (job.folder / "best.safetensors").read_bytes()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("rate", [1e-3, 0.3])
def test_the_weights_on_disk_are_those_of_the_best_epoch_and_never_worse_than_the_start(tiny_texts, rate):
    job = make_job(tiny_texts, [SOLVED, descent(["layer.0", "layer.1", "head"], epochs=4, rate=rate)])
    events = run(job)
    candidates = [epochs(events, 0)[-1], *epochs(events, 1)]
    best = max(candidates, key=lambda e: (e.validation["accuracy"], -e.validation["loss"]))
    rows = tiny_texts.rows("validation")
    scores = logits(after(job), job, rows)
    truth = torch.tensor(tiny_texts.labels[rows])
    assert torch.nn.functional.cross_entropy(scores, truth).item() == pytest.approx(best.validation["loss"], abs=1e-5)
    assert (scores.argmax(dim=1) == truth).double().mean().item() == pytest.approx(best.validation["accuracy"])
    assert [e for e in events if isinstance(e, CheckpointSaved)][-1].score == pytest.approx(best.validation["accuracy"])
    running = candidates[0]
    for event in candidates[1:]:
        better = (event.validation["accuracy"], -event.validation["loss"]) > (
            running.validation["accuracy"],
            -running.validation["loss"],
        )
        assert event.best == better
        running = event if better else running


def test_patience_ends_a_phase_and_says_so(tiny_texts):
    phase = Phase("tune", 40, dict.fromkeys(["layer.1", "head"], 0.5), patience=2, schedule="constant")
    events = run(make_job(tiny_texts, [SOLVED, phase]))
    done = epochs(events, 1)
    assert 2 <= len(done) < 40
    assert not any(event.best for event in done[-2:])
    assert [event.finding.code for event in events if isinstance(event, Noted)] == ["patience"]


def test_learning_from_the_validation_items_leaves_nothing_to_judge_by(tiny_images):
    job = make_job(tiny_images, [Phase("p", 3, {"head": 1e-2}, fit_on="train+validation")])
    events = run(job)
    assert [dict(event.validation) for event in epochs(events)] == [{}, {}, {}]
    assert not any(event.best for event in epochs(events))
    rows = tiny_images.rows("train", "validation")
    features = job.store.features(tiny_images, job.spec)
    np.testing.assert_allclose(after(job).head.mean, features[rows].mean(axis=0), atol=1e-5)


def test_a_budget_ends_training_well_after_a_judged_part_of_an_epoch(tiny_images):
    job = make_job(tiny_images, [descent(ALL, epochs=1000)], init="random", budget=0.05)
    events = run(job)
    assert "budget" in [event.finding.code for event in events if isinstance(event, Noted)]
    assert "budget" in events[-1].reason
    assert 1 <= len(epochs(events)) < 1000
    assert epochs(events)[-1].validation
    after(job)


def test_a_loss_that_is_not_finite_keeps_the_best_weights_and_names_the_step(tiny_images, broken_loss):
    phases = [SOLVED, descent(["top", "head"], epochs=9)]
    steps = len(inputs.batches(tiny_images.rows("train"), 4))
    broken_loss(2 * steps + 2)
    job = make_job(tiny_images, phases)
    events = list(train(job, MemoryControl()))
    ended = events[-1]
    assert re.fullmatch(GRAMMAR["failed"], spelled(events))
    assert ended.status == "failed"
    solver_steps = len(epochs(events, 0))
    assert f"step {solver_steps + 2 * steps + 2}:" in ended.reason
    assert "Divide them by ten" in ended.hint
    assert all(torch.isfinite(p).all() for p in after(job).parameters())
    best = max([epochs(events, 0)[-1], *epochs(events, 1)], key=lambda e: (e.best, e.at))
    scores = logits(after(job), job, rows := tiny_images.rows("validation"))
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(tiny_images.labels[rows]))
    assert loss.item() == pytest.approx(best.validation["loss"], abs=1e-5)


@pytest.mark.parametrize("objective_too", [False, True])
def test_a_penalty_that_is_not_finite_is_named_with_its_step(tiny_images, monkeypatch, objective_too, broken_loss):
    loss, calls = L2SP.loss, []

    def breaking(term, batch):
        calls.append(batch.step)
        return loss(term, batch) * (torch.inf if len(calls) == 3 else 1.0)

    monkeypatch.setattr(L2SP, "loss", breaking)
    if objective_too:
        broken_loss(3)
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"])])
    job = replace(job, plan=replace(job.plan, penalties=(Penalty("l2_sp", 0.01),)))
    events = list(train(job, MemoryControl()))
    assert events[-1].status == "failed"
    assert f"step {calls[2] + 1}:" in events[-1].reason
    if objective_too:  # a loss that is none makes every term of it none
        assert "the loss is no longer a finite number" in events[-1].reason
        assert "Divide them by ten" in events[-1].hint
    else:
        assert f"the penalty “{PENALTIES['l2_sp'].title}” is no longer a finite number" in events[-1].reason
        assert "strength" in events[-1].hint
    assert all(torch.isfinite(p).all() for p in after(job).parameters())


def test_weights_that_the_last_step_breaks_are_never_the_best(tiny_images, monkeypatch):
    take = Stepper.step

    def breaking(stepper, *args):
        result = take(stepper, *args)
        stepper.model.head.out.weight.data.fill_(torch.nan)
        return result

    monkeypatch.setattr(Stepper, "step", breaking)
    events = list(train(make_job(tiny_images, [descent(["head"], epochs=1)], batch_size=64), MemoryControl()))
    assert "no longer a finite number" in events[-1].reason


def test_a_last_step_that_breaks_the_weights_is_seen_without_validation_too(tiny_images, monkeypatch):
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: backward(loss * torch.nan))
    phase = Phase("p", 1, {"head": 1e-2}, fit_on="train+validation")
    events = list(train(make_job(tiny_images, [phase], batch_size=64), MemoryControl()))
    assert (events[-1].status, "step 1:" in events[-1].reason) == ("failed", True)


def test_without_validation_items_a_phase_that_is_stopped_keeps_the_score_of_the_one_before(tiny_images):
    first = Phase("first", 2, {"head": 1e-2}, fit_on="train+validation")
    job = make_job(tiny_images, [first, dataclasses.replace(first, name="second", epochs=50)])
    control, events = MemoryControl(), []
    for event in train(job, control):
        events.append(event)
        if isinstance(event, PhaseStarted) and event.index == 1:
            control.stop()
    scores = [event.score for event in events if isinstance(event, CheckpointSaved)]
    assert scores[-1] == epochs(events)[-1].train["accuracy"] > 0


def test_a_loss_that_is_never_finite_leaves_no_weights(tiny_images, broken_loss):
    broken_loss(1)
    job = make_job(tiny_images, [descent(["head"])])
    events = list(train(job, MemoryControl()))
    assert spelled(events) == "RPX"
    assert "step 1:" in events[-1].reason
    assert not list(job.folder.iterdir())


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried")])
def test_a_step_that_runs_out_of_memory_is_taken_again_with_half_the_items(tiny_images, monkeypatch, error):
    state_of = inputs.PreparedInputs.state

    def greedy(self, model, rows, vary=False):
        if len(rows) > 3:
            raise error
        return state_of(self, model, rows, vary)

    monkeypatch.setattr(inputs.PreparedInputs, "state", greedy)
    job = make_job(tiny_images, [descent(ALL)], batch_size=8, publish=0.0)
    events = run(job)
    assert [e.finding.code for e in events if isinstance(e, Noted)] == ["memory", "memory"]
    assert all(e.step <= e.steps for e in events if isinstance(e, StepDone))


def test_too_little_memory_for_one_item_gives_a_clear_message(tiny_images, monkeypatch):
    def greedy(self, model, rows, vary=False):
        raise MemoryError

    monkeypatch.setattr(inputs.PreparedInputs, "state", greedy)
    events = list(train(make_job(tiny_images, [descent(ALL)], batch_size=4), MemoryControl()))
    assert events[-1].status == "failed"
    assert "single item" in events[-1].reason
    assert events[-1].hint


def test_an_unexpected_error_becomes_a_sentence_and_its_traceback_goes_to_the_log(tiny_images, broken_loss, caplog):
    broken_loss(3, error=ZeroDivisionError("oh"))
    with caplog.at_level(logging.ERROR):
        events = list(train(make_job(tiny_images, [descent(["head"])]), MemoryControl()))
    assert re.fullmatch(GRAMMAR["failed"], spelled(events))
    assert (events[-1].status, bool(events[-1].hint)) == ("failed", True)
    assert "ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text


def test_a_plan_that_cannot_be_executed_says_only_so(tiny_images):
    events = list(train(make_job(tiny_images, [Phase("p", 1, {"roof": 1e-3, "head": 1e-3})]), MemoryControl()))
    assert spelled(events) == "X"
    assert "'roof'" in events[0].reason


def test_training_items_of_one_class_are_refused(tiny_images):
    rows = [int(row) for row in tiny_images.rows("train") if tiny_images.labels[row] == 1]
    events = list(train(make_job(tiny_images, [SOLVED], train_rows=rows), MemoryControl()))
    assert spelled(events) == "X"
    assert "fewer than two classes" in events[0].reason


def test_training_rows_can_be_restricted(tiny_images):
    chosen = tiny_images.rows("train")[:9]
    job = make_job(tiny_images, [SOLVED], train_rows=chosen.tolist())
    assert run(job)[0].items["train"] == 9
    features = job.store.features(tiny_images, job.spec)
    np.testing.assert_allclose(after(job).head.mean, features[chosen].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 6, 10, 14])
def test_a_closed_run_leaves_no_partial_file_and_no_mode_behind(tiny_images, count):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"])], publish=0.0)
    running = train(job, MemoryControl())
    for _ in range(count):
        next(running)
    running.close()
    del running
    gc.collect()
    left = {path.name for path in job.folder.iterdir()}
    assert left <= {"best.safetensors", "checkpoints"}
    assert not list(job.store.workspace.root.rglob("*.part"))
    assert torch.is_grad_enabled()


def test_progress_is_reported_while_the_backbone_runs(tiny_images):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"])], publish=0.0)
    progress = [(event.stage, event.done, event.total) for event in run(job) if isinstance(event, Progress)]
    assert ("features", 24, 24) in progress
    learned = len(tiny_images.rows("train", "validation"))
    assert ("frozen layers", learned, learned) in progress
    no_progress = make_job(tiny_images, [SOLVED, descent(["top", "head"])], folder="silent", publish=1000.0)
    assert len([event for event in run(no_progress) if isinstance(event, StepDone)]) <= 1
