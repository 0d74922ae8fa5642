import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.advice.advice import Advice, Domain
from tl_core.advice.cost import estimate, estimate_for, trainable_parameters
from tl_core.advice.probe_report import ProbeReport, TapScore
from tl_core.advice.rules import advise, domain_of, rule_for, task_info_for
from tl_core.advice.tables import per_class_row
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.speed import Speed
from tl_core.data.profile import ClassCount, Profile, profile
from tl_core.data.quality import Duplicates
from tl_core.plan import Phase, Reason, TransferPlan, check
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import Estimate, dump, load

IMAGE, TEXT = BACKBONES["efficientnet_lite0"], BACKBONES["all_minilm_l6_v2"]


def profile_of(per_class, classes, modality="image"):
    held = round(per_class * 0.18)
    counts = tuple(ClassCount(f"c{i}", per_class - held, held, 5) for i in range(classes))
    total = sum(c.total for c in counts)
    return Profile("f", "data", modality, total, counts, 1.0, (), Duplicates(0, 0, 0, 0), (), (), 0, 0)


def estimate_of(value):
    return Estimate(value, value - 0.02, min(1.0, value + 0.02), 500, "5-fold cross-validation")


def probe_of(spec, accuracy=0.8, tap=None, shift=None):
    names = [group.name for group in spec.groups]
    scores = tuple(TapScore(n, "mean" if n == names[-1] else "mean_std", estimate_of(accuracy), 0.05) for n in names)
    return ProbeReport(
        "f", spec.name, "s", 500, 3, 5, scores, tap, "mean_std" if tap else "mean", 0.05, 0.02, estimate_of(accuracy),
        0.4, {"stem": shift} if shift is not None else {},
    )  # fmt: skip


def speed_of(spec, seconds=0.02):
    names = [group.name for group in spec.groups]
    tokens = 128 if spec.modality == "text" else 0
    per_item = {name: seconds / len(names) for name in names}
    return Speed(spec.name, per_item, seconds * 0.9, seconds * 1.2, 3.0, 10, tokens, "cpu", 2)


def domain(similarity):
    return Domain(similarity, Reason("x", "y"))


@pytest.mark.parametrize(
    ("items", "strategy"),
    [(1, "feature_extraction"), (99, "feature_extraction"), (99.9, "feature_extraction"), (100, "partial"),
     (999, "partial"), (1000, "discriminative"), (10_000, "discriminative"), (10_001, "full"), (10**7, "full")],
)  # fmt: skip
def test_items_a_class_at_every_threshold(items, strategy):
    assert per_class_row(items).strategy == strategy


def test_an_item_of_several_labels_counts_for_each_of_them(tiny_multilabel):
    """A class is learned from all its items, whatever other labels they have."""
    multilabel = profile(tiny_multilabel)
    rows = tiny_multilabel.rows("train", "validation")
    task_info = task_info_for(multilabel, TEXT)
    assert task_info.total == len(rows)
    assert task_info.per_class == tiny_multilabel.targets[rows].sum() / 3 > task_info.total / 3
    single = task_info_for(profile_of(80, 4), TEXT)
    assert single.per_class == single.total / 4 == 80


