import math
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.errors import PlanError
from tl_core.plan import (
    Augment,
    Head,
    Loss,
    Phase,
    Reason,
    TransferPlan,
    check,
    from_yaml,
    rate_at,
    to_yaml,
    with_rate,
)

GROUPS = ("stem", "blocks.0", "blocks.1", "top")
NETS = ("tiny_image", "tiny_text")


def plan_of(*phases, **changes):
    return TransferPlan("tiny_image", "custom", phases or (Phase("head", 5, {"head": 1e-3}),), **changes)


def phase(**changes):
    return Phase(**({"name": "one", "epochs": 5, "lr": {"head": 1e-3}} | changes))


def test_a_sound_plan_has_no_finding():
    tuning = Phase("all", 4, {"blocks.1": 1e-5, "top": 1e-4, "head": 1e-3}, warmup=0.1, patience=2)
    assert check(plan_of(phase(optimizer="lbfgs"), tuning), GROUPS, NETS) == ()
    assert check(plan_of(), GROUPS, NETS) == ()


@pytest.mark.parametrize(
    ("plan", "code", "place"),
    [
        (plan_of(phase(lr={"head": 1e-3, "blok.1": 1e-4})), "unknown-group", "phases/0/lr/blok.1"),
        (plan_of(phase(lr={})), "nothing-trainable", "phases/0/lr"),
        (plan_of(phase(lr={"head": 0.0})), "rate", "phases/0/lr/head"),
        (plan_of(phase(lr={"head": -1e-3})), "rate", "phases/0/lr/head"),
        (plan_of(phase(lr={"head": math.nan})), "rate", "phases/0/lr/head"),
        (plan_of(phase(lr={"head": math.inf})), "rate", "phases/0/lr/head"),
        (plan_of(phase(lr={"head": 3.0})), "rate", "phases/0/lr/head"),
        (plan_of(phase(epochs=0)), "epochs", "phases/0/epochs"),
        (plan_of(phase(epochs=10**6)), "epochs", "phases/0/epochs"),
        (plan_of(phase(lr={"top": 1e-4})), "head-frozen", "phases/0/lr"),
        (plan_of(phase(), phase()), "phase-name", "phases/1/name"),
        (plan_of(phase(name=" ")), "phase-name", "phases/0/name"),
        (plan_of(phase(optimizer="lbfgs", recalibrate_norm=True)), "recalibrate_norm", "phases/0/recalibrate_norm"),
        (plan_of(phase(only_if_better=True)), "only-if-better", "phases/0/only_if_better"),
        (plan_of(head=Head(tap="blocks.9")), "tap", "head/tap"),
        (plan_of(phase(lr={"head": 1e-3, "top": 1e-4}), head=Head(tap="blocks.1")), "above-tap", "phases/0/lr/top"),
        (plan_of(phase(lr={"head": 1.0, "top": 1e-4}, optimizer="lbfgs")), "lbfgs-groups", "phases/0/optimizer"),
        (plan_of(phase(optimizer="lbfgs"), head=Head("mlp")), "lbfgs-head", "phases/0/optimizer"),
        (plan_of(phase(optimizer="lbfgs", patience=2)), "lbfgs-patience", "phases/0/patience"),
        (plan_of(phase(fit_on="train+validation", patience=2)), "patience-fit-on", "phases/0/patience"),
        (plan_of(phase(fit_on="train+validation"), phase(name="two")), "fit-on-order", "phases/0/fit_on"),
        (plan_of(phase(patience=0)), "patience", "phases/0/patience"),
        (plan_of(phase(warmup=1.0)), "warmup", "phases/0/warmup"),
        (plan_of(phase(warmup=-0.1)), "warmup", "phases/0/warmup"),
        (plan_of(phase(weight_decay=-1.0)), "weight-decay", "phases/0/weight_decay"),
        (plan_of(phase(weight_decay=2.0)), "weight-decay", "phases/0/weight_decay"),
        (plan_of(phase(schedule="cosin")), "schedule", "phases/0/schedule"),
        (plan_of(phase(optimizer="sgd")), "optimizer", "phases/0/optimizer"),
        (plan_of(phase(fit_on="test")), "fit_on", "phases/0/fit_on"),
        (plan_of(batch_size=0), "batch-size", "batch_size"),
        (plan_of(batch_size=10**6), "batch-size", "batch_size"),
        (plan_of(init="zeros"), "init", "init"),
        (plan_of(head=Head("tree")), "kind", "head/kind"),
        (plan_of(head=Head(pool="max")), "pool", "head/pool"),
        (plan_of(head=Head(dropout=1.0)), "dropout", "head/dropout"),
        (plan_of(head=Head(hidden=0)), "hidden", "head/hidden"),
        (TransferPlan("tiny_image", "custom", ()), "no-phase", "phases"),
        (TransferPlan("tiny_imag", "custom", (phase(),)), "backbone", "backbone"),
    ],
)
def test_each_mistake_is_named_where_it_is(plan, code, place):
    stops = {
        (finding.code, finding.items[0]): finding for finding in check(plan, GROUPS, NETS) if finding.level == "stop"
    }
    assert (code, place) in stops
    assert stops[code, place].message.endswith((".", "?"))


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (plan_of(phase(lr={"head": 0.1})), "bold-rate"),
        (plan_of(phase(lr={"head": 1e-3, "stem": 1e-4})), "hole"),
        (plan_of(phase(patience=9)), "patience"),
        (plan_of(phase(optimizer="lbfgs", weight_decay=0.0)), "lbfgs-decay"),
        (plan_of(phase(optimizer="lbfgs", warmup=0.1)), "lbfgs-warmup"),
        (plan_of(phase(), phase(name="two", recalibrate_norm=True)), "recalibrate-idle"),
        (
            plan_of(
                phase(fit_on="train+validation"), phase(name="two", fit_on="train+validation", only_if_better=True)
            ),
            "only-if-better",
        ),
        (
            plan_of(phase(optimizer="lbfgs"), phase(name="two", lr={"top": 1e-4}, recalibrate_norm=True)),
            "recalibrate-idle",
        ),
        (plan_of(init="random"), "random-frozen"),
        (plan_of(phase(optimizer="lbfgs"), loss=Loss(mixup=0.2)), "mixup-idle"),
        (plan_of(phase(optimizer="lbfgs"), loss=Loss(label_smoothing=0.1)), "label-smoothing-idle"),
        (plan_of(phase(optimizer="lbfgs"), augment=Augment("light")), "augment-idle"),
        (plan_of(augment=Augment("none", 3)), "views-idle"),
    ],
)
def test_what_is_odd_makes_a_finding_that_does_not_block(plan, code):
    assert [(finding.code, finding.level != "stop") for finding in check(plan, GROUPS)] == [(code, True)]


