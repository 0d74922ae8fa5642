"""The choice of numbers and layout: what it leaves alone, what it refuses, and what it really computes."""

import dataclasses
import itertools
import json
import random
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tests.training.helpers import same_bits
from tl_core.training import precision
from tl_core.training.precision import COSINE, LOSS_ERROR, Precision, autocast, choose, lay_out
from tl_core.types import dump, load

CPU = torch.device("cpu")
BF16 = Precision("bfloat16")


class Convolutions(nn.Module):
    """A convolution, a depthwise one, normalisation, dropout, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 3)),
        )


def loss_of(model: Convolutions) -> Callable[[Precision], torch.Tensor]:
    batch = torch.rand(6, 3, 12, 12)

    def forward(way: Precision) -> torch.Tensor:
        random.random(), np.random.rand()
        with autocast(way, CPU):
            return nn.functional.cross_entropy(model.net(batch), torch.arange(6) % 3)

    return forward


class Clock:
    """A clock that advances with every pass by the cost of the number format that the pass computed in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
        self.now, self.seconds, self.passes = 0.0, seconds, 0
        real = precision._Trial._pass

        def timed(trial: precision._Trial, way: Precision) -> float:
            self.passes += 1
            self.now += self.seconds.get(way.title.replace(", ", "_").replace(" ", "_"), 1.0)
            return real(trial, way)

        monkeypatch.setattr(precision._Trial, "_pass", timed)
        monkeypatch.setattr(precision.time, "perf_counter", lambda: self.now)


def test_a_measurement_leaves_everything_as_it_was(monkeypatch):
    torch.manual_seed(5)
    model = Convolutions().train()
    model.net[0].weight.requires_grad_(False)
    model.net[2].eval()
    model.to(memory_format=torch.channels_last)
    model.net[7].bias.grad = kept = torch.ones(3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    strides = [parameter.stride() for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(3)
    forward = loss_of(model)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    clock = Clock(monkeypatch)
    choose(forward, model, CPU, 100_000)
    assert clock.passes > 12
    drawn = random.random(), np.random.rand(), torch.rand(3)
    assert drawn[:2] == expected[:2]
    assert same_bits(drawn[2], expected[2])
    assert all(same_bits(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [parameter.stride() for parameter in model.parameters()] == strides
    assert [module.training for module in model.modules()] == modes
    gradients = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert gradients == {"net.7.bias"}
    assert model.net[7].bias.grad is kept


def test_it_is_put_back_where_the_model_fails():
    model = Convolutions().train()
    statistics = model.net[2].running_mean.clone()
    calls = itertools.count()
    forward = loss_of(model)

    def fails(way: Precision) -> torch.Tensor:
        if next(calls) == 3:
            raise RuntimeError("not enough memory")
        return forward(way)

    with pytest.raises(RuntimeError, match="memory"):
        choose(fails, model, CPU, 100_000)
    assert same_bits(statistics, model.net[2].running_mean)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.net[6].training


def test_the_fastest_that_agrees_is_taken(monkeypatch):
    model = Convolutions().train()
    clock = Clock(monkeypatch, float32=2.0, float32_channels_last=1.6, bfloat16_channels_last=1.0)
    choice = choose(loss_of(model), model, CPU, 100_000)
    assert (choice.dtype, choice.channels_last, choice.speedup) == ("bfloat16", True, pytest.approx(2.0))
    assert choice.loss_error <= LOSS_ERROR
    assert choice.cosine >= COSINE
    clock.seconds |= {"bfloat16_channels_last": 1.95, "float32_channels_last": 1.95}
    clock.seconds["bfloat16_channels_last_depthwise_in_float32"] = 1.5
    assert choose(loss_of(model), model, CPU, 100_000).depthwise_float32
    clock.seconds |= dict.fromkeys(clock.seconds, 1.0)
    choice = choose(loss_of(model), model, CPU, 100_000)
    assert (choice.dtype, choice.channels_last) == ("float32", False)
    assert "faster" in choice.why
    assert load(Precision, json.loads(json.dumps(dump(choice)))) == choice


def test_a_way_that_computes_something_else_is_refused(monkeypatch):
    Clock(monkeypatch, float32=2.0, bfloat16=0.1)
    weight = nn.Parameter(torch.eye(4))
    model = nn.Module()
    model.weight = weight
    batch = torch.arange(16.0).reshape(4, 4)

    def cancels(way: Precision) -> torch.Tensor:  # a difference far below what 8 bits can hold
        with autocast(way, CPU):
            return ((1000 + batch @ weight) - 1000 - batch).square().sum() + 0.01 * (batch @ weight).sum()

    choice = choose(cancels, model, CPU, 100_000)
    assert choice.dtype == "float32"
    assert "bfloat16" in choice.why
    assert "did not agree" in choice.why


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_nan_agrees_with_nothing(spoilt):
    assert not dataclasses.replace(BF16, loss_error=spoilt).agrees
    assert not dataclasses.replace(BF16, cosine=float("nan")).agrees
    assert BF16.agrees


def test_a_measurement_costs_its_share_at_most_or_is_not_made(monkeypatch):
    model = Convolutions().train()
    clock = Clock(monkeypatch)
    for steps in (10, 100, 280, 290, 1_500, 10_000):
        clock.passes = 0
        choice = choose(loss_of(model), model, CPU, steps)
        assert clock.passes <= 0.06 * steps + 4, steps  # the round that is under way is finished
        assert (clock.passes > 0) == (steps >= 290)
        assert clock.passes > 0 or "too few" in choice.why


def test_the_context_computes_what_it_says():
    torch.manual_seed(0)
    model = Convolutions().eval()
    batch = torch.rand(2, 3, 12, 12)
    seen: list[torch.dtype] = []
    model.net[1].register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    with autocast(Precision(), CPU):
        plain = model.net(batch)
    with autocast(BF16, CPU):
        half = model.net(batch)
    with autocast(dataclasses.replace(BF16, depthwise_float32=True), CPU):
        mixed = model.net(batch)
    assert seen == [torch.float32, torch.bfloat16, torch.float32]
    assert (plain.dtype, half.dtype, mixed.dtype) == (torch.float32, torch.bfloat16, torch.bfloat16)
    assert torch.allclose(plain, half.float(), atol=0.02)
    assert torch.allclose(plain, mixed.float(), atol=0.02)
    assert not torch.equal(plain, half.float())


@pytest.mark.parametrize("spec", [TINY_IMAGE, TINY_TEXT], ids=lambda spec: spec.name)
def test_laying_out_changes_no_value(spec):
    model = spec.load(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for way in (Precision(channels_last=True), Precision()):
        lay_out(model, way)
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        assert all(p.is_contiguous(memory_format=layout) for p in model.parameters() if p.ndim == 4)
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_without_a_clock_in_the_way_it_ends_soon():
    model = Convolutions().train()
    started = time.perf_counter()
    choose(loss_of(model), model, CPU, 10_000)
    assert time.perf_counter() - started < 10
