import json
import re
from dataclasses import fields, is_dataclass
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import PlanError
from tl_core.plan import TransferPlan, check, from_yaml, to_yaml
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.strategies.recipes import RULE_OF_THUMB
from tl_core.types import Similarity, dump, load

NAMES = list(STRATEGIES)
SOURCE = re.compile(r"https?://|arXiv:\d{4}\.\d{4,5}|doi:10\.|\b(19|20)\d\d\b")


@st.composite
def settings(draw):
    groups = tuple(f"blocks.{index}" for index in range(draw(st.integers(2, 14))))
    n_train = draw(st.integers(1, 200_000))
    return TaskInfo(
        backbone="net",
        modality=draw(st.sampled_from(("image", "text"))),
        groups=groups,
        n_train=n_train,
        n_classes=draw(st.integers(2, 100)),
        per_class_min=draw(st.integers(1, n_train)),
        tap=draw(st.none() | st.sampled_from(groups)),
        pool=draw(st.sampled_from(("mean", "mean_std"))),
        l2=draw(st.floats(1e-6, 10)),
        last_l2=draw(st.none() | st.floats(1e-6, 10)),
        n_validation=draw(st.integers(0, 40_000)),
        similarity=draw(st.sampled_from(get_args(Similarity))),
        last_is_best=draw(st.none() | st.booleans()),
        device=draw(st.sampled_from(("cpu", "cuda"))),
        parameters=draw(st.integers(0, 10**9)),
        has_target=draw(st.booleans()),
        has_source=draw(st.booleans()),
    )


def values(field, task_info):
    """Return values that the field's form would allow."""
    meta = field.metadata
    if meta["modality"] not in (None, task_info.modality):
        return st.just(field.default)
    if meta["choices"]:
        return st.sampled_from(meta["choices"])
    if meta["min"] is None:
        return st.just(field.default)
    integer = isinstance(field.default, int)
    return st.integers(meta["min"], meta["max"]) if integer else st.floats(meta["min"], meta["max"])


@pytest.mark.parametrize("name", NAMES)
@examples(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_plan_passes_its_own_check_and_round_trips(name, data):
    task_info, strategy = data.draw(settings()), STRATEGIES[name]
    offered = [f for f in fields(strategy.options) if f.metadata["modality"] in (None, task_info.modality)]
    some = data.draw(st.lists(st.sampled_from(offered), unique=True))
    options = {field.name: data.draw(values(field, task_info)) for field in some}
    plan = strategy.make(task_info, options)
    assert [finding for finding in check(plan, task_info.groups) if finding.level == "stop"] == []
    assert plan == strategy.make(task_info, options), "deterministic"
    assert load(TransferPlan, json.loads(json.dumps(dump(plan)))) == plan
    assert from_yaml(to_yaml(plan, task_info.groups), task_info.groups) == plan
    assert plan.strategy == name
    assert plan.why
    assert all(reason.text.endswith(".") for reason in plan.why)
    assert all(reason.source == RULE_OF_THUMB or SOURCE.search(reason.source) for reason in plan.why)


@pytest.mark.parametrize("name", NAMES)
@examples(max_examples=30, deadline=None)
@given(task_info=settings())
def test_the_default_plan_has_no_finding(name, task_info):
    assert check(STRATEGIES[name].make(task_info), task_info.groups) == ()


@pytest.mark.parametrize("name", NAMES)
@examples(max_examples=25, deadline=None)
@given(data=st.data())
def test_caveats_name_their_source_and_never_block(name, data):
    task_info, strategy = data.draw(settings()), STRATEGIES[name]
    some = data.draw(st.lists(st.sampled_from(fields(strategy.options)), unique=True))
    options = {field.name: data.draw(values(field, task_info)) for field in some}
    findings = strategy.caveats(task_info, options)
    assert len({finding.code for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.level in ("info", "warn")
        assert finding.message[0].isupper() or finding.message[0].isdigit()
        assert finding.message.endswith(".")
        hint, _, source = finding.hint.partition(" Source: ")
        assert hint.endswith((".", "”"))
        assert SOURCE.search(source) or "guide" in source


@pytest.mark.parametrize("name", NAMES)
def test_every_card_is_whole(name):
    strategy = STRATEGIES[name]
    assert strategy.name == name
    assert all((strategy.title, strategy.summary, strategy.when, strategy.sources))
    assert all(SOURCE.search(source) for source in strategy.sources)
    assert is_dataclass(strategy.options)
    for field in fields(strategy.options):
        assert field.metadata["label"]
        assert field.metadata["help"]
        assert field.type in ("int", "float", "str", int, float, str)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_option_raises(name):
    task_info = TaskInfo("net", "image", ("a", "b"), 100, 2, 50)
    with pytest.raises(PlanError, match="no option"):
        STRATEGIES[name].make(task_info, {"colour": 1})
    for field in fields(STRATEGIES[name].options):
        if field.metadata["choices"]:
            with pytest.raises(PlanError, match="cannot be"):
                STRATEGIES[name].make(task_info, {field.name: "?"})
        elif field.metadata["min"] is not None:
            with pytest.raises(PlanError, match="must lie between"):
                STRATEGIES[name].make(task_info, {field.name: field.metadata["max"] + 1})


def test_every_ready_backbone_states_what_its_groups_hold():
    from tl_core.advice.cost import _count, group_parameters

    for spec in BACKBONES.values():
        if spec.ready:
            assert group_parameters(spec) == _count(spec)
            assert sum(group_parameters(spec).values()) == spec.parameters
