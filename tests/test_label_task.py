"""One label an item, or several: losses and weights against torch and scikit-learn, and formulas by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import hamming_loss, log_loss
from sklearn.utils.class_weight import compute_class_weight

from tl_core.label_task import MULTI, SINGLE, label_task, label_task_of

DRAW = torch.Generator().manual_seed(0)
SCORES = torch.randn(40, 3, generator=DRAW)
TARGETS = (torch.rand(40, 3, generator=DRAW) < torch.tensor([0.5, 0.3, 0.1])).float()


def test_the_shape_of_what_is_known_tells_which():
    assert label_task_of(torch.zeros(4, dtype=torch.int64)) is label_task(False) is SINGLE
    assert label_task_of(TARGETS) is label_task(True) is MULTI


def test_the_loss_is_the_mean_of_a_log_loss_a_label():
    probabilities = MULTI.probabilities(SCORES).numpy()
    expected = np.mean([log_loss(TARGETS[:, k], probabilities[:, k], labels=[0, 1]) for k in range(3)])
    assert MULTI.loss(SCORES, TARGETS).item() == pytest.approx(expected, rel=1e-5)
    assert MULTI.total(SCORES, TARGETS).item() == pytest.approx(40 * expected, rel=1e-5)
    assert MULTI.objective(SCORES, TARGETS).item() == pytest.approx(3 * expected, rel=1e-5)


def test_correct_answers_are_what_the_hamming_loss_leaves():
    wrong = hamming_loss(TARGETS, SCORES > 0)
    assert MULTI.count_correct(SCORES, TARGETS).item() == pytest.approx(
        40 * MULTI.answers_per_item(TARGETS) * (1 - wrong)
    )


def test_balanced_weights_are_scikit_learns_for_each_label_and_torchs_pos_weight_in_their_ratio():
    weights = MULTI.weights("balanced", TARGETS, 3)
    for k in range(3):
        expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=TARGETS[:, k].numpy().astype(int))
        np.testing.assert_allclose(weights[:, k], expected, rtol=1e-6)
    yes = TARGETS.sum(dim=0)
    pos_weight = (40 - yes) / yes
    torch.testing.assert_close(weights[1] / weights[0], pos_weight)
    torchs = torch.nn.BCEWithLogitsLoss(pos_weight=pos_weight, weight=weights[0])(SCORES, TARGETS)
    torch.testing.assert_close(MULTI.loss(SCORES, TARGETS, weights), torchs)


def test_smoothing_takes_half_of_it_from_a_yes_and_gives_half_to_a_no():
    loss = MULTI.loss(SCORES, TARGETS, smoothing=0.2)
    target = torch.where(TARGETS > 0.5, 0.9, 0.1)
    expected = -(target * SCORES.sigmoid().log() + (1 - target) * (1 - SCORES.sigmoid()).log()).mean()
    torch.testing.assert_close(loss, expected)


def test_outcomes_are_probabilities():
    for task, sums in ((SINGLE, 1.0), (MULTI, 3.0)):
        torch.testing.assert_close(task.log_outcomes(SCORES).exp().sum(dim=1), torch.full((40,), sums))
    torch.testing.assert_close(MULTI.log_outcomes(SCORES)[:, :3].exp(), MULTI.probabilities(SCORES))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_balanced_weights_stay_balanced_under_smoothing(smoothing):
    """No class is favoured: the best constant prediction is uniform, and a uniform prediction costs log K."""
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor([90, 5, 3, 2]))
    weights = SINGLE.weights("balanced", labels, 4)
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    loss = SINGLE.loss(logits.expand(100, 4), labels, weights.double(), smoothing)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(4), rel=1e-6)
    torch.testing.assert_close(logits.grad, torch.zeros(4, dtype=torch.float64), atol=1e-7, rtol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_weighted_and_smoothed_loss_is_the_weighted_mean_of_the_items_losses(smoothing):
    scores, labels = torch.randn(50, 3, generator=torch.manual_seed(3)), torch.arange(50) % 3
    weights = torch.tensor([0.5, 2.0, 1.0])
    targets = torch.nn.functional.one_hot(labels, 3) * (1 - smoothing) + smoothing / 3
    losses = -(targets * scores.log_softmax(dim=1)).sum(dim=1)
    expected = np.average(losses.numpy(), weights=weights[labels].numpy())
    assert SINGLE.loss(scores, labels, weights, smoothing).item() == pytest.approx(expected, rel=1e-5)
