import pytest

from tl_core.errors import PlanError
from tl_core.plan import Head
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.strategies.recipes import RULE_OF_THUMB, batch_size, layerwise_decay, top_groups

GROUPS = ("stem", "b0", "b1", "b2", "b3", "top")


def task_info(**changes):
    known = {"backbone": "net", "modality": "image", "groups": GROUPS, "n_train": 700, "n_classes": 5}
    return TaskInfo(**(known | {"per_class_min": 100, "l2": 0.3, "last_l2": 0.02, "tap": "b1"} | changes))


def make(name, options=None, **changes):
    return STRATEGIES[name].make(task_info(**changes), options)


def test_feature_extraction_solves_the_head_on_everything_but_the_test_items():
    plan = make("feature_extraction")
    (phase,) = plan.phases
    assert (phase.optimizer, phase.fit_on, phase.weight_decay) == ("lbfgs", "train+validation", 0.02)
    assert plan.head == Head()


def test_a_small_network_is_trained_with_early_stopping():
    plan = make("feature_extraction", {"head": "mlp", "hidden": 64, "dropout": 0.5})
    assert plan.head == Head("mlp", 64, 0.5)
    assert (plan.phases[0].optimizer, plan.phases[0].patience, plan.phases[0].fit_on) == ("adamw", 10, "train")


def test_lower_layers_sit_where_the_probe_says_else_in_the_middle():
    probed = make("lower_layers")
    assert (probed.head.tap, probed.head.pool, probed.phases[0].weight_decay) == ("b1", "mean_std", 0.3)
    assert make("lower_layers", tap=None).head.tap == "b1"
    assert make("lower_layers", tap="b3").head.tap == "b3"
    assert make("lower_layers", tap="top").head.tap == "b1"
    assert make("lower_layers", {"tap": "stem"}).head.tap == "stem"
    with pytest.raises(PlanError, match="cut after"):
        make("lower_layers", {"tap": "nowhere"})


@pytest.mark.parametrize(
    ("reach", "trained"), [("one", ["top"]), ("two", ["b3", "top"]), ("half", ["b2", "b3", "top"])]
)
def test_partial_thaws_the_last_blocks(reach, trained):
    head, tuning = make("partial", {"reach": reach}).phases
    assert list(head.lr) == ["head"]
    assert head.fit_on == "train", "validation must still judge the fine-tuning"
    assert list(tuning.lr) == [*trained, "head"]


def test_gradual_thaws_one_more_block_each_phase():
    phases = make("gradual", {"steps": 3}).phases[1:]
    assert [set(phase.lr) - {"head"} for phase in phases] == [{"top"}, {"b3", "top"}, {"b2", "b3", "top"}]
    assert all(phase.patience == 2 for phase in phases)
    assert [phase.only_if_better for phase in phases] == [False, True, True]
    assert len(make("gradual", {"steps": 14}).phases) == 1 + len(GROUPS)
    (rule,) = [reason for reason in make("gradual", {"steps": 3}).why if "only if" in reason.text]
    assert rule.text == "A phase is trained only if the last one improved the best validation score."
    assert rule.source == RULE_OF_THUMB


def test_discriminative_rates_fall_by_the_published_formula():
    tuning = make("discriminative", {"decay": 0.5}).phases[1]
    for level, group in enumerate(GROUPS):
        assert tuning.lr[group] == pytest.approx(1e-4 * 0.5 ** (len(GROUPS) - 1 - level))
    assert list(make("discriminative", {"reach": "half"}).phases[1].lr) == ["b2", "b3", "top", "head"]


def test_usual_rates_follow_the_modality():
    assert make("full").phases[1].lr["stem"] == 1e-4
    assert make("full", modality="text").phases[1].lr["stem"] == 3e-5
    assert make("full", {"scale": 2.0}).phases[1].lr["stem"] == 2e-4
    assert make("lp_ft").phases[1].lr["stem"] < make("full").phases[1].lr["stem"]


def test_from_scratch_starts_at_random_and_trains_everything():
    plan = make("from_scratch")
    assert plan.init == "random"
    assert list(plan.phases[0].lr) == [*GROUPS, "head"]
    assert plan.phases[0].schedule == "one_cycle"


def test_contrastive_learns_pairs_before_its_head_from_all_labelled_items():
    pairs, head = make("contrastive", {"batches": 60, "reach": "half"}).phases
    assert (pairs.objective, head.objective, head.optimizer) == ("contrastive", "labels", "lbfgs")
    assert list(pairs.lr) == ["b2", "b3", "top"], "the head has no part in it"
    assert pairs.epochs * pairs.draws == 60 * 16
    assert pairs.fit_on == head.fit_on == "train+validation", "validation chooses nothing here"
    assert make("contrastive", {"scale": 2.0}).phases[0].lr["stem"] == 2 * make("contrastive").phases[0].lr["stem"]


def test_contrastive_takes_larger_batches_in_smaller_steps_where_few_are_labelled():
    few, more = (make("contrastive", n_train=n, n_validation=4) for n in (59, 60))
    assert (few.batch_size, more.batch_size) == (32, 16)
    assert few.phases[0].draws == 2 * more.phases[0].draws
    assert few.phases[0].lr["stem"] == pytest.approx(more.phases[0].lr["stem"] / 2)


def test_domain_adaptive_fills_in_then_learns_the_labels():
    masked, head, tuning = make("domain_adaptive", {"adapt": "half", "passes": 7, "reach": "one"}).phases
    assert (masked.objective, masked.epochs, list(masked.lr)) == ("masked", 7, ["b2", "b3", "top"])
    assert (head.optimizer, head.fit_on) == ("lbfgs", "train")
    assert list(tuning.lr) == ["top", "head"]
    masked, head = make("domain_adaptive", {"reach": "none"}).phases
    assert head.fit_on == "train+validation", "nothing is left for the validation items to judge"


@pytest.mark.parametrize(
    ("n", "size"), [(10, 8), (63, 8), (64, 16), (1999, 16), (2000, 32), (19_999, 32), (20_000, 64)]
)
def test_batches_grow_with_the_data(n, size):
    assert batch_size(task_info(n_train=n)) == size


def test_helpers():
    assert top_groups(("a", "b", "c"), "half") == ("b", "c")
    assert top_groups(("a",), "two") == ("a",)
    assert layerwise_decay(("a", "b"), 1e-4, 0.4, head=1e-3) == {"a": 4e-5, "b": 1e-4, "head": 1e-3}


@pytest.mark.parametrize("name", ["partial", "full", "gradual", "lp_ft", "discriminative", "wise_ft"])
def test_fine_tuning_recalibrates_normalisation_for_pictures_and_not_for_texts(name):
    for modality in ("image", "text"):
        tuning = STRATEGIES[name].make(task_info(modality=modality)).phases[1:]
        assert tuning
        assert all(phase.recalibrate_norm == (modality == "image") for phase in tuning)
    assert not any(phase.recalibrate_norm for phase in STRATEGIES["lora"].make(task_info(modality="image")).phases)
