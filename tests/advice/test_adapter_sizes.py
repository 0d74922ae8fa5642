import dataclasses

import pytest

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tl_core.advice.adapter_sizes import adapter_parameters, matrices, stated_matrices
from tl_core.advice.cost import trainable_parameters
from tl_core.backbones.spec import BACKBONES
from tl_core.plan import Adapter, Phase, TransferPlan
from tl_core.training.adapters import fitting, insert, is_adapter
from tl_core.training.model import build_model, groups_of

READY = [spec for spec in BACKBONES.values() if spec.ready]
SOLVED = Phase("head", 1, {"head": 1.0}, optimizer="lbfgs")


@pytest.mark.parametrize("spec", [*READY, TINY_IMAGE, TINY_TEXT], ids=lambda spec: spec.name)
def test_a_spec_states_the_layers_that_the_network_has(spec):
    model = build_model(spec, TransferPlan(spec.name, "x", (SOLVED,), init="random"), 2, seed=0)
    modules = dict(model.backbone.named_modules())
    for group, names in fitting(model, spec, "lora").items():
        shapes = [modules[name].weight for name in names]
        sizes = sorted((w.shape[1], w[0, 0].numel(), w.shape[0]) for w in shapes)
        assert sizes == sorted(matrices(spec).get(group, ())), group


@pytest.mark.parametrize("spec", [TINY_IMAGE, TINY_TEXT], ids=lambda spec: spec.name)
def test_sizes_that_are_not_stated_are_read_from_the_network(spec):
    assert matrices(dataclasses.replace(spec, group_matrices=())) == stated_matrices(spec)


@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "lokr", "ia3"])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "all_minilm_l6_v2"])
@pytest.mark.parametrize("rank", [2, 30])
def test_the_count_is_that_of_the_tensors_that_peft_makes(name, kind, rank):
    spec = BACKBONES[name]
    names = [group.name for group in spec.groups[-3:]]
    phase = Phase("p", 1, dict.fromkeys([*names, "head"], 1e-3))
    plan = TransferPlan(name, "x", (phase,), adapter=Adapter(kind, rank))
    model = build_model(spec, plan, 4, seed=0)
    insert(model, spec, plan, 0)
    sizes = {n: p.numel() for n, p in model.named_parameters() if is_adapter(n)}
    counted = adapter_parameters(plan.adapter, spec)
    for group, members in groups_of(model, spec).items():
        if group in names:
            assert counted[group] == sum(sizes.get(member, 0) for member in members), group
    assert trainable_parameters(plan, spec, 4) == sum(sizes.values()) + (spec.features + 1) * 4
