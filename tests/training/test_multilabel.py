"""Several labels an item: the solved head against scikit-learn, training, and exact resuming."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from tests.training.helpers import SOLVED, after, descent, epochs, logits, make_job, run
from tests.training.test_convex import scaled
from tests.training.test_resume import same_as_whole
from tl_core.errors import PlanError
from tl_core.label_task import MULTI
from tl_core.plan import Head, Loss, Penalty, Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import RunEnded
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.convex import Solvable, Solver
from tl_core.training.job import Teacher
from tl_core.training.loop import train
from tl_core.training.model import HeadLayers
from tl_core.training.parts import make_parts, objective_of

WHOLE = ("embeddings", "layer.0", "layer.1", "head")


def with_loss(job, **fields):
    return replace(job, plan=replace(job.plan, loss=Loss(**fields)))


@pytest.mark.parametrize("labels", [1, 2, 4])
@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("l2", [1e-3, 0.1])
def test_the_solved_head_is_one_logistic_regression_a_label(labels, weights, l2):
    draw = np.random.default_rng(labels)
    targets = (draw.random((90, labels)) < 0.4).astype(np.float32)
    features = draw.normal(0, 1, (90, 12)).astype(np.float32) + targets @ draw.normal(0, 1, (labels, 12))
    features = features.astype(np.float32)
    head = HeadLayers(12, labels, Head())
    head.standardise(torch.from_numpy(features))
    truth = torch.from_numpy(targets)
    solver = Solver(head, Solvable(torch.from_numpy(features), truth, MULTI.weights(weights, truth, labels)), l2, True)
    assert any(solver.iterate()[1] for _ in range(50))
    how = "balanced" if weights == "balanced" else None
    oracle = LogisticRegression(C=1 / (l2 * 90), tol=1e-10, max_iter=20_000, class_weight=how)
    oracle = OneVsRestClassifier(oracle).fit(scaled(features), targets if labels > 1 else targets[:, 0])
    expected = np.stack([one.coef_[0] for one in oracle.estimators_])
    np.testing.assert_allclose(head.out.weight.detach().numpy(), expected, rtol=2e-3, atol=2e-3)
    predicted = MULTI.probabilities(head(torch.from_numpy(features))).detach().numpy()
    probabilities = oracle.predict_proba(scaled(features))
    np.testing.assert_allclose(predicted, probabilities if labels > 1 else probabilities[:, 1:], atol=1e-3)


def test_a_solved_run_is_one_against_the_rest_on_the_stored_features(tiny_multilabel):
    l2 = 0.02
    job = make_job(tiny_multilabel, [Phase("head", 100, {"head": 1.0}, optimizer="lbfgs", weight_decay=l2)])
    events = run(job)
    rows, features = tiny_multilabel.rows("train"), job.store.features(tiny_multilabel, job.spec)
    oracle = OneVsRestClassifier(LogisticRegression(C=1 / (l2 * len(rows)), tol=1e-10, max_iter=20_000))
    oracle.fit(scaled(features[rows]), tiny_multilabel.targets[rows])
    everything = np.arange(len(tiny_multilabel.items))
    predicted = logits(after(job), job, everything).sigmoid().numpy()
    np.testing.assert_allclose(predicted, oracle.predict_proba(scaled(features, by=features[rows])), atol=1e-3)
    last, judges = epochs(events)[-1], tiny_multilabel.rows("validation")
    right = ((predicted > 0.5) == tiny_multilabel.targets)[judges].mean()
    assert last.validation["accuracy"] == pytest.approx(right), "the share of right answers"


def test_fine_tuning_lowers_the_loss_and_the_best_epoch_is_that_of_the_lowest_loss(tiny_multilabel):
    events = run(make_job(tiny_multilabel, [descent(WHOLE, 5, rate=3e-3)]))
    done = epochs(events)
    losses = [event.validation["loss"] for event in done]
    assert done[-1].train["loss"] < done[0].train["loss"]
    kept = [event.epoch for event in done if event.best]
    assert kept[-1] == int(np.argmin(losses))


def test_the_loss_of_a_batch_is_weighted_smoothed_binary_cross_entropy_of_mixed_items(tiny_multilabel):
    job = with_loss(make_job(tiny_multilabel, [SOLVED, descent(WHOLE, 1)]), class_weights="balanced", mixup=0.4)
    parts, rows = make_parts(job, MemoryControl()), tiny_multilabel.rows("train")[:8]
    parts.freezer.training_mode(())
    inputs = parts.provider.prepared(0)
    torch.manual_seed(5)
    output = objective_of(parts, 1).forward(inputs, rows)
    torch.manual_seed(5)
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    order, share = torch.randperm(8), max(share, 1 - share)
    pooled = inputs.features(parts.model, rows)
    probabilities = parts.model.head(share * pooled + (1 - share) * pooled[order]).sigmoid()
    truth, train_targets = (
        torch.tensor(tiny_multilabel.targets[rows]),
        tiny_multilabel.targets[tiny_multilabel.rows("train")],
    )
    yes = torch.tensor(train_targets.mean(axis=0))
    expected = 0.0
    for part, targets in ((share, truth), (1 - share, truth[order])):
        weight = torch.where(targets > 0.5, 0.5 / yes, 0.5 / (1 - yes))
        losses = -(targets * probabilities.log() + (1 - targets) * (1 - probabilities).log())
        expected = expected + part * (weight * losses).mean()
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize("name", ["kl", "l2_sp", "distill"])
def test_penalties_that_make_sense_hold_on(tiny_multilabel, name):
    """A strong pull keeps the answers nearer to those that it holds on to than none does."""
    first = make_job(tiny_multilabel, [SOLVED], folder="teacher")
    run(first)
    teacher = Teacher(first.spec, first.plan, first.folder)
    distance, rows = {}, tiny_multilabel.rows("train")
    held = logits(after(first), first, rows).sigmoid()
    for strength in (0.0, 30.0):
        fields = {"teacher": teacher} if name == "distill" else {}
        phases = [SOLVED, descent(WHOLE, 3, rate=3e-3, fit_on="train+validation")]  # the last weights stay
        job = make_job(tiny_multilabel, phases, folder=f"run{strength}", **fields)
        job = replace(job, plan=replace(job.plan, penalties=(Penalty(name, strength),)))
        list(train(job, MemoryControl()))
        distance[strength] = (logits(after(job), job, rows).sigmoid() - held).abs().mean().item()
    assert distance[30.0] < 0.7 * distance[0.0]


def test_the_divergence_is_bernoullis_averaged_over_the_labels(tiny_multilabel):
    p, q = torch.tensor([[0.2, 0.9]]), torch.tensor([[0.4, 0.5]])
    log_p, log_q = (MULTI.log_outcomes(torch.logit(x)) for x in (p, q))
    divergence = torch.nn.functional.kl_div(
        log_q, log_p, reduction="batchmean", log_target=True
    ) / MULTI.answers_per_item(p)
    expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    torch.testing.assert_close(divergence, expected)


@pytest.mark.parametrize("penalty", ["ewc", "replay"])
def test_a_penalty_for_one_label_is_refused_in_a_sentence(tiny_multilabel, tiny_texts, penalty):
    job = make_job(tiny_multilabel, [SOLVED, descent(WHOLE, 1)], source=tiny_texts)
    job = replace(job, plan=replace(job.plan, penalties=(Penalty(penalty, 1.0),)))
    end = list(train(job, MemoryControl()))[-1]
    assert isinstance(end, RunEnded)
    assert end.status == "failed"
    assert "one label per item" in end.reason
    assert end.hint


def test_contrastive_tuning_is_refused_and_its_caveat_says_why(tiny_multilabel):
    task_info = TaskInfo("tiny_text", "text", ("embeddings", "layer.0", "layer.1"), 40, 3, 10, multilabel=True)
    plan = STRATEGIES["contrastive"].make(task_info)
    with pytest.raises(PlanError, match="several labels"):
        make_parts(replace(make_job(tiny_multilabel, [SOLVED]), plan=plan), MemoryControl())
    assert "several labels" in STRATEGIES["contrastive"].caveats(task_info)[0].message


def test_every_other_strategy_trains(tiny_multilabel):
    groups = ("embeddings", "layer.0", "layer.1")
    task_info = TaskInfo("tiny_text", "text", groups, len(tiny_multilabel.rows("train")), 3, 5, multilabel=True)
    teacher = make_job(tiny_multilabel, [SOLVED], folder="teacher")
    run(teacher)
    for name in STRATEGIES:
        if name == "contrastive":
            continue
        plan = STRATEGIES[name].make(task_info)
        plan = replace(plan, phases=tuple(replace(p, epochs=1) for p in plan.phases), batch_size=8)
        job = replace(make_job(tiny_multilabel, [SOLVED], folder=name), plan=plan)
        run(replace(job, teacher=Teacher(teacher.spec, teacher.plan, teacher.folder), target=tiny_multilabel))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_in_pieces_ends_with_the_bits_of_a_whole_one(tiny_multilabel, seed):
    phases = [SOLVED, descent(WHOLE, 2, rate=1e-3)]

    def make(folder):
        job = with_loss(make_job(tiny_multilabel, phases, folder=folder), class_weights="balanced", mixup=0.3)
        return replace(job, plan=replace(job.plan, penalties=(Penalty("kl", 1.0),)))

    same_as_whole(make, seed)
