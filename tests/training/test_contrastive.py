import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.training.helpers import SOLVED, after, before, epochs, logits, make_job, run, same_bits
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.staged import Staged
from tl_core.data.sources import import_data
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.loop import TrainJob
from tl_core.training.objectives.contrastive import BalancedBatches, pair_loss
from tl_core.training.parts import make_parts, objective_of

BODY = {"image": ("middle", "top"), "text": ("layer.0", "layer.1")}


@pytest.fixture(params=["tiny_images", "tiny_texts"])
def dataset(request):
    return request.getfixturevalue(request.param)


def pairs(dataset, rate=3e-3, **fields):
    lr = dict.fromkeys(BODY[dataset.modality], rate)
    return Phase(**{"name": "pairs", "epochs": 4, "lr": lr, "objective": "contrastive", "draws": 64} | fields)


def features(model, job, rows):
    items = job.store.prepared(job.dataset, job.spec)
    with torch.no_grad():
        return model.features(preprocessor(job.spec).collate([items[int(r)] for r in rows], torch.device("cpu")))


def margin(model, job, rows):
    """Mean cosine of pairs of one label minus that of pairs of two, pair by pair."""
    embeddings = features(model, job, rows).double().numpy()
    same, different = [], []
    for (a, x), (b, y) in itertools.combinations(zip(rows, embeddings, strict=True), 2):
        cosine = float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
        (same if job.dataset.labels[a] == job.dataset.labels[b] else different).append(cosine)
    return np.mean(same) - np.mean(different)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2], [0, 0, 0], [0, 1, 2], [0]])
