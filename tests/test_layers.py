"""Every parameter in exactly one group, or an error that names it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import BackboneError
from tl_core.layers import LayerGroup, partition, plain_titles, titles

GROUPS = (
    LayerGroup("stem", r"conv\."),
    LayerGroup("blocks.1", r"blocks\.1\."),
    LayerGroup("blocks.10", r"blocks\.10\."),
)
names = st.lists(st.sampled_from("abcdef").flatmap(lambda c: st.integers(0, 9).map(lambda i: f"{c}.{i}")), unique=True)


@given(names, st.lists(st.sampled_from(["a", "b", "[cd]", "[de]", "."]), max_size=4, unique=True))
def test_the_result_is_a_partition_or_the_error_names_what_is_not(parameters: list[str], patterns: list[str]):
    groups = [LayerGroup(f"group {i}", rf"{pattern}\.") for i, pattern in enumerate(patterns)]
    wrong = [name for name in parameters if sum(_claims(pattern, name) for pattern in patterns) != 1]
    idle = [
        group.name
        for group, pattern in zip(groups, patterns, strict=True)
        if not any(_claims(pattern, name) for name in parameters)
    ]
    if wrong or idle:
        with pytest.raises(BackboneError) as caught:
            partition(parameters, groups)
        assert all(name in caught.value.message for name in (wrong or idle))
        return
    members = partition(parameters, groups)
    assert list(members) == [group.name for group in groups]
    assert sorted(name for names in members.values() for name in names) == sorted(parameters)
    assert all(members.values())


def _claims(pattern: str, name: str) -> bool:
    return pattern == "." or name[0] in pattern.strip("[]")


def test_the_order_of_the_parameters_is_kept():
    members = partition(["blocks.10.w", "conv.b", "blocks.1.w", "conv.a"], GROUPS)
    assert members == {"stem": ["conv.b", "conv.a"], "blocks.1": ["blocks.1.w"], "blocks.10": ["blocks.10.w"]}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (["conv.w", "blocks.1.w", "blocks.10.w", "head.w"], r"head\.w \(no group\)"),
        (["conv.w", "blocks.1.w"], r"match no parameter: blocks\.10"),
    ],
)
def test_the_error_names_what_is_wrong(parameters: list[str], named: str):
    with pytest.raises(BackboneError, match=named):
        partition(parameters, GROUPS)


def test_two_claims_are_both_named():
    with pytest.raises(BackboneError, match=r"conv\.w \(stem and all\)"):
        partition(["conv.w"], [LayerGroup("stem", "conv"), LayerGroup("all", "")])


def test_titles_give_the_place_with_the_name_in_brackets():
    titled = titles(["stem", "blocks.0", "blocks.1", "top", "head"])
    assert list(titled.values()) == [
        "first layers (stem)", "block 1 of 2 (blocks.0)", "block 2 of 2 (blocks.1)", "last layers (top)",
        "new head (head)",
    ]  # fmt: skip
    assert list(plain_titles(titled).values()) == [
        "first layers", "block 1 of 2", "block 2 of 2", "last layers", "new head"
    ]  # fmt: skip
    assert titles(f"layer.{i}" for i in range(6))["layer.4"] == "layer 5 of 6 (layer.4)"
    assert titles(["odd", "layer.x"]) == {"odd": "odd", "layer.x": "layer.x"}


def test_every_ready_backbones_groups_have_a_title_of_their_own():
    for spec in BACKBONES.values():
        names = [group.name for group in spec.groups]
        titled = titles(names)
        assert len(set(titled.values())) == len(names)
        assert all(title.endswith(f" ({name})") for name, title in titled.items()), spec.name