@pytest.mark.parametrize(
    ("total", "classes", "similarity", "strategy"),
    [
        (999, 20, "similar", "feature_extraction"),
        (999, 20, "different", "lower_layers"),
        (999, 3, "different", "lower_layers"),
        (999, 3, "similar", "partial"),
        (999, 3, "not measured", "partial"),
        (1000, 3, "different", "partial"),
        (1000, 20, "different", "feature_extraction"),
        (10_000, 3, "different", "discriminative"),
        (10_001, 200, "different", "discriminative"),
        (10_001, 200, "similar", "feature_extraction"),
        (50_000, 2, "similar", "full"),
        (50_000, 2, "different", "discriminative"),
        (50_000, 2, "very different", "from_scratch"),
        (500, 2, "very different", "lower_layers"),
    ],
)
def test_the_rule_by_size_and_domain(total, classes, similarity, strategy):
    task_info = TaskInfo("net", "image", (), total, classes, total // classes)
    assert rule_for(task_info, domain(similarity)).strategy == strategy


@pytest.mark.parametrize(
    ("shift", "similarity"),
    [(0.20, "similar"), (0.26, "similar"), (0.39, "different"), (0.60, "different"), (1.5, "very different")],
)
def test_the_domain_from_the_shift(shift, similarity):
    domain = domain_of(IMAGE, probe_of(IMAGE, shift=shift))
    assert (domain.similarity, domain.measured) == (similarity, shift)


def test_the_domain_of_texts_comes_from_the_depth_and_a_person_may_overrule():
    assert domain_of(TEXT, None).similarity == "not measured"
    assert domain_of(TEXT, probe_of(TEXT)).similarity == "similar"
    assert domain_of(TEXT, probe_of(TEXT, tap=TEXT.groups[2].name)).similarity == "different"
    assert domain_of(TEXT, probe_of(TEXT), "different").similarity == "different"
    assert domain_of(IMAGE, probe_of(IMAGE, shift=0.9), "similar").similarity == "similar"


def test_before_the_probe_the_rule_decides():
    advice = advise(profile_of(300, 3), IMAGE)
    assert advice.strategy == advice.rule == "partial"
    assert all(card.seconds is None and "not measured yet" in card.note for card in advice.cards)
    assert advice.domain.similarity == "not measured"


def test_the_probe_moves_the_head_and_a_finding_says_so():
    advice = advise(profile_of(50, 3), IMAGE, probe_of(IMAGE, tap="blocks.4", shift=0.2))
    assert (advice.rule, advice.strategy) == ("feature_extraction", "lower_layers")
    assert advice.plan.head.tap == "blocks.4"
    assert "evidence-depth" in [finding.code for finding in advice.findings]
    back = advise(profile_of(50, 3), IMAGE, probe_of(IMAGE, shift=0.6))
    assert (back.rule, back.strategy) == ("lower_layers", "feature_extraction")


@pytest.mark.parametrize(
    ("per_class", "accuracy", "seconds", "says"),
    [
        (900, 0.97, 0.001, "little to gain"),
        (150, 0.80, 0.001, "too few to tell"),
        (900, 0.80, None, "not measured yet"),
        (900, 0.80, 0.5, "minutes"),
    ],
)
def test_fine_tuning_is_not_recommended_where_measurement_or_time_speak_against_it(per_class, accuracy, seconds, says):
    speed = speed_of(IMAGE, seconds) if seconds else None
    advice = advise(profile_of(per_class, 3), IMAGE, probe_of(IMAGE, accuracy, shift=0.2), speed)
    assert (advice.rule, advice.strategy) == ("partial", "feature_extraction")
    (finding,) = [finding for finding in advice.findings if finding.code == "evidence-over-rule"]
    assert says in finding.message
    assert advice.card("partial").options["reach"] == "two"


def test_fine_tuning_is_recommended_where_it_can_gain_be_judged_and_fits_the_time():
    advice = advise(profile_of(900, 3), IMAGE, probe_of(IMAGE, 0.8, shift=0.2), speed_of(IMAGE, 0.002))
    assert advice.strategy == "partial"
    assert any("fits the time" in reason.text for reason in advice.reasons)


def test_all_layers_learn_from_texts_where_time_allows_and_the_upper_ones_where_not():
    def advised(seconds, spec=TEXT, **more):
        probe = probe_of(spec, 0.8, shift=None if spec is TEXT else 0.2)
        return advise(profile_of(900, 3, spec.modality), spec, probe, speed_of(spec, seconds), **more)

    quick = advised(0.002)
    assert (quick.rule, quick.strategy) == ("full", "full")
    full, partial = (quick.card(name).seconds.value for name in ("full", "partial"))
    assert partial < full
    between = advised(0.002, time_budget=(partial + full) / 2)
    assert (between.rule, between.strategy) == ("partial", "partial")
    assert between.card("partial").options["reach"] == "two"
    assert advised(0.002, time_budget=partial / 2).strategy == "feature_extraction"
    assert advised(0.002, IMAGE).strategy == "partial"
    messages = [
        next(f.message for f in advice.findings if f.code == "sources-text-all-layers") for advice in (quick, between)
    ]
    assert "which is so here" in messages[0]
    assert "which is not known here" in messages[1]


def test_few_texts_get_contrastive_tuning_where_it_can_gain_and_time_allows():
    def chosen(per_class=50, spec=TEXT, accuracy=0.7, seconds=0.02):
        speed = speed_of(spec, seconds) if seconds else None
        return advise(profile_of(per_class, 3, spec.modality), spec, probe_of(spec, accuracy, shift=None), speed)

    advice = chosen()
    assert (advice.rule, advice.strategy) == ("feature_extraction", "contrastive")
    assert any("LOG.md" in reason.source and "MiniLM" in reason.text for reason in advice.reasons)
    assert "few-texts" in [finding.code for finding in advice.findings]
    against = ({"accuracy": 0.96}, {"seconds": None}, {"seconds": 5.0}, {"spec": IMAGE}, {"per_class": 5})
    assert {chosen(**case).strategy for case in against} == {"feature_extraction"}
    assert chosen(per_class=150, seconds=0.005).strategy == "contrastive"
    assert chosen(per_class=400).strategy != "contrastive"


def test_disagreeing_sources_make_findings():
    codes = {f.code for f in advise(profile_of(150, 3, "text"), TEXT, probe_of(TEXT)).findings}
    assert {"sources-total-or-class", "sources-freeze-share", "sources-text-all-layers"} <= codes
    assert "sources-rate-decay" in {f.code for f in advise(profile_of(2000, 3), IMAGE, probe_of(IMAGE)).findings}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 20_000),
    st.integers(2, 30),
    st.sampled_from((IMAGE, TEXT)),
    st.sampled_from((None, "similar", "different")),
    st.none() | st.tuples(st.sampled_from((0.6, 0.99)), st.none() | st.integers(0, 5), st.floats(0.05, 2)),
    st.booleans(),
)
def test_all_advice_is_whole(per_class, classes, spec, similarity, probed, timed):
    profile = profile_of(per_class, classes, spec.modality)
    probe = None
    if probed:
        accuracy, cut, shift = probed
        tap = None if cut is None else spec.groups[cut].name
        probe = probe_of(spec, accuracy, tap, shift if spec.modality == "image" else None)
    advice = advise(profile, spec, probe, speed_of(spec) if timed else None, similarity)
    groups = [group.name for group in spec.groups]
    assert {card.strategy for card in advice.cards} == set(STRATEGIES)
    assert advice.cards[0].strategy == advice.strategy
    assert advice.cards[0].plan == advice.plan
    for card in advice.cards:
        assert check(card.plan, groups, list(BACKBONES)) == ()
        assert (card.seconds is None) == (not timed)
    task_info = task_info_for(profile, spec, probe, similarity=similarity)
    caveats = STRATEGIES[advice.strategy].caveats(task_info, advice.options)
    assert [finding for finding in caveats if finding.level != "info"] == [], "advised in spite of a caveat"
    assert all(reason.text and reason.source for reason in advice.reasons)
    assert load(Advice, json.loads(json.dumps(dump(advice), allow_nan=False))) == advice
    assert (
        STRATEGIES[advice.strategy].make(task_info_for(profile, spec, probe), advice.options).phases
        == advice.plan.phases
    )


