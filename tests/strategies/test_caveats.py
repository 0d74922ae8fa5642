"""One test for each caveat: on one side of its border and on the other."""

import math

import pytest

from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.strategies.caveats import hard_to_judge, too_few

GROUPS = ("stem", "b0", "b1", "top")
TUNING = (
    "contrastive", "discriminative", "distil", "domain_adaptive", "feature_extraction", "from_scratch", "full",
    "gradual", "lora", "lower_layers", "lp_ft", "partial", "wise_ft",
)  # fmt: skip
FINE_TUNING = ("discriminative", "distil", "full", "gradual", "lora", "lp_ft", "partial", "wise_ft")


def task_info(**changes):
    known = {"backbone": "net", "modality": "image", "groups": GROUPS, "n_train": 3000, "n_classes": 10}
    return TaskInfo(**(known | {"per_class_min": 50, "n_validation": 600} | changes))


def codes(name, options=None, **changes):
    return {f.code.removeprefix("caveat-"): f.level for f in STRATEGIES[name].caveats(task_info(**changes), options)}


def test_every_strategy_is_covered_here():
    assert set(TUNING) == set(STRATEGIES)


@pytest.mark.parametrize("name", FINE_TUNING)
def test_fine_tuning_on_twenty_items_has_a_caveat_and_is_still_planned(name):
    few = {"n_train": 16, "n_validation": 4, "n_classes": 2}
    assert codes(name, **few)["few-items"] == "warn"
    assert STRATEGIES[name].make(task_info(**few)).phases
    assert "few-items" not in codes(name)


def test_few_means_both_in_all_and_a_class():
    assert too_few(task_info(n_train=799, n_validation=200, n_classes=10))
    assert not too_few(task_info(n_train=800, n_validation=200, n_classes=11))
    assert not too_few(task_info(n_train=150, n_validation=50, n_classes=2))
    assert too_few(task_info(n_train=150, n_validation=49, n_classes=2))
    assert "arXiv:2006.05987" in too_few(task_info(n_train=10, modality="text")).hint
    assert "cs231n" in too_few(task_info(n_train=10)).hint


@pytest.mark.parametrize("n", [1, 16, 99])
def test_validation_items_too_few_to_judge_state_the_interval(n):
    finding = hard_to_judge(task_info(n_validation=n))
    assert finding.level == "info"
    assert f"about {196 * math.sqrt(0.16 / n):.0f} points" in finding.message
    assert not hard_to_judge(task_info(n_validation=100))
    assert not hard_to_judge(task_info(n_validation=0)), "not known"


def test_partial_fine_tuning_of_all_blocks_or_on_a_distant_domain():
    assert codes("partial", {"reach": "two"}, groups=("a", "b")) == {"all-of-it": "warn"}
    assert codes("partial", {"reach": "one"}, groups=("a", "b")) == {}
    assert codes("partial", similarity="very different") == {"far": "info"}
    assert codes("partial", similarity="different") == {}


def test_rates_that_cannot_fall():
    assert codes("discriminative", {"decay": 1.0}) == {"no-fall": "info"}
    assert codes("discriminative", {"reach": "half"}, groups=("a", "b")) == {"no-fall": "info"}
    assert codes("discriminative") == {}


def test_gradual_needs_blocks_to_thaw():
    assert codes("gradual", groups=("a", "b")) == {"few-blocks": "warn"}
    assert codes("gradual", groups=("a", "b", "c")) == {}
    assert codes("gradual", {"steps": 1}) == {"one-step": "info"}


@pytest.mark.parametrize(("name", "code"), [("lp_ft", "poor-features"), ("wise_ft", "poor-start")])
def test_keeping_features_that_do_not_fit(name, code):
    assert codes(name, similarity="very different") == {code: "info"}
    assert codes(name, similarity="similar") == {}


def test_frozen_features_for_much_data_of_a_distant_domain():
    assert codes("feature_extraction", n_train=100_000, similarity="different") == {"adapt": "info"}
    assert codes("feature_extraction", n_train=100_000, similarity="similar") == {}
    assert codes("feature_extraction", n_train=9_400, similarity="different") == {}
    assert codes("feature_extraction", last_is_best=False) == {"lower": "info"}
    assert codes("feature_extraction", {"head": "mlp"}, n_classes=40) == {"free-head": "warn"}
    assert codes("feature_extraction", {"head": "mlp"}, n_classes=36) == {}


def test_lower_layers_on_a_similar_domain_unless_measured():
    assert codes("lower_layers", similarity="similar") == {"near": "warn"}
    assert codes("lower_layers", similarity="similar", last_is_best=False) == {}
    assert codes("lower_layers", similarity="different", last_is_best=True) == {"last-is-best": "warn"}
    assert codes("lower_layers", similarity="different") == {}
    assert codes("lower_layers", {"tap": "top"}) == {"no-cut": "info"}
    assert codes("lower_layers", n_train=10_000, similarity="different") == {"adapt": "info"}


def test_from_scratch_needs_data():
    assert codes("from_scratch", n_train=9_399) == {"scratch": "warn"}
    assert codes("from_scratch", n_train=9_400) == {"scratch": "info"}
    assert codes("from_scratch", n_train=100_000) == {}
    assert codes("from_scratch", n_train=100_000, modality="text") == {"scratch": "info"}
    assert codes("from_scratch", n_train=2_000_000, modality="text") == {}


def test_masked_pretraining_needs_a_second_data_set_of_another_domain():
    text = {"modality": "text"}
    assert codes("domain_adaptive", **text) == {"no-target": "warn"}
    assert codes("domain_adaptive", has_target=True, **text) == {}
    assert codes("domain_adaptive", has_target=True, similarity="similar", **text) == {"near": "info"}
    assert codes("domain_adaptive", has_target=True) == {"masked-pictures": "info"}
    few = {"n_train": 20, "n_validation": 0, "has_target": True}
    assert codes("domain_adaptive", **few, **text) == {"few-items": "warn", "tried": "info"}
    assert codes("domain_adaptive", {"reach": "none"}, **few, **text) == {"tried": "info"}
    assert codes("domain_adaptive", {"reach": "none"}, **few) == {"masked-pictures": "info"}


def test_pairs_are_for_few_labelled_texts():
    few = {"modality": "text", "n_train": 100, "n_validation": 20, "n_classes": 2}
    assert codes("contrastive", **few) == {}
    assert codes("contrastive", **few | {"per_class_min": 1}) == {"no-pair": "warn"}
    assert codes("contrastive", **few | {"n_train": 980}) == {"many-labels": "warn", "unseen": "info"}
    assert codes("contrastive", {"batches": 64}, **few | {"n_train": 979}) == {}
    assert codes("contrastive", **few | {"modality": "image"}) == {"pictures": "info"}


def test_adapters_on_a_small_network():
    assert codes("lora", parameters=4_000_000) == {"small-network": "warn"}
    assert codes("lora", parameters=22_000_000, modality="text") == {"small-network": "info"}
    assert codes("lora", parameters=110_000_000) == codes("lora", parameters=0) == {}
