"""The memory of a backbone, against numbers worked out by hand."""

import pytest
import torch
from torch import nn

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tl_core.backbones.footprint import Footprint, measure_footprint
from tl_core.backbones.speed import Speed, measure_speed, read_speed
from tl_core.backbones.staged import Staged, State
from tl_core.types import dump, load
from tl_core.workspace import Workspace, write_json


class Chain(Staged):
    """Linear, ReLU: the first keeps its input, the second its output; `attention` keeps something of T x T."""

    names = ("linear", "relu", "attention")

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 32, bias=False)

    def stage(self, index: int, state: State) -> State:
        hidden, mask = state
        if index == 0:
            return self.layer(hidden), mask
        if index == 1:
            return hidden.relu(), mask
        return (hidden @ hidden.transpose(1, 2)).softmax(dim=-1) @ hidden, mask


def items(count: int, tokens: int) -> State:
    return torch.rand(count, tokens, 8), torch.ones(count, tokens, dtype=torch.bool)


def test_what_is_kept_is_counted_once_and_parts_by_length():
    footprint = measure_footprint(Chain(), items, tokens=128)
    assert footprint.kept["linear"] == pytest.approx(0)  # only the item itself, which the caller holds
    assert footprint.kept["relu"] == pytest.approx(4 * 32)
    assert footprint.kept_square == pytest.approx({"linear": 0, "relu": 0, "attention": 4})
    assert footprint.kept["attention"] == pytest.approx(0)  # its two inputs are the kept output of the ReLU
    assert footprint.kept_by("attention", 100) == pytest.approx(4 * 100**2)
    assert footprint.kept_by("relu", 100) == pytest.approx(4 * 32 * 100)
    assert footprint.output["relu"] == pytest.approx(4 * 32 + 1)
    assert footprint.base > 0


def test_passing_counts_what_lives_at_once():
    class Wide(Chain):
        names = ("wide", "narrow")

        def stage(self, index: int, state: State) -> State:
            hidden, mask = state
            return ((hidden.repeat(1, 1, 10) if index == 0 else hidden[..., :1].clone()), mask)

    footprint = measure_footprint(Wide(), items, tokens=128)
    wide, narrow = 10 * 8 * 4, 4
    assert wide + narrow <= footprint.passing < 1.3 * (wide + narrow)


@pytest.mark.parametrize("spec", [TINY_IMAGE, TINY_TEXT], ids=lambda spec: spec.name)
def test_it_is_measured_with_the_speed_and_measured_again_where_it_lacks(workspace: Workspace, spec):
    footprint = measure_speed(spec, workspace, seconds=0).footprint
    assert list(footprint.kept) == list(footprint.output) == [group.name for group in spec.groups]
    assert all(footprint.kept_by(group.name, 20) > 0 for group in spec.groups[1:])
    if spec is TINY_IMAGE:  # the stem's convolution keeps nothing new, normalisation its input, ReLU its output
        assert footprint.kept["stem"] == pytest.approx(2 * 4 * 8 * 16 * 16, rel=0.02)
    path = workspace.root / "speed" / f"{spec.name}.json"
    old = {name: value for name, value in dump(read_speed(workspace, spec.name)).items() if name != "footprint"}
    write_json(path, old)
    assert load(Speed, old).footprint == Footprint()
    assert read_speed(workspace, spec.name) is None