def seconds_of(name, spec=IMAGE, n=700, options=None, tokens=0.0):
    plan = STRATEGIES[name].make(task_info_for(profile_of(n // 3, 3), spec), options)
    return estimate(plan, spec, speed_of(spec), n, 3, tokens)[0]


def test_the_card_costs_what_the_plan_costs():
    texts = dataclasses.replace(profile_of(120, 3, "text"), typical_tokens=56.0)
    speed = speed_of(TEXT)
    for card in advise(texts, TEXT, probe_of(TEXT), speed).cards:
        assert (card.seconds, card.memory) == estimate_for(card.plan, TEXT, speed, texts)
        by_hand = estimate(card.plan, TEXT, speed, texts.n_train, 3, 56.0)
        assert (card.seconds, card.memory) == by_hand, "the typical length, and not the longest"


def test_blocks_that_may_be_skipped_cost_at_most_what_they_cost_and_may_cost_nothing():
    one, three = (seconds_of("gradual", options={"steps": steps}) for steps in (1, 3))
    assert three.value > one.value
    assert three.low == one.low, "at best, the second and third block are skipped"
    assert three.method.endswith("if no phase stops early or is skipped")
    assert one.method.endswith("if no phase stops early")


def test_the_reason_for_fine_tuning_names_the_condition_of_its_minutes():
    advice = advise(profile_of(3000, 3), IMAGE, probe_of(IMAGE), speed_of(IMAGE, 1e-4))
    (reason,) = [reason.text for reason in advice.reasons if "fits the time" in reason.text]
    assert reason.endswith("minutes if no phase stops early.") or reason.endswith("minute if no phase stops early.")


HEAD_PHASE = Phase("head", 5, {"head": 1e-3})
LAST = Phase("last", 5, {"blocks.6": 1e-4, "head": 1e-3})
NEXT = Phase("next", 5, {"blocks.5": 1e-4, "blocks.6": 1e-4, "head": 1e-3})


@pytest.mark.parametrize(
    ("phases", "validation", "skips"),
    [
        ((HEAD_PHASE, LAST), True, True),
        ((HEAD_PHASE, LAST), False, False),
        ((HEAD_PHASE, dataclasses.replace(LAST, fit_on="train+validation")), True, False),
        ((HEAD_PHASE, dataclasses.replace(LAST, objective="contrastive")), True, False),
        ((LAST,), True, False),
        ((), True, False),
    ],
    ids=["judged", "no validation items", "learns from validation", "no labels", "the first score", "the first phase"],
)
def test_the_least_time_leaves_out_a_phase_only_where_the_run_may_skip_it(phases, validation, skips):
    """As the trainer decides: only after a phase that validation items judge, and that has a score to beat."""
    profile = profile_of(100, 3)
    if not validation:
        profile = dataclasses.replace(
            profile, classes=tuple(dataclasses.replace(count, validation=0) for count in profile.classes)
        )
    lows = []
    for only_if_better in (False, True):
        last = dataclasses.replace(NEXT, only_if_better=only_if_better)
        plan = TransferPlan(IMAGE.name, "by hand", (*phases, last))
        lows.append(estimate_for(plan, IMAGE, speed_of(IMAGE), profile)[0].low)
    assert (lows[1] < lows[0]) == skips


def test_the_least_time_has_no_early_stop_where_nothing_judges():
    profile = profile_of(100, 3)
    unjudged = dataclasses.replace(LAST, fit_on="train+validation")
    lows = []
    for patience in (None, 1):
        plan = TransferPlan(IMAGE.name, "by hand", (dataclasses.replace(unjudged, patience=patience),))
        lows.append(estimate_for(plan, IMAGE, speed_of(IMAGE), profile)[0].low)
    assert lows[0] == lows[1]


def test_time_follows_what_has_to_run():
    head, partial, full = seconds_of("feature_extraction"), seconds_of("partial"), seconds_of("full")
    assert head.value < partial.value < full.value
    assert seconds_of("full", n=1400, options={"epochs": 12}).value == pytest.approx(2 * full.value, rel=0.1)
    fit = 2 * 700 * 0.02 * (1 + 0.2)  # statistics, then features for the head, each judged
    by_hand = 12 * 700 * 0.02 * (3.0 + 0.2) + fit
    assert full.value == pytest.approx(by_hand, rel=0.05)
    assert full.low < full.value < full.high
    assert seconds_of("full", TEXT, tokens=64).value < seconds_of("full", TEXT, tokens=128).value


def test_the_time_of_pairs_follows_the_draws_and_not_the_items():
    per_item = 0.02 * 64 / 128
    few, many = (seconds_of("contrastive", TEXT, options={"batches": n}, tokens=64) for n in (40, 400))
    assert many.value - few.value == pytest.approx((6400 - 640) * per_item * 3.0, rel=0.05)
    twice = seconds_of("contrastive", TEXT, n=1400, options={"batches": 400}, tokens=64)
    assert twice.value - many.value == pytest.approx(700 * 1.2 * per_item, rel=0.15), "features of each item, once"
    passes = [seconds_of("domain_adaptive", TEXT, options={"passes": n}, tokens=64).value for n in (10, 20)]
    assert passes[1] - passes[0] == pytest.approx(10 * 700 * per_item * 3.0, rel=0.05)


def test_memory_and_parameters_follow_what_learns():
    task_info = task_info_for(profile_of(200, 3), IMAGE)
    plans = [STRATEGIES[name].make(task_info) for name in ("feature_extraction", "partial", "full")]
    learning = [trainable_parameters(plan, IMAGE, 3) for plan in plans]
    assert learning == [1281 * 3, 1281 * 3 + 605_440 + 412_160, 1281 * 3 + IMAGE.parameters]
    memory = [estimate(plan, IMAGE, speed_of(IMAGE), 420, 3)[1].value for plan in plans]
    assert memory == sorted(memory)
    assert len(set(memory)) == 3