def test_the_loss_is_the_one_written_down(labels):
    values = torch.randn(len(labels), 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kinds = {True: [], False: []}
    for a, b in itertools.combinations(range(len(labels)), 2):
        cosine = float(values[a] @ values[b] / values[a].norm() / values[b].norm())
        alike = labels[a] == labels[b]
        kinds[alike].append((1 - cosine) ** 2 if alike else cosine**2)
    means = [np.mean(kind) for kind in kinds.values() if kind]
    assert float(pair_loss(values, torch.tensor(labels))) == pytest.approx(np.mean(means) if means else 0.0)


@examples(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=9), st.integers(2, 32), st.integers(1, 30), st.integers(0, 9))
def test_batches_are_balanced_and_hold_nothing_twice(sizes, size, count, seed):
    labels = np.repeat(np.arange(len(sizes)) * 3, sizes)
    balanced = BalancedBatches(labels, size)
    drawn = balanced.draw(count, None, torch.Generator().manual_seed(seed))
    again = balanced.draw(count, None, torch.Generator().manual_seed(seed))
    assert len(drawn) == count
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))
    for batch in drawn:
        assert len(batch) <= max(size, 4)
        assert len(set(batch)) == len(batch)
        classes, counts = np.unique(labels[batch], return_counts=True)
        assert len(classes) >= 2
        for label, n in zip(classes, counts, strict=True):
            assert n == min(balanced.per_class, sizes[label // 3])


def test_every_item_of_a_class_comes_equally_often():
    labels = np.repeat([0, 1], [24, 8])
    drawn = BalancedBatches(labels, 8).draw(12, None, torch.Generator().manual_seed(0))
    times = np.bincount(np.concatenate(drawn), minlength=32)
    assert set(times[:24]) == {2}
    assert set(times[24:]) == {6}


def test_texts_stand_beside_texts_of_like_length():
    chance = np.random.default_rng(0)
    labels, lengths = chance.permutation(np.repeat([0, 1], 200)), chance.integers(4, 200, 400)

    def padded(lengths_or_none):
        return sum(
            len(b) * lengths[b].max() for b in BalancedBatches(labels, 16).draw(100, lengths_or_none, torch.Generator())
        )

    assert padded(lengths) < 0.65 * padded(None)


def test_nothing_grows_with_the_number_of_pairs():
    labels = np.arange(200_000) % 2
    tracemalloc.start()
    balanced = BalancedBatches(labels, 16)
    batches = balanced.draw(100, None, torch.Generator())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(batches) == 100
    assert peak < 60 * 2**20, "2e10 pairs would take gigabytes"


def test_held_out_items_of_one_label_move_together(dataset):
    job = make_job(dataset, [pairs(dataset), SOLVED], batch_size=8)
    events = run(job)
    held_out = dataset.rows("test", "validation")
    assert margin(after(job), job, held_out) > margin(before(job), job, held_out) + 0.05
    losses = [event.train["loss"] for event in epochs(events)]
    assert losses[-1] < losses[0]
    assert all(event.validation == {} and "accuracy" not in event.train for event in epochs(events))
    first, last = before(job).state_dict(), after(job).state_dict()
    moved = {
        name.split(".")[2 if dataset.modality == "image" else 1]
        for name in first
        if name.startswith("backbone") and not same_bits(first[name], last[name])
    }
    assert moved == ({"middle", "top"} if dataset.modality == "image" else {"layer"})


def test_the_head_is_fitted_to_what_the_features_have_become(dataset):
    job = make_job(dataset, [pairs(dataset), SOLVED], batch_size=8)
    run(job)
    rows, model = dataset.rows("train"), after(job)
    torch.testing.assert_close(model.head.mean, features(model, job, rows).mean(dim=0), atol=1e-4, rtol=1e-3)
    assert (features(before(job), job, rows).mean(dim=0) - model.head.mean).abs().max() > 1e-2
    right = logits(model, job, rows).argmax(dim=1).numpy() == dataset.labels[rows]
    assert right.mean() > 0.9


def test_attention_is_dropped_while_pairs_are_learned_and_not_afterwards(tiny_texts, monkeypatch):
    wanted = []
    monkeypatch.setattr(Staged, "drop_attention", lambda self, on: wanted.append(on))
    run(make_job(tiny_texts, [pairs(tiny_texts), Phase("rest", 1, {"layer.1": 1e-3, "head": 1e-3})]))
    assert list(dict.fromkeys(wanted)) == [True, False]


def test_the_same_seed_leaves_the_same_bits_and_another_other_batches(dataset):
    jobs = [
        make_job(dataset, [pairs(dataset, epochs=1), SOLVED], f"run{i}", batch_size=8, seed=i // 2) for i in range(3)
    ]
    for job in jobs:
        run(job)
    one, same, other = (after(job).state_dict() for job in jobs)
    assert all(same_bits(one[name], same[name]) for name in one)
    assert not all(same_bits(one[name], other[name]) for name in one if name.startswith("backbone"))


def test_batches_come_from_the_runs_own_shuffle_and_cost_what_the_draws_say(tiny_texts):
    parts = make_parts(make_job(tiny_texts, [pairs(tiny_texts, draws=100), SOLVED], batch_size=8), MemoryControl())
    objective = objective_of(parts, 0)
    shuffle = parts.random.shuffle
    before_drawing = shuffle.get_state()
    torch.manual_seed(1)
    first = objective.epoch(0, parts.rows.items.lengths)
    shuffle.set_state(before_drawing)
    torch.manual_seed(2)
    assert [list(b) for b in first] == [list(b) for b in objective.epoch(0, parts.rows.items.lengths)]
    assert len(first) == objective.steps() == 13
    assert parts.counter.planned[0] == 4 * 13
    assert set(np.concatenate(first)) <= set(tiny_texts.rows("train"))


def test_a_time_budget_that_ends_in_the_pairs_still_leaves_a_head(tiny_texts):
    job = make_job(tiny_texts, [pairs(tiny_texts), SOLVED, pairs(tiny_texts, name="more")], batch_size=8, budget=1e-9)
    events = run(job)
    assert len(epochs(events, 0)) == len(epochs(events, 1)) == 1
    assert epochs(events, 2) == []
    rows = tiny_texts.rows("train")
    assert (logits(after(job), job, rows).argmax(dim=1).numpy() == tiny_texts.labels[rows]).mean() > 0.6


@pytest.mark.slow
def test_minilm_learns_from_pairs_of_news(workspace, tmp_path):
    whole = import_data("sample:bbc_news", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, 50).astype(int))
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-part")
    items = whole.items.iloc[rows].reset_index(drop=True)
    dataset.__dict__["items"] = items.assign(text=items["text"].str[:80])
    spec = BACKBONES["all_minilm_l6_v2"]
    groups = tuple(group.name for group in spec.groups)
    task_info = TaskInfo(spec.name, "text", groups, len(dataset.rows("train")), len(dataset.classes), 5)
    plan: TransferPlan = STRATEGIES["contrastive"].make(task_info, {"batches": 8, "reach": "two"})
    job = TrainJob(dataset, spec, plan, 0, tmp_path, FeatureStore(workspace))
    run(job)
    held_out = dataset.rows("test")
    assert margin(after(job), job, held_out) > margin(before(job), job, held_out) + 0.02
