"""Frozen means frozen: bits before and after, not flags."""

import pytest
import torch

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tests.training.helpers import SOLVED, after, before, descent, make_job, run, same_bits
from tl_core.plan import Head, Phase, TransferPlan
from tl_core.training.model import build_model, groups_of
from tl_core.training.optimisers import Freezer, make_optimiser
from tl_core.training.step import Stepper

CHOICES = {
    "head": ["head"],
    "last": ["top", "head"],
    "hole": ["stem", "head"],
    "first only": ["stem", "head"],
    "all": ["stem", "middle", "top", "head"],
    "from random": ["middle", "top", "head"],
}
TEXT_NAMES = {"stem": "embeddings", "middle": "layer.0", "top": "layer.1", "head": "head"}


@pytest.mark.parametrize("cache", [0, 2**30])
@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("choice", CHOICES)
def test_only_what_the_phase_names_moves(choice, modality, cache, request):
    dataset = request.getfixturevalue("tiny_images" if modality == "image" else "tiny_texts")
    moving = [name if modality == "image" else TEXT_NAMES[name] for name in CHOICES[choice]]
    init = "random" if choice == "from random" else "pretrained"
    # the decay would move frozen weights by itself, the dropout their gradients
    phase = descent(moving, epochs=2, weight_decay=0.5)
    job = make_job(dataset, [phase], init=init, cache=cache, head=Head(dropout=0.2))
    first = before(job)
    run(job)
    last = after(job).state_dict()
    for group, names in groups_of(first, job.spec).items():
        for name in names:
            held = name in ("head.mean", "head.std")  # fitted once, before the phase, and not at all from nothing
            tensor = first.state_dict().get(name)
            if tensor is not None and not held and not name.endswith("embeddings.weight"):
                assert same_bits(tensor, last[name]) == (group not in moving), name


def test_a_frozen_row_of_the_embeddings_is_still_frozen_when_they_learn(tiny_texts):
    job = make_job(tiny_texts, [descent(["embeddings", "layer.0", "layer.1", "head"])])
    name = "backbone.embeddings.weight"
    first, last = before(job).state_dict()[name], None
    run(job)
    last = after(job).state_dict()[name]
    assert same_bits(first[0], last[0]), "the padding's embedding never learns"
    assert not same_bits(first, last)


def test_running_statistics_move_with_their_group_and_only_then(tiny_images):
    job = make_job(tiny_images, [descent(["top", "head"])])
    first = before(job).state_dict()
    run(job)
    last = after(job).state_dict()
    for group, moved in (("stem", False), ("middle", False), ("top", True)):
        for buffer in ("running_mean", "running_var", "num_batches_tracked"):
            name = f"backbone.net.{group}.1.{buffer}"
            assert same_bits(first[name], last[name]) != moved, name


@pytest.mark.parametrize("spec", [TINY_IMAGE, TINY_TEXT], ids=lambda spec: spec.name)
def test_modes_gradients_and_optimiser_groups(spec):
    top = spec.groups[-1].name
    phase = Phase("p", 1, {top: 1e-3, "head": 1e-2}, weight_decay=0.3)
    model = build_model(spec, TransferPlan(spec.name, "x", (phase,), head=Head(kind="mlp", dropout=0.5)), 2, seed=0)
    owned = groups_of(model, spec)
    freezer = Freezer(model, owned)
    freezer.thaw_only(phase.lr)
    named = dict(model.named_parameters())
    assert {n for n, p in named.items() if p.requires_grad} == {n for g in phase.lr for n in owned[g] if n in named}
    modes = {name: module.training for name, module in model.named_modules() if not list(module.children())}
    inside = "net.top" if spec is TINY_IMAGE else "layer.1"
    for name, training in modes.items():
        assert training == (name.startswith("head") or f"backbone.{inside}" in name), name
    optimiser = make_optimiser(model, owned, phase)
    held = {}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            name = next(n for n, p in named.items() if p is parameter)
            held[name] = (group["name"], group["base"], group["weight_decay"])
    assert set(held) == {name for name, parameter in named.items() if parameter.requires_grad}
    for name, (group, rate, decay) in held.items():
        assert name in owned[group]
        assert rate == phase.lr[group]
        assert decay == (0.0 if named[name].ndim == 1 else 0.3), name


def test_frozen_parameters_have_no_optimiser_state_and_no_gradient(tiny_images, monkeypatch):
    seen = []
    take = Stepper.step
    monkeypatch.setattr(Stepper, "step", lambda self, *args: (take(self, *args), seen.append(self))[0])
    run(make_job(tiny_images, [descent(["top", "head"], epochs=1)]))
    model, optimiser = seen[-1].model, seen[-1].optimiser
    thawed = [p for n, p in model.named_parameters() if "top" in n or n.startswith("head")]
    frozen = [p for n, p in model.named_parameters() if not ("top" in n or n.startswith("head"))]
    assert set(map(id, optimiser.state)) == set(map(id, thawed))
    assert all(p.grad is None and not p.requires_grad for p in frozen)


def test_a_later_phase_freezes_again_what_an_earlier_one_moved(tiny_images):
    whole = ["stem", "middle", "top", "head"]
    phases = [SOLVED, descent(whole, 1), Phase("last", 2, {"head": 1e-3})]
    job = make_job(tiny_images, phases)
    run(job)
    short = make_job(tiny_images, phases[:2], folder="short")
    run(short)
    long, brief = after(job).state_dict(), after(short).state_dict()
    assert all(same_bits(long[name], brief[name]) for name in long if name.startswith("backbone"))
    assert not torch.equal(brief["backbone.net.stem.0.weight"], before(job).state_dict()["backbone.net.stem.0.weight"])
