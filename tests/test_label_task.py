"""One label an item, or several: losses and weights against torch and scikit-learn, formulas by hand."""

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


def test_hits_are_what_the_hamming_loss_leaves():
    wrong = hamming_loss(TARGETS, SCORES > 0)
    assert MULTI.hits(SCORES, TARGETS).item() == pytest.approx(40 * MULTI.asked(TARGETS) * (1 - wrong))


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
    found = MULTI.loss(SCORES, TARGETS, smoothing=0.2)
    target = torch.where(TARGETS > 0.5, 0.9, 0.1)
    expected = -(target * SCORES.sigmoid().log() + (1 - target) * (1 - SCORES.sigmoid()).log()).mean()
    torch.testing.assert_close(found, expected)


def test_outcomes_are_probabilities():
    for answers, sums in ((SINGLE, 1.0), (MULTI, 3.0)):
        torch.testing.assert_close(answers.outcomes(SCORES).exp().sum(dim=1), torch.full((40,), sums))
    torch.testing.assert_close(MULTI.outcomes(SCORES)[:, :3].exp(), MULTI.probabilities(SCORES))
