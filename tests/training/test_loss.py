"""Class weights, label smoothing and mixup: the formulas, against torch and scikit-learn, and what they do."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from tests.training.helpers import SOLVED, after, descent, logits, make_job, run
from tl_core.label_task import SINGLE
from tl_core.plan import Loss, check
from tl_core.runs.control import MemoryControl
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.inputs import Mix, PreparedInputs
from tl_core.training.parts import make_parts, objective_of

WHOLE = {"image": ["stem", "middle", "top", "head"], "text": ["embeddings", "layer.0", "layer.1", "head"]}


def job_of(dataset, loss, phases=None, **fields):
    job = make_job(dataset, phases or [SOLVED, descent(WHOLE[dataset.modality], 1)], **fields)
    return dataclasses.replace(job, plan=dataclasses.replace(job.plan, loss=loss))


def step_output(dataset, loss, seed=3):
    """The objective's output for a batch, the scores of the batch as it is, the parts of the run, and the rows."""
    parts = make_parts(job_of(dataset, loss), MemoryControl())
    rows = dataset.rows("train")[:8]
    parts.freezer.training_mode(())
    inputs = parts.provider.prepared(0)
    torch.manual_seed(seed)
    return objective_of(parts, 1).forward(inputs, rows), inputs.logits(parts.model, rows), parts, rows


def test_balanced_weights_are_scikit_learns():
    labels = np.repeat([0, 1, 3], [40, 7, 2])
    weights = SINGLE.weights("balanced", torch.from_numpy(labels), 4)
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    np.testing.assert_allclose(weights[[0, 1, 3]], expected, rtol=1e-6)
    assert weights[2] == 0, "a class without items"
    assert SINGLE.weights("none", torch.from_numpy(labels), 4) is None


def uneven(dataset, keep=3):
    """The data set with few training items of its first class."""
    train_rows = dataset.rows("train")
    rare = train_rows[dataset.labels[train_rows] == 0][keep:]
    return np.setdiff1d(train_rows, rare)


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
def test_a_balanced_head_is_scikit_learns_balanced_logistic_regression(data, request):
    dataset, l2 = request.getfixturevalue(data), 0.1
    rows = uneven(dataset)
    solved = dataclasses.replace(SOLVED, epochs=200, weight_decay=l2)
    results = {}
    for kind in ("balanced", "none"):
        job = job_of(dataset, Loss(kind), [solved], folder=kind, train_rows=rows.tolist())
        run(job)
        results[kind] = after(job), job
    model, job = results["balanced"]
    list(job.store.probe(dataset, job.spec))
    features = (job.store.features(dataset, job.spec) - model.head.mean.numpy()) / model.head.std.numpy()
    oracle = LogisticRegression(C=1 / (l2 * len(rows)), class_weight="balanced", tol=1e-10, max_iter=20_000)
    oracle.fit(features[rows], dataset.labels[rows])
    expected = oracle.predict_proba(features)
    everything = np.arange(len(dataset.items))
    probabilities = {k: logits(m, j, everything).softmax(dim=1).numpy() for k, (m, j) in results.items()}
    np.testing.assert_allclose(probabilities["balanced"], expected, atol=2e-3)
    assert probabilities["balanced"][:, 0].mean() > probabilities["none"][:, 0].mean(), "the rare class counts for more"


def test_smoothing_is_torchs_formula_by_hand(tiny_images):
    smoothing = 0.2
    output, scores, parts, rows = step_output(tiny_images, Loss(label_smoothing=smoothing))
    truth = torch.nn.functional.one_hot(parts.rows.labels_of(rows), 3).float()
    target = truth * (1 - smoothing) + smoothing / 3
    torch.testing.assert_close(output.loss, -(target * scores.log_softmax(dim=1)).sum(dim=1).mean())
    torch.testing.assert_close(
        output.loss, torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(scores, truth.argmax(dim=1))
    )


def test_weighted_fine_tuning_is_torchs_weighted_mean(tiny_images):
    output, scores, parts, rows = step_output(tiny_images, Loss("balanced"))
    labels = parts.rows.labels_of(rows)
    train_labels = tiny_images.labels[tiny_images.rows("train")]
    weights = torch.tensor(compute_class_weight("balanced", classes=np.arange(3), y=train_labels)).float()
    losses_B = -scores.log_softmax(dim=1)[torch.arange(len(rows)), labels]
    torch.testing.assert_close(output.loss, (weights[labels] * losses_B).sum() / weights[labels].sum())


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
def test_mixup_is_the_papers_formula(data, request):
    dataset = request.getfixturevalue(data)
    output, _, parts, rows = step_output(dataset, Loss(mixup=0.4), seed=5)
    torch.manual_seed(5)  # the same draws: Zhang et al. 2018, equation 1; the larger share, which pairs make the same
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    order, share = torch.randperm(len(rows)), max(share, 1 - share)
    inputs, model = parts.provider.prepared(0), parts.model
    if dataset.modality == "image":
        (maps,) = inputs.state(model, rows)
        scores = model((share * maps + (1 - share) * maps[order],))
    else:
        pooled = inputs.features(model, rows)
        scores = model.head(share * pooled + (1 - share) * pooled[order])
    labels = torch.nn.functional.one_hot(parts.rows.labels_of(rows), len(dataset.classes)).float()
    target = share * labels + (1 - share) * labels[order]
    torch.testing.assert_close(output.loss, -(target * scores.log_softmax(dim=1)).sum(dim=1).mean())
    assert 0.5 <= share < 1


def test_the_smallest_alpha_hardly_mixes(tiny_images):
    for seed in range(20):
        mixed = step_output(tiny_images, Loss(mixup=1e-4), seed=seed)[0]
        assert mixed.mix.share > 0.99


def test_validation_is_neither_mixed_nor_smoothed(tiny_images, monkeypatch):
    mixed = []
    learn = PreparedInputs.forward
    monkeypatch.setattr(
        PreparedInputs,
        "forward",
        lambda self, model, rows, mix=None: (mixed.append(mix), learn(self, model, rows, mix))[1],
    )
    job = job_of(tiny_images, Loss("balanced", 0.3, 0.5), [descent(WHOLE["image"], 1)])
    events = run(job)
    assert all(isinstance(mix, Mix) for mix in mixed)
    validation = [event.validation for event in events if hasattr(event, "validation")][-1]
    rows = tiny_images.rows("validation")
    truth = torch.tensor(tiny_images.labels[rows])
    plain = torch.nn.functional.cross_entropy(logits(after(job), job, rows), truth).item()
    assert validation["loss"] == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("name", [n for n in STRATEGIES if hasattr(STRATEGIES[n].options(), "mixup")])
def test_every_strategy_that_tunes_offers_them_and_leaves_them_off(name):
    task_info = TaskInfo("net", "image", ("stem", "b0", "b1", "top"), 100, 3, 30)
    assert STRATEGIES[name].make(task_info).loss == Loss()
    chosen = {"class_weights": "balanced", "label_smoothing": 0.1, "mixup": 0.2, "augment": "strong"}
    plan = STRATEGIES[name].make(task_info, chosen)
    assert plan.loss == Loss("balanced", 0.1, 0.2)
    assert plan.augment.policy == "strong"
    assert check(plan, task_info.groups) == ()
