import dataclasses

import numpy as np
import pytest
import torch

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tests.training.helpers import SOLVED, after, make_job, run
from tl_core.errors import BackboneError, PlanError, RunError
from tl_core.layers import LayerGroup
from tl_core.plan import Head, TransferPlan
from tl_core.training.model import HeadLayers, build_model, groups_of

SPECS = [TINY_IMAGE, TINY_TEXT]


def plan_of(spec, **head):
    return TransferPlan(spec.name, "by hand", (SOLVED,), head=Head(**head))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_every_tensor_is_in_exactly_one_group_at_every_depth(spec, depth):
    tap = spec.groups[depth].name
    model = build_model(spec, plan_of(spec, tap=tap), 3, seed=0)
    groups = groups_of(model, spec)
    assert list(groups) == [group.name for group in spec.groups[: depth + 1]] + ["head"]
    tensors = [name for name, _ in [*model.named_parameters(), *model.named_buffers()]]
    assert sorted(name for names in groups.values() for name in names) == sorted(tensors)


def test_a_tensor_without_a_group_is_named():
    spec = dataclasses.replace(TINY_IMAGE, groups=(*TINY_IMAGE.groups[:2], LayerGroup("top", r"net\.top\.0\.")))
    model = build_model(spec, plan_of(spec), 3, seed=0)
    with pytest.raises(BackboneError, match=r"backbone\.net\.top\.1\.weight"):
        groups_of(model, spec)


def test_a_cut_backbone_is_smaller_and_computes_the_same_as_the_whole_one_up_to_the_tap():
    whole = build_model(TINY_IMAGE, plan_of(TINY_IMAGE), 3, seed=0)
    cut = build_model(TINY_IMAGE, plan_of(TINY_IMAGE, tap="stem", pool="mean_std"), 3, seed=0)
    assert not any("top" in name or "middle" in name for name in cut.state_dict())
    maps = torch.rand(2, 3, 32, 32)
    wanted = torch.cat(whole.backbone.pool(whole.backbone.run((maps,), 0, 1)), dim=1)
    assert torch.equal(cut.features((maps,)), wanted)
    assert cut.head.mean.shape == (16,)


def test_features_from_a_stage_on_are_the_features_from_the_start():
    model = build_model(TINY_TEXT, plan_of(TINY_TEXT), 2, seed=0)
    state = (torch.randint(1, 90, (3, 7)), torch.ones(3, 7, dtype=torch.bool))
    between = model.backbone.run(state, 0, 2)
    torch.testing.assert_close(model(between, 2), model(state))


def test_a_tap_that_does_not_exist_is_named():
    with pytest.raises(PlanError, match=r"'roof'.*It has stem, middle, top"):
        build_model(TINY_IMAGE, plan_of(TINY_IMAGE, tap="roof"), 3, seed=0)


def test_a_backbone_without_weights_is_refused():
    with pytest.raises(BackboneError, match="not on this machine"):
        build_model(dataclasses.replace(TINY_IMAGE, load=None), plan_of(TINY_IMAGE), 3, seed=0)


@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_random_weights_follow_from_the_seed_alone(init):
    plan = dataclasses.replace(plan_of(TINY_IMAGE, kind="mlp"), init=init)
    torch.manual_seed(123)
    first = build_model(TINY_IMAGE, plan, 3, seed=5).state_dict()
    expected = torch.rand(1)
    torch.manual_seed(123)
    second, other = (build_model(TINY_IMAGE, plan, 3, seed=seed).state_dict() for seed in (5, 6))
    assert torch.equal(torch.rand(1), expected), "building a model draws no random numbers of its caller"
    assert all(torch.equal(first[name], second[name]) for name in first)
    backbone_differs = not torch.equal(first["backbone.net.stem.0.weight"], other["backbone.net.stem.0.weight"])
    assert backbone_differs == (init == "random")
    assert not torch.equal(first["head.out.weight"], other["head.out.weight"])


def test_a_head_takes_the_spread_of_the_probe_and_a_constant_feature_does_no_harm():
    from tl_core.advice.linear import standardise

    features = np.random.default_rng(0).normal(3, 5, (50, 4)).astype(np.float32)
    features[:, 2] = 0.1
    head = HeadLayers(4, 2, Head())
    head.standardise(torch.from_numpy(features))
    standardised = head.standardised(torch.from_numpy(features))
    np.testing.assert_allclose(standardised, standardise(features)[0], atol=1e-5)
    assert standardised[:, 2].abs().max() < 1e-6


def test_missing_or_unfit_saved_weights_give_a_clear_message(tiny_images):
    job = make_job(tiny_images, [SOLVED])
    with pytest.raises(RunError, match="no saved weights"):
        after(job)
    run(job)
    other = dataclasses.replace(job, plan=dataclasses.replace(job.plan, head=Head(kind="mlp")))
    with pytest.raises(RunError, match="do not fit this plan"):
        after(other)
    (job.folder / "best.safetensors").write_bytes(b"not weights")
    with pytest.raises(RunError, match="do not fit this plan"):
        after(job)
