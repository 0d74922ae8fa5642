"""Each penalty term against a plain loop over its formula."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax, softmax

from tests.penalties.helpers import GROUPS, equipped, prepared, second_images, term_of, with_penalty
from tests.training.helpers import SOLVED
from tl_core.errors import DataError
from tl_core.penalties.dann import reversal, reverse
from tl_core.penalties.ewc import PULL
from tl_core.penalties.mmd import median_distance, mmd2
from tl_core.plan import Phase
from tl_core.runs.control import MemoryControl
from tl_core.training.inputs import Mix
from tl_core.training.parts import RunParts, make_parts, objective_of
from tl_core.training.penalty_context import make_head, original_head, penalty_context, teacher_scores

TUNE = Phase("tune", 1, dict.fromkeys(GROUPS["image"], 1e-3))


def double_loop(x, y, bandwidths):
    def k(a, b):
        squared = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
        return sum(math.exp(-squared / (2 * s * s)) for s in bandwidths) / len(bandwidths)

    m, n = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_y = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


@pytest.mark.parametrize(("m", "n", "shift"), [(2, 2, 0.0), (5, 3, 1.0), (4, 7, 300.0)])
def test_mmd_is_the_double_loop(m, n, shift):
    generator = torch.Generator().manual_seed(m)
    x, y = (torch.randn(count, 6, generator=generator) + shift for count in (m, n))
    y[:, 0] += 1
    y[0] = x[0]
    widths = [0.5, 1.0, 3.0]
    assert mmd2(x, y, widths).item() == pytest.approx(double_loop(x.tolist(), y.tolist(), widths), abs=1e-6)
    assert mmd2(x, y, torch.tensor(widths)).item() == pytest.approx(mmd2(y, x, widths).item(), abs=1e-12)


def test_mmd_is_unbiased_and_grows_with_the_shift():
    generator = torch.Generator().manual_seed(0)

    def mean(shift):
        pairs = [torch.randn(2, 4, 3, generator=generator) for _ in range(400)]
        parts = [mmd2(x, y + shift, [1.5]).item() for x, y in pairs]
        return np.mean(parts), np.std(parts) / 20

    same, error = mean(0.0)
    assert abs(same) < 3 * error
    assert same < mean(0.5)[0] < mean(2.0)[0]
    with pytest.raises(ValueError, match="two items"):
        mmd2(torch.ones(1, 2), torch.ones(3, 2), [1.0])


def test_mmd_has_the_gradient_of_its_formula():
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: mmd2(a, b, [0.7, 2.0]), (x, y))


def test_the_median_heuristic():
    z = torch.randn(9, 4, generator=torch.Generator().manual_seed(1)) * 100 + 5000
    distances = sorted((z[i].double() - z[j].double()).norm().item() for i in range(9) for j in range(i))
    assert median_distance(z).item() == pytest.approx(distances[17], rel=1e-9)
    assert median_distance(torch.ones(3, 2)) > 0


def test_reversal_turns_the_gradient_and_nothing_else():
    x = torch.randn(3, 2, requires_grad=True)
    y = reverse(x, 0.3)
    assert torch.equal(x, y)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, -0.3))
    assert reversal(0) == 0
    assert reversal(0.5) == pytest.approx(math.tanh(2.5))
    assert 0.9999 < reversal(1) < 1


@pytest.fixture
def job(tiny_images, workspace):
    return equipped(tiny_images, workspace, (SOLVED, TUNE))


def moved(parts: RunParts) -> dict[str, torch.Tensor]:
    """Push every backbone weight aside; returns the weights as they were."""
    before = {name: p.detach().clone() for name, p in parts.model.named_parameters()}
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in parts.model.backbone.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    parts.freezer.thaw_only(TUNE.lr)
    parts.freezer.training_mode(())
    return before


def size(parts: RunParts, inputs, rows, step=0) -> float:
    output = objective_of(parts, 1).forward(inputs, rows)
    return (parts.penalties.penalised(output, rows, inputs, step, 0.4) - output.loss).item()


def test_l2_sp_is_half_the_squared_distance_of_what_learns(job):
    parts, inputs = prepared(with_penalty(job, "l2_sp", 1.0))
    before = moved(parts)
    learns = [(n, p) for n, p in parts.model.named_parameters() if p.requires_grad and not n.startswith("head")]
    wanted = sum(((p - before[n]) ** 2).sum().item() for n, p in learns) / 2
    assert 0 < len(learns) < len(before)
    assert size(parts, inputs, parts.rows.train_rows(TUNE)[:4]) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("with_source", [True, False])
def test_ewc_is_the_true_fisher_times_the_squared_distance(job, with_source):
    job = with_penalty(job if with_source else dataclasses.replace(job, source=None), "ewc", 1.0, items=2000)
    parts, inputs = prepared(job)
    rows = parts.rows.items.source.rows if with_source else parts.rows.train_rows(TUNE)
    names = [n for n in parts.starting.run if n in dict(parts.model.named_parameters())]
    weights = [dict(parts.model.named_parameters())[n].requires_grad_() for n in names]
    exact = [torch.zeros_like(w, dtype=torch.float64) for w in weights]
    # the expectation over labels, summed over the classes instead of drawn
    features = torch.cat([parts.provider.prepared(0).features(parts.model, rows[i : i + 1]) for i in range(len(rows))])
    ground_head = make_head(parts.model, 3, (features.detach(), torch.tensor(_labels(parts, rows))))
    for feature in features:
        log_p = log_softmax(ground_head(feature[None]), dim=1)[0]
        for c in range(3):
            slopes = torch.autograd.grad(log_p[c], weights, retain_graph=True)
            for total, slope in zip(exact, slopes, strict=True):
                total += log_p[c].exp().item() * slope.double() ** 2
    scale = PULL / (sum(e.sum() for e in exact) / sum(e.numel() for e in exact))
    wanted = torch.cat([(e * scale).flatten() for e in exact])
    fishers = []
    for seed in range(12):  # one label an item is a noisy draw
        some, _ = prepared(dataclasses.replace(job, seed=seed))
        fishers.append({key.removeprefix("ewc/"): value for key, value in some.penalties.state().items()})
        assert set(fishers[-1]) == set(names)
        assert torch.cat([f.flatten() for f in fishers[-1].values()]).mean().item() == pytest.approx(PULL, rel=1e-4)
    drawn = sum(torch.cat([fisher[n].flatten() for n in names]).double() for fisher in fishers) / len(fishers)
    assert torch.corrcoef(torch.stack([wanted, drawn]))[0, 1] > 0.9
    high = wanted > wanted.quantile(0.9)
    assert (drawn[high].mean() / wanted[high].mean()).item() == pytest.approx(1.0, abs=0.1)

    fisher = fishers[job.seed]
    before = moved(parts)
    parameters = dict(parts.model.named_parameters())
    learns = [n for n in names if parameters[n].requires_grad]
    term = sum((fisher[n] * (parameters[n] - before[n]) ** 2).sum().item() for n in learns) / 2
    assert size(parts, inputs, parts.rows.train_rows(TUNE)[:4]) == pytest.approx(term, rel=1e-4)


def _labels(parts: RunParts, rows: np.ndarray) -> np.ndarray:
    labels = np.concatenate([parts.job.dataset.labels, *([parts.job.source.labels] if parts.job.source else [])])
    return labels[rows]


def divergence(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


@pytest.mark.parametrize(("name", "temperature"), [("lwf", 2.0), ("lwf", 5.0), ("kl", 1.0), ("distill", 3.0)])
def test_recorded_terms_are_the_divergence_item_by_item(job, name, temperature):
    options = {} if name == "kl" else {"temperature": temperature}
    parts, inputs = prepared(with_penalty(job, name, 1.0, **options))
    model, rows = parts.model, parts.rows.train_rows(TUNE)[[5, 0, 3]]
    head = original_head(parts.job.spec, parts.model) if name == "lwf" else model.head
    scores = {
        "lwf": lambda: head(inputs.features(model, rows)),
        "kl": lambda: make_head(parts.model, 3, _solved_on(parts, inputs))(inputs.features(model, rows)),
        "distill": lambda: teacher_scores(parts.job, parts.model.device)(rows),
    }[name]()
    first = softmax(scores.detach() / temperature, dim=1)
    moved(parts)
    now = softmax(head(inputs.features(model, rows)).detach() / temperature, dim=1)
    factor = temperature**2 if name == "distill" else 1.0
    pairs = zip(first.tolist(), now.tolist(), strict=True)
    wanted = factor * np.mean([divergence(p, q) for p, q in pairs])
    assert wanted > 1e-4
    assert size(parts, inputs, rows) == pytest.approx(wanted, rel=2e-3)

    mix = Mix(torch.tensor([2, 0, 1]), 0.7)
    output = objective_of(parts, 1).forward(inputs, rows)
    pooled, logits = inputs.forward(model, rows, mix)
    mixed = type(output)(output.loss, None, pooled, logits, output.labels, mix)
    now = softmax(head(pooled).detach() / temperature, dim=1)
    pairs = zip((0.7 * first + 0.3 * first[[2, 0, 1]]).tolist(), now.tolist(), strict=True)
    wanted = factor * np.mean([divergence(p, q) for p, q in pairs])
    total = parts.penalties.penalised(mixed, rows, inputs, 0, 0.4) - output.loss
    assert total.item() == pytest.approx(wanted, rel=2e-3)


def _solved_on(parts, inputs):
    rows = parts.rows.train_rows(TUNE)
    with torch.no_grad():
        return inputs.features(parts.model, rows), parts.rows.labels[torch.from_numpy(rows)]


def test_the_recorded_head_is_the_runs_own_once_it_has_learned(job):
    parts = make_parts(with_penalty(job, "kl"), MemoryControl())
    parts.freezer.thaw_only(())
    parts.head.untrained = False
    inputs = parts.provider.prepared(0)
    list(parts.penalties.prepare(penalty_context(parts, inputs)))
    rows = parts.rows.train_rows(TUNE)
    wanted = log_softmax(inputs.logits(parts.model, rows), dim=1)
    torch.testing.assert_close(term_of(parts).state()["log_p"], wanted.detach(), atol=1e-5, rtol=1e-5)
    assert size_without_move(parts, inputs, rows) == pytest.approx(0.0, abs=1e-6)


def size_without_move(parts, inputs, rows) -> float:
    parts.freezer.thaw_only(TUNE.lr)
    parts.freezer.training_mode(())
    return size(parts, inputs, rows)


@pytest.mark.parametrize("classes", [3, 4])
def test_replay_is_the_cross_entropy_of_drawn_source_items(job, workspace, classes):
    source = second_images(workspace, classes) if classes == 4 else job.source
    parts, inputs = prepared(with_penalty(dataclasses.replace(job, source=source), "replay", 1.0, share=2.0))
    helpers = parts.penalties.modules()
    assert len(helpers) == (classes == 4)
    moved(parts)
    rows, seen = parts.rows.train_rows(TUNE)[:4], []
    features = inputs.features
    inputs.features = lambda model, some: seen.append(some) or features(model, some)
    total = size(parts, inputs, rows)
    (drawn,) = seen
    assert len(set(drawn.tolist())) == 8
    assert set(drawn.tolist()) <= set(parts.rows.items.source.rows.tolist())
    head = helpers[0] if helpers else parts.model.head
    scores = head(features(parts.model, drawn))
    truth = torch.tensor(source.labels[drawn - parts.rows.items.main])
    assert total == pytest.approx(nn.functional.cross_entropy(scores, truth).item(), rel=1e-5)
    seen.clear()
    size(parts, inputs, parts.rows.train_rows(TUNE)[4:8])
    size(parts, inputs, rows, step=1)
    assert len({tuple(some) for some in [drawn, *seen]}) == 3, "step and piece decide what is drawn"


def test_replay_without_labels_says_so(job):
    parts = make_parts(with_penalty(job, "replay"), MemoryControl())
    parts.rows.items.source = dataclasses.replace(parts.rows.items.source, labels=torch.full((24,), -1))
    with pytest.raises(DataError, match="No item of the source has a label"):
        list(parts.penalties.prepare(penalty_context(parts, parts.provider.prepared(0))))


def test_both_sides_share_the_statistics_of_a_layer_that_normalises_by_the_batch(job):
    parts, inputs = prepared(with_penalty(job, "mmd"))
    parts.freezer.thaw_only(TUNE.lr)
    rows, other = parts.rows.train_rows(TUNE)[:4], parts.rows.items.target.rows[:3]
    output = objective_of(parts, 1).forward(inputs, rows)
    own, theirs = parts.penalties._features_with(rows, output.pooled, inputs)(other)
    together = inputs.features(parts.model, np.concatenate([rows, other]))
    torch.testing.assert_close(torch.cat((own, theirs)), together)
    alone = inputs.features(parts.model, other)
    assert not torch.allclose(theirs, alone, atol=1e-3)
