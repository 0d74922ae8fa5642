import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.helpers import SOLVED, before, descent, make_job, same_bits
from tl_core.errors import PlanError
from tl_core.plan import Adapter, Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Progress
from tl_core.training import lr_finder
from tl_core.training.lr_curve import RateCurve, exploded, geometric, smooth, suggest, with_rate_of
from tl_core.training.lr_finder import find_rate, phase_of
from tl_core.training.step import Stepper
from tl_core.types import dump, load

HEAD = Phase("head", 3, {"head": 1e-3})


def curve(job, **fields) -> RateCurve:
    results = list(find_rate(job, MemoryControl(), **fields))
    assert all(isinstance(result, Progress) for result in results[:-1])
    return results[-1]


def test_on_a_quadratic_the_suggestion_is_stable_and_useful():
    """Gradient descent on x'Ax / 2 is stable below 2 / (largest eigenvalue), and slow far below it."""
    eigen = np.array([1.0, 10.0, 100.0])
    x, rates, losses = np.ones(3), geometric(1e-6, 1.0, 60), []
    for rate in rates:
        losses.append(float(0.5 * eigen @ x**2))
        if exploded(smooth(losses)):
            break
        x = x - rate * eigen * x
    assert len(losses) < 60, "it exploded, and the test ended"
    suggested = suggest(rates[: len(losses)], smooth(losses))
    assert 1e-4 < suggested < 2 / 100


def test_smoothing_is_a_weighted_mean_of_what_was_seen():
    losses = [3.0, 1.0, 4.0, 1.0, 5.0]
    weights = [[0.9 ** (t - s) for s in range(t + 1)] for t in range(5)]
    expected = [np.average(losses[: t + 1], weights=weights[t]) for t in range(5)]
    assert smooth(losses) == pytest.approx(expected)


def test_a_loss_that_never_falls_suggests_nothing():
    rates = geometric(1e-6, 1.0, 10)
    assert suggest(rates, [1.0, 0.99, 0.98, 1.0, 1.1, 1.3, 1.5, 2.0, 3.0, 4.0]) is None
    assert suggest(rates, [1.0, 0.9, 0.5, 0.3, 0.2, 0.1, 0.3, 2.0, 3.0, 4.0]) == pytest.approx(rates[5] / 10, rel=0.05)
    assert suggest([], []) is None
    learned = [0.008, 0.007, 0.006, 0.004, 0.005, 0.006, 0.01, 0.1, 1.0, 2.0]
    assert suggest(rates, learned) is None, "a loss that is nearly nothing falls by chance"


def test_the_rates_that_are_shown_are_those_that_were_stepped_with(tiny_images, monkeypatch):
    seen = []
    take = Stepper.step

    def spy(stepper, *args):
        seen.append({group["name"]: group["lr"] for group in stepper.optimiser.param_groups})
        return take(stepper, *args)

    monkeypatch.setattr(Stepper, "step", spy)
    phase = Phase("fine-tune", 2, {"top": 1e-4, "head": 1e-3})
    result = curve(make_job(tiny_images, [phase]), steps=12)
    assert len(result.rates) == len(result.losses) == len(result.smoothed) == len(seen)
    assert [rates["head"] for rates in seen] == pytest.approx(result.rates)
    assert [rates["top"] for rates in seen] == pytest.approx([rate / 10 for rate in result.rates])
    assert result.present == 1e-3
    assert load(RateCurve, json.loads(json.dumps(dump(result)))) == result


def test_it_repeats_itself_and_leaves_everything_as_it_was(tiny_images):
    job = make_job(tiny_images, [HEAD, descent(["top", "head"])])
    first = curve(job, steps=30)
    root = tiny_images.folder.parent.parent

    def files():
        return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    weights, kept = before(job).state_dict(), files()
    again = curve(job, steps=30)
    assert again == first
    assert files() == kept
    assert not list(job.folder.iterdir())
    assert all(same_bits(tensor, weights[name]) for name, tensor in before(job).state_dict().items())
    assert curve(replace(job, seed=1), steps=30).losses != first.losses


def test_a_head_gets_a_rate_that_teaches_it(tiny_images):
    result = curve(make_job(tiny_images, [HEAD]))
    assert result.suggestion is not None
    assert 1e-5 < result.suggestion < 0.3
    assert result.smoothed[-1] != min(result.smoothed) or len(result.rates) == 60


def test_the_phases_before_are_trained_first(tiny_images):
    solved = curve(make_job(tiny_images, [SOLVED, descent(["top", "head"], epochs=1)]), steps=5)
    plain = curve(make_job(tiny_images, [descent(["top", "head"], epochs=1)]), steps=5)
    assert solved.phase == 1
    assert solved.losses[0] < plain.losses[0]


def test_a_plan_with_an_adapter_is_tried_from_the_solved_head(tiny_images):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"])])
    job = replace(job, plan=replace(job.plan, adapter=Adapter(rank=2)))
    *_, curve = find_rate(job, MemoryControl(), steps=8)
    assert isinstance(curve, RateCurve)
    assert curve.losses[0] < 0.2 < np.log(3), "it begins with the solved head"


def test_a_loss_that_is_not_finite_ends_the_test_and_is_not_in_the_curve(tiny_images, monkeypatch):
    take, count = Stepper.step, 0

    def broken(stepper, *args):
        nonlocal count
        count += 1
        result = take(stepper, *args)
        return replace(result, loss=result.loss * torch.nan) if count == 8 else result

    monkeypatch.setattr(Stepper, "step", broken)
    assert len(curve(make_job(tiny_images, [HEAD])).losses) == 7


def test_a_stop_ends_it_without_a_curve(tiny_images):
    control = MemoryControl()
    for result in find_rate(make_job(tiny_images, [SOLVED, HEAD], publish=0.0), control):
        assert not isinstance(result, RateCurve)
        control.stop()


def test_a_plan_that_is_solved_has_no_rate(tiny_images):
    with pytest.raises(PlanError, match="no learning rate"):
        phase_of(make_job(tiny_images, [SOLVED]).plan)
    assert lr_finder.phase_of(make_job(tiny_images, [SOLVED, HEAD]).plan) == 1


def test_a_rate_is_taken_over_with_the_proportions_of_the_phase(tiny_images):
    plan = make_job(tiny_images, [SOLVED, Phase("tune", 2, {"top": 1e-4, "head": 1e-3})]).plan
    changed = with_rate_of(plan, 1, 3e-3)
    assert changed.phases[0] == plan.phases[0]
    assert changed.phases[1] == replace(plan.phases[1], lr={"top": 3e-4, "head": 3e-3})
    assert with_rate_of(plan, 1, 50.0).phases[1].lr["head"] == 1.0, "no plan may have more"
