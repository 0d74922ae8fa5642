"""The precision of a phase: decided once, saved, the same after an interruption, and float32 in pooling and head."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.training.helpers import SOLVED, after, descent, epochs, logits, make_job, run
from tl_core.plan import Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, Noted
from tl_core.training import phase_precision
from tl_core.training.loop import train
from tl_core.training.model import TransferModel
from tl_core.training.precision import Precision

TEXT = ["embeddings", "layer.0", "layer.1", "head"]
FAST = Precision("bfloat16", speedup=1.5, rounds=3, why="bfloat16: 1.50 times as fast as float32")


@pytest.fixture
def measured(monkeypatch):
    """Makes every phase long enough, and every measurement end in bfloat16; returns the calls."""
    calls = []
    monkeypatch.setattr(phase_precision, "pays", lambda *args: True)
    monkeypatch.setattr(phase_precision, "choose", lambda *args: (calls.append(args), FAST)[1])
    return calls


def half(job, **changes):
    plan = job.plan
    object.__setattr__(job, "plan", type(plan)(**{**plan.__dict__, **changes}))
    return job


def test_a_measured_choice_is_reported_saved_and_used_by_the_next_run(tiny_texts, measured):
    first = make_job(tiny_texts, [SOLVED, descent(TEXT)])
    events = run(first)
    assert [e.finding.code for e in events if isinstance(e, Noted)] == ["precision"]
    assert len(measured) == 1
    second = make_job(tiny_texts, [SOLVED, descent(TEXT)], folder="second")
    run(second)
    assert len(measured) == 1, "measured once for this backbone, device and thread count"
    one, other = after(first).state_dict(), after(second).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("length", "n", "at_most", "count"),
    [(256, 40, 16, 4), (128, 40, 16, 8), (20, 40, 16, 8), (None, 40, 16, 8), (256, 3, 16, 3), (256, 40, 2, 2)],
)
def test_long_texts_are_measured_with_fewer_items(length, n, at_most, count):
    """So that phases of half the length know what is faster."""
    inputs = SimpleNamespace(lengths=None if length is None else np.full(n, length))
    assert phase_precision.measured_items(inputs, np.arange(n), at_most) == count


def test_short_phases_and_plans_that_say_so_compute_in_float32(tiny_texts, monkeypatch):
    monkeypatch.setattr(phase_precision, "choose", lambda *args: pytest.fail("measured"))
    run(make_job(tiny_texts, [descent(TEXT)]))
    monkeypatch.setattr(phase_precision, "pays", lambda *args: True)
    run(half(make_job(tiny_texts, [descent(TEXT)], folder="said"), precision="float32"))


def test_bfloat16_reaches_the_stages_alone_and_stays_near_float32(tiny_texts, monkeypatch):
    seen = []
    run_stages = TransferModel.features

    def watched(self, state, start=0):
        pooled = run_stages(self, state, start)
        seen.append((self.precision.dtype, pooled.dtype))
        return pooled

    monkeypatch.setattr(TransferModel, "features", watched)
    exact = make_job(tiny_texts, [SOLVED, descent(TEXT)])
    rough = half(make_job(tiny_texts, [SOLVED, descent(TEXT)], folder="rough"), precision="bfloat16")
    expected, rounded = run(exact), run(rough)
    assert ("bfloat16", torch.float32) in seen
    assert {pooled for _, pooled in seen} == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in after(rough).parameters())
    gaps = [
        abs(a.train["loss"] - b.train["loss"]) for a, b in zip(epochs(expected, 1), epochs(rounded, 1), strict=True)
    ]
    assert 0 < max(gaps) < 0.05, "other numbers, nearly the same loss"
    rows = np.arange(len(tiny_texts.items))
    torch.testing.assert_close(logits(after(rough), rough, rows), logits(after(exact), exact, rows), atol=0.1, rtol=0.1)


@pytest.mark.parametrize("objective", ["labels", "masked"])
def test_every_objective_computes_as_was_decided(tiny_texts, monkeypatch, objective):
    """One choice must not be made by a phase that does not heed it, and kept for another that would."""
    seen = set()
    states = TransferModel.states

    def watched(self, state, start=0):
        seen.add(self.precision.dtype)
        return states(self, state, start)

    monkeypatch.setattr(TransferModel, "states", watched)
    lr = dict.fromkeys(TEXT if objective == "labels" else TEXT[:-1], 1e-3)
    job = half(make_job(tiny_texts, [Phase("tune", 1, lr, objective=objective), SOLVED]), precision="bfloat16")
    run(job)
    assert "bfloat16" in seen


def test_a_choice_for_one_objective_is_not_another_ones(tiny_texts, measured):
    masked = Phase("fill in", 1, dict.fromkeys(TEXT[:-1], 1e-3), objective="masked")
    run(make_job(tiny_texts, [masked, SOLVED, descent(TEXT, 1)]))
    assert len(measured) == 2


def test_a_resumed_run_keeps_the_choice_without_measuring(tiny_texts, measured):
    whole = make_job(tiny_texts, [SOLVED, descent(TEXT, epochs=3)])
    run(whole)
    broken = make_job(tiny_texts, [SOLVED, descent(TEXT, epochs=3)], folder="broken")
    (broken.store.workspace.root / "speed" / "precision").rename(broken.folder / "gone")
    events = train(broken, MemoryControl())
    for event in events:
        if isinstance(event, EpochDone) and (event.phase, event.epoch) == (1, 1):
            break
    events.close()
    (broken.store.workspace.root / "speed" / "precision").rename(broken.folder / "gone again")
    asked = len(measured)
    run(half_resumed := type(broken)(**{**broken.__dict__, "resume": True}))
    assert len(measured) == asked
    one, other = after(whole).state_dict(), after(half_resumed).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
