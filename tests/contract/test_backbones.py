"""What every registered backbone must keep, and what every ready one must keep besides."""

from functools import cache

import pytest
import torch
from torch import nn

from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES, BackboneSpec, ImageInput
from tl_core.backbones.staged import Staged, State
from tl_core.layers import partition

READY = [spec.name for spec in BACKBONES.values() if spec.ready]
CPU = torch.device("cpu")


@cache
def pretrained(name: str) -> Staged:
    return BACKBONES[name].load(True).eval()


@cache
def items(name: str) -> State:
    """Three items, of different lengths where they are texts."""
    spec = BACKBONES[name]
    seeded = torch.Generator().manual_seed(0)
    if isinstance(spec.input, ImageInput):
        size = spec.input.size
        prepared = [torch.randint(0, 256, (3, size, size), generator=seeded).to(torch.uint8) for _ in range(3)]
    else:
        prepared = [torch.randint(1000, 3000, (n,), generator=seeded).to(torch.int32) for n in (5, 9, 12)]
    return preprocessor(spec).collate(prepared, CPU)


def tensor_names(network: nn.Module) -> list[str]:
    return [name for name, _ in [*network.named_parameters(), *network.named_buffers()]]


@pytest.mark.parametrize("name", READY)
def test_the_sizes_are_stated_so_that_the_app_need_not_build_the_network(name):
    spec = BACKBONES[name]
    assert len(spec.group_parameters) == len(spec.group_matrices) == len(spec.groups)


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=lambda spec: spec.name)
def test_the_card_says_what_a_person_must_know(spec: BackboneSpec):
    assert spec.title
    assert spec.summary.endswith(".")
    assert spec.licence
    assert spec.source.startswith("https://")
    assert spec.weights.name or "github.com" in spec.source
    assert spec.ready != bool(spec.needs)
    if not spec.ready:
        assert spec.licence in spec.needs


@pytest.mark.parametrize("name", READY)
class TestReady:
    def test_every_tensor_is_in_exactly_one_group(self, name: str):
        spec, network = BACKBONES[name], pretrained(name)
        assert sum(map(len, partition(tensor_names(network), spec.groups).values())) == len(tensor_names(network))
        assert sum(p.numel() for p in network.parameters()) == spec.parameters
        assert tuple(group.name for group in spec.groups) == network.names
        assert all(tensor.is_contiguous() for tensor in network.state_dict().values()), "safetensors needs that"

    def test_a_group_works_in_the_stage_of_its_name(self, name: str):
        """Which modules run in a stage is observed, not read off their names."""
        network, state = pretrained(name), items(name)
        owners = {p: module for module in network.modules() for p in module._parameters.values() if p is not None}
        groups = partition([n for n, _ in network.named_parameters()], BACKBONES[name].groups)
        ran: set[nn.Module] = set()
        hooks = [m.register_forward_hook(lambda module, *_: ran.add(module)) for m in set(owners.values())]
        parameters = dict(network.named_parameters())
        with torch.inference_mode():
            for index, stage in enumerate(network.names):
                ran.clear()
                state = network.stage(index, state)
                assert ran == {owners[parameters[n]] for n in groups[stage]}
        for hook in hooks:
            hook.remove()

    def test_features_are_as_wide_as_the_card_says(self, name: str):
        network = pretrained(name)
        with torch.inference_mode():
            mean, std = network.pool(network.run(items(name)))
        assert mean.shape == std.shape == (3, BACKBONES[name].features)
        assert torch.isfinite(mean).all()
        assert (std > 0).all()

    def test_taps_are_the_stages_of_one_pass(self, name: str):
        network = pretrained(name)
        last = len(network.names) - 1
        with torch.inference_mode():
            taps = network.taps(items(name), [1, last])
            middle = network.run(items(name), stop=2)
            assert torch.equal(taps[1], torch.cat(network.pool(middle), dim=1))
            assert torch.equal(taps[last], torch.cat(network.pool(network.run(middle, start=2)), dim=1))

    def test_the_chain_is_the_native_network(self, name: str):
        network, state = pretrained(name), items(name)
        with torch.inference_mode():
            ours = network.pool(network.run(state))[0]
            if len(state) == 1:
                theirs = network.net.forward_features(state[0]).mean(dim=(2, 3))
            else:
                hidden = network.net(input_ids=state[0], attention_mask=state[1].long()).last_hidden_state
                theirs = (hidden * state[1][..., None]).sum(1) / state[1].sum(1, keepdim=True)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)

    def test_every_parameter_gets_a_gradient(self, name: str):
        network = BACKBONES[name].load(True).train()
        mean, std = network.pool(network.run(items(name)))
        (mean.square().sum() + std.square().sum()).backward()
        assert [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []

    def test_random_weights_follow_from_the_seed_and_from_nothing_else(self, name: str):
        def flat(seed: int) -> torch.Tensor:
            torch.manual_seed(seed)
            return torch.cat([p.detach().flatten() for p in BACKBONES[name].load(False).parameters()])

        learned = torch.cat([p.detach().flatten() for p in pretrained(name).parameters()])
        first = flat(1)
        assert first.shape == learned.shape
        assert torch.equal(first, flat(1))
        assert (first != flat(2)).float().mean() > 0.9
        assert (first != learned).float().mean() > 0.9
