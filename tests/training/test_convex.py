import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.training.helpers import after, logits, make_job, run
from tl_core.advice import linear
from tl_core.advice.linear import spread
from tl_core.plan import Head, Phase
from tl_core.training.convex import TOLERANCE, Solvable, Solver
from tl_core.training.model import HeadLayers


def scaled(features, by=None):
    """Return features in the head's units, with mean and spread taken from `by`."""
    by = (features if by is None else by).astype(np.float64)
    return (features - by.mean(axis=0)) / spread(by.var(axis=0))


def problem(classes, n=90, width=12, seed=0):
    """Overlapping classes in features of very different scales."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scale = 10.0 ** draw.uniform(-2, 2, width)
    features = (draw.normal(0, 1, (n, width)) + 0.8 * draw.normal(0, 1, (classes, width))[labels]) * scale + scale
    return features.astype(np.float32), labels


def solve(features, labels, l2, epochs=50):
    head = HeadLayers(features.shape[1], labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1, Head())
    head.standardise(torch.from_numpy(features))
    solver = Solver(head, Solvable(torch.from_numpy(features), torch.from_numpy(labels)), l2, fresh=True)
    solved = any(solver.iterate()[1] for _ in range(epochs))
    return head, solved


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_the_solution_is_scikit_learns(classes, l2):
    features, labels = problem(classes)
    head, solved = solve(features, labels, l2)
    oracle = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-10, max_iter=20_000)
    oracle.fit(scaled(features), labels)
    weight, bias = head.out.weight.detach().numpy(), head.out.bias.detach().numpy()
    if classes == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    assert solved
    off = 2e-4 + TOLERANCE / l2  # the objective curves by at least l2: what a gradient within TOLERANCE leaves open
    np.testing.assert_allclose(weight, oracle.coef_, rtol=1e-3, atol=off)
    np.testing.assert_allclose(bias - bias.mean(), oracle.intercept_ - oracle.intercept_.mean(), rtol=1e-3, atol=off)
    standard = scaled(features)
    predicted = head(torch.from_numpy(features)).argmax(dim=1).numpy()
    np.testing.assert_array_equal(predicted, oracle.predict(standard))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [2, 5, "multilabel"])
def test_the_run_and_the_probe_find_the_same_weights(kind, seed):
    l2 = 10.0 ** np.random.default_rng(seed).uniform(-2, 0)
    features, labels = problem(3 if kind == "multilabel" else kind, seed=seed)
    targets = np.eye(labels.max() + 1)[labels]
    if kind == "multilabel":
        targets[seed::7] = 1 - targets[seed::7]
    head, _ = solve(features, targets.astype(np.float32) if kind == "multilabel" else labels, l2)
    weights = np.zeros((features.shape[1] + 1, targets.shape[1]))
    for _ in range(20):  # the probe's solver takes MAX_ITERATIONS at a time
        weights = linear.solve(scaled(features), targets, l2, weights, 1e-7, multilabel=kind == "multilabel")
    np.testing.assert_allclose(head.out.weight.detach(), weights[:-1].T, atol=1e-4)
    bias, wanted = head.out.bias.detach().numpy(), weights[-1]
    if kind != "multilabel":  # a softmax is the same for biases that are all shifted alike
        bias, wanted = bias - bias.mean(), wanted - wanted.mean()
    np.testing.assert_allclose(bias, wanted, atol=1e-4)


def test_more_features_than_items_and_a_class_with_one_item():
    features, labels = problem(3, n=31, width=200)
    labels[:] = np.where(np.arange(31) == 30, 2, labels % 2)
    head, solved = solve(features, labels, 1e-3)
    assert solved
    assert (head(torch.from_numpy(features)).argmax(dim=1).numpy() == labels).all()


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
@pytest.mark.parametrize("fit_on", ["train", "train+validation"])
def test_a_solved_run_is_logistic_regression_on_the_stored_features(data, fit_on, request):
    dataset = request.getfixturevalue(data)
    l2 = 0.02
    job = make_job(dataset, [Phase("head", 100, {"head": 1.0}, optimizer="lbfgs", weight_decay=l2, fit_on=fit_on)])
    events = run(job)
    rows = dataset.rows(*fit_on.split("+"))
    features = job.store.features(dataset, job.spec)
    oracle = LogisticRegression(C=1 / (l2 * len(rows)), tol=1e-10, max_iter=20_000)
    oracle.fit(scaled(features[rows]), dataset.labels[rows])
    everything = np.arange(len(dataset.items))
    predicted = logits(after(job), job, everything).softmax(dim=1).numpy()
    np.testing.assert_allclose(predicted, oracle.predict_proba(scaled(features, by=features[rows])), atol=1e-4)
    last = [event for event in events if type(event).__name__ == "EpochDone"][-1]
    assert bool(last.validation) == (fit_on == "train"), "items that were learned from are no validation"
    assert last.epoch < 99, "a solution that is found ends the phase"