@pytest.mark.parametrize(
    "optional",
    [{"loss": Loss(class_weights="balanced")}, {"loss": Loss("none", 0.0, 0.0)}, {"augment": Augment("none")}],
)
def test_a_solved_head_uses_class_weights_and_what_is_off_is_not_idle(optional):
    assert check(plan_of(phase(optimizer="lbfgs"), **optional), GROUPS) == ()


def test_texts_are_not_varied():
    plan = plan_of(augment=Augment("light"))
    assert check(plan, GROUPS) == check(plan, GROUPS, modality="image") == ()
    assert [(f.code, f.level, f.items) for f in check(plan, GROUPS, modality="text")] == [
        ("augment-texts", "stop", ("augment/policy",))
    ]
    with pytest.raises(PlanError, match=r"Line \d+: .*made for pictures"):
        from_yaml(to_yaml(plan, GROUPS), GROUPS, modality="text")


def test_a_near_miss_is_suggested():
    findings = check(plan_of(phase(lr={"head": 1e-3, "block.1": 1e-4})), GROUPS)
    assert "'blocks.1'" in findings[0].hint


def test_one_rate_is_edited():
    plan = plan_of(phase(), phase(name="two"))
    thawed = with_rate(plan, 1, "top", 1e-4)
    assert thawed.phases[0] == plan.phases[0]
    assert dict(thawed.phases[1].lr) == {"head": 1e-3, "top": 1e-4}
    assert with_rate(thawed, 1, "top", None) == plan
    assert with_rate(plan, 0, "stem", None) == plan
    with pytest.raises(PlanError, match="no phase number 3"):
        with_rate(plan, 2, "top", 1e-4)


