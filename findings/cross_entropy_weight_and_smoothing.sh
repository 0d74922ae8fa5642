#!/usr/bin/env bash
# torch 2.13.0: cross_entropy with class weights AND label smoothing no longer balances the classes.
#
# A good guess: "balanced" class weights make every class count the same, and smoothing then spreads a share of each
# label evenly, so the best constant prediction stays uniform and costs log K. What happens: the smoothing part weighs
# each CLASS, whatever the label of the item, while the whole is divided by the weights of the LABELS. The best
# constant prediction leans to the rarest class, the more the more is smoothed, and an uninformed model costs more than
# log K (1.55 times here), so losses of runs with and without smoothing cannot be compared. Weighing each item's
# smoothed loss by the weight of its own label, as a sample weight does, has neither effect.
#
# Output seen, for four classes with 90, 5, 3 and 2 items:
#   smoothing 0.0: best constant prediction 0.250 0.250 0.250 0.250, uniform prediction costs 1.000 log K
#   smoothing 0.1: best constant prediction 0.149 0.225 0.279 0.346, uniform prediction costs 1.553 log K
#   smoothing 0.2: best constant prediction 0.102 0.214 0.293 0.392, uniform prediction costs 2.106 log K
#   the item's own weight, smoothing 0.2: 0.250 0.250 0.250 0.250, 1.000 log K
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.0 2> /dev/null
"$place/venv/bin/python" - <<'PY'
import math

import torch
from torch.nn.functional import cross_entropy

labels_N = torch.repeat_interleave(torch.arange(4), torch.tensor([90, 5, 3, 2]))
weights_K = len(labels_N) / (4 * torch.bincount(labels_N).float())  # scikit-learn's "balanced"


def torchs(logits_NK, smoothing):
    return cross_entropy(logits_NK, labels_N, weight=weights_K, label_smoothing=smoothing)


def per_item(logits_NK, smoothing):
    loss_N = cross_entropy(logits_NK, labels_N, label_smoothing=smoothing, reduction="none")
    return (loss_N * weights_K[labels_N]).sum() / weights_K[labels_N].sum()


def best_constant(loss, smoothing):
    logits_K = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits_K], max_iter=500, tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        value = loss(logits_K.expand(100, 4), smoothing)
        value.backward()
        return value

    optimizer.step(closure)
    return torch.softmax(logits_K.detach(), dim=0)


def told(name, loss, smoothing):
    best = best_constant(loss, smoothing)
    cost = loss(torch.zeros(100, 4), smoothing).item() / math.log(4)
    print(f"{name}: {' '.join(f'{p:.3f}' for p in best)}, {cost:.3f} log K")
    return best, cost


print("torch", torch.__version__)
even = torch.full((4,), 0.25)
best, cost = told("smoothing 0.0", torchs, 0.0)
assert torch.allclose(best, even, atol=1e-3) and abs(cost - 1) < 1e-3
for smoothing, rarest, expected in ((0.1, 0.346, 1.553), (0.2, 0.392, 2.106)):
    best, cost = told(f"smoothing {smoothing}", torchs, smoothing)
    assert abs(best[3] - rarest) < 2e-3 and abs(cost - expected) < 2e-3
best, cost = told("the item's own weight, smoothing 0.2", per_item, 0.2)
assert torch.allclose(best, even, atol=1e-3) and abs(cost - 1) < 1e-3
PY