rates = st.floats(1e-9, 1.0, exclude_min=True)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
phases = st.builds(
    Phase,
    name=words,
    epochs=st.integers(1, 1000),
    lr=st.dictionaries(words, rates, max_size=4),
    schedule=st.sampled_from(("constant", "linear", "cosine", "slanted", "one_cycle")),
    warmup=st.floats(0, 0.99),
    weight_decay=st.floats(0, 10),
    optimizer=st.sampled_from(("adamw", "lbfgs")),
    patience=st.none() | st.integers(1, 50),
    fit_on=st.sampled_from(("train", "train+validation")),
)
plans = st.builds(
    TransferPlan,
    backbone=words,
    strategy=words,
    phases=st.lists(phases, max_size=3).map(tuple),
    init=st.sampled_from(("pretrained", "random")),
    head=st.builds(Head, hidden=st.integers(1, 4096), dropout=st.floats(0, 0.9), tap=st.none() | words),
    batch_size=st.integers(1, 4096),
    why=st.lists(st.builds(Reason, words, words), max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(plans)
def test_yaml_goes_out_and_comes_back_the_same(plan):
    assert from_yaml(to_yaml(plan, GROUPS)) == plan


BY_HAND = """\
backbone: tiny_image     # chosen by hand
batch_size: 16
head: {dropout: 0.1, tap: null}
phases:
  - name: head
    epochs: 5
    lr: {head: 1e-3}
  - name: all
    epochs: 3
    patience: 2
    lr:
      top: 2e-5
      head: .001
"""


def test_a_person_can_write_one_by_hand():
    plan = from_yaml(BY_HAND, GROUPS, NETS)
    assert plan.strategy == "custom"
    assert plan.head == Head(dropout=0.1)
    assert dict(plan.phases[1].lr) == {"top": 2e-5, "head": 1e-3}
    assert plan.phases[1].patience == 2


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("epochs: 3", "epochs: three"), 9, "whole number"),
        (("epochs: 3", "epochs: 3.5"), 9, "whole number"),
        (("epochs: 3", "epoch: 3"), 9, "Did you mean 'epochs'"),
        (("epochs: 3", "epochs: 0"), 9, "must have between 1"),
        (("top: 2e-5", "top: fast"), 12, "must be a number"),
        (("top: 2e-5", "tip: 2e-5"), 12, "Did you mean 'top'"),
        (("top: 2e-5", "head: 2e-5"), 13, "appears twice"),
        (("batch_size: 16", "backbone: other"), 2, "appears twice"),
        (("backbone: tiny_image", "backbone: tiny_imagee"), 1, "Did you mean 'tiny_image'"),
        (("    patience: 2\n", "    patience: 2\n  bad\n"), 11, "not valid YAML"),
        (("name: all", "name: head"), 5, "Two phases"),
        (("    epochs: 3\n", ""), 8, "has no 'epochs'"),
        (("    lr: {head: 1e-3}", "    lr: [head]"), 7, "name: value"),
        (("    lr: {head: 1e-3}", "    lr: {}"), 7, "freezes everything"),
        (("tap: null", "tap: &a top"), 3, "anchors"),
        (("tap: null", "tap: !!python/name:os.system top"), 3, "tags"),
        (("tap: null", "pool: max"), 3, "cannot be 'max'"),
        (("batch_size: 16", "batch_size: 1" + 400 * "0"), 2, "whole number"),
    ],
)
def test_every_error_names_its_line(change, line, says):
    assert change[0] in BY_HAND
    with pytest.raises(PlanError) as error:
        from_yaml(BY_HAND.replace(*change), GROUPS, NETS)
    assert str(error.value).startswith(f"Line {line}:")
    assert says in str(error.value)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.builds(lambda plan, n: to_yaml(plan)[:n], plans, st.integers(0, 900)))
def test_any_other_text_raises_plan_error_alone(text):
    with suppress(PlanError):
        from_yaml(text, GROUPS)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "[" * 20_000, "a: b\n" * 300_000, "\x00", "- 1", "{? [a] : b}", "---\na: 1\n---\nb: 2"]
)
def test_what_is_no_plan_is_refused_with_a_line(text):
    with pytest.raises(PlanError, match=r"^Line"):
        from_yaml(text)


def torch_rates(make, steps):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    schedule = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("constant", lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0, 50)),
        ("linear", lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 1e-12, 50)),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 50)),
    ],
)
def test_schedules_are_torchs(name, make):
    assert [rate_at(name, 0.0, step / 50) for step in range(50)] == pytest.approx(torch_rates(make, 50), abs=1e-9)


def test_one_cycle_is_torchs():
    steps = 41
    peak = (0.3 * (steps - 1) + 1) / steps  # torch counts the peak in whole steps
    wanted = torch_rates(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=steps, pct_start=peak), steps - 1
    )
    assert [rate_at("one_cycle", 0.0, step / (steps - 1)) for step in range(steps - 1)] == pytest.approx(
        wanted, abs=1e-9
    )


def test_slanted_is_the_papers_formula():
    total, cut_frac, ratio = 200, 0.1, 32
    cut = int(total * cut_frac)
    for t in range(total):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        assert rate_at("slanted", 0.0, t / total) == pytest.approx((1 + p * (ratio - 1)) / ratio)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(("constant", "linear", "cosine", "slanted", "one_cycle")), st.floats(0, 0.9), st.floats(0, 1))
def test_a_multiplier_lies_between_zero_and_one_and_peaks_after_the_warmup(name, warmup, position):
    assert 0.0 <= rate_at(name, warmup, position) <= 1.0
    if warmup > 0.01:
        assert rate_at(name, warmup, warmup) == pytest.approx(1.0)
        assert rate_at(name, warmup, warmup / 2) < 1.0


def test_findings_name_layers_by_their_titles():
    groups = ("stem", "blocks.0", "blocks.1", "top")
    phase = Phase("tune", 2, {"blocks.0": 0.5, "top": 1e-3, "head": 1e-3})
    messages = " ".join(finding.message for finding in check(TransferPlan("net", "by hand", (phase,)), groups))
    assert "gives block 1 of 2 (blocks.0) the learning rate 0.5" in messages
    assert "freezes block 2 of 2 (blocks.1) above" in messages
    low = TransferPlan("net", "by hand", (phase,), head=Head(tap="blocks.0"))
    messages = " ".join(finding.message for finding in check(low, groups))
    assert "trains last layers (top), but the head sits below, on block 1 of 2 (blocks.0)" in messages
