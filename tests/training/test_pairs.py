"""Items with a picture and a text: one chain of both networks, which learns what only the combination tells."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tiny import TINY_IMAGE, TINY_PAIR, TINY_TEXT
from tests.training.helpers import SOLVED, after, before, descent, epochs, logits, make_job, run, same_bits
from tests.training.test_resume import same_as_whole
from tl_core.backbones.preprocess import preprocessor
from tl_core.data.split import SplitSpec
from tl_core.evaluation.predict import predict_rows
from tl_core.features import FeatureStore
from tl_core.plan import Augment, Head
from tl_core.runs.control import MemoryControl
from tl_core.training import activation_cache
from tl_core.training.activation_cache import CacheBudget, InMemory, StateFile
from tl_core.training.augment import augmentation
from tl_core.training.input_provider import InputProvider
from tl_core.training.inputs import CachedInputs
from tl_core.training.parts import make_parts
from tl_core.workspace import Workspace

MLP = Head("mlp", 32, 0.0)
GROUPS = tuple(group.name for group in TINY_PAIR.groups)
CPU = torch.device("cpu")


def state_of(dataset, rows):
    items = FeatureStore(Workspace.default()).prepared(dataset, TINY_PAIR)
    return preprocessor(TINY_PAIR).collate([items[int(row)] for row in rows], CPU)


def test_the_chain_computes_what_both_networks_compute(tiny_pairs):
    chain, image, text = TINY_PAIR.load(True), TINY_IMAGE.load(True), TINY_TEXT.load(True)
    maps, ids, mask = state_of(tiny_pairs, range(6))
    with torch.no_grad():
        mean, std = chain.pool(chain.run((maps, ids, mask)))
        pictures, texts = image.pool(image.run((maps,))), text.pool(text.run((ids, mask)))
        for got, picture, words in zip((mean, std), pictures, texts, strict=True):
            assert same_bits(got, torch.cat((picture, words), dim=1))
        taps = chain.taps((maps, ids, mask), range(len(chain.names)))
        assert same_bits(taps[0], torch.cat(image.pool(image.run((maps,), 0, 1), 0), dim=1))
        for cut in range(1, len(chain.names)):
            middle = chain.run((maps, ids, mask), 0, cut)
            assert same_bits(chain.pool(chain.run(middle, cut))[0], mean)
            assert same_bits(chain.pool(middle, cut - 1)[0], taps[cut - 1].chunk(2, dim=1)[0])


def test_it_learns_what_neither_part_alone_tells(tiny_pairs):
    """An exclusive or of colour and word: each part alone is at chance, the combination is learned."""
    phase = descent((*GROUPS, "head"), 20, 3e-3)
    tiny_pairs = tiny_pairs.with_split(SplitSpec(validation=0.1, test=0.4))
    rows = tiny_pairs.rows("test")
    reached = {}
    for modality, spec in (("multimodal", TINY_PAIR), ("image", TINY_IMAGE), ("text", TINY_TEXT)):
        learns = replace(phase, lr=dict.fromkeys((*(group.name for group in spec.groups), "head"), 3e-3))
        job = make_job(replace(tiny_pairs, modality=modality), [learns], modality, head=MLP, batch_size=8)
        run(job)
        predicted = predict_rows(after(job), spec, job.plan, job.dataset, rows, job.store).argmax(axis=1)
        reached[modality] = (predicted == tiny_pairs.labels[rows]).mean()
    assert reached["multimodal"] > 0.9
    assert max(reached["image"], reached["text"]) < 0.7


@pytest.mark.parametrize("learns", [("image.top",), ("text.layer.1",), ("image.middle", "text.layer.0")])
def test_frozen_groups_of_both_networks_keep_their_bits(tiny_pairs, learns):
    job = make_job(tiny_pairs, [descent((*learns, "head"), 1, 1e-2, weight_decay=0.1)])
    start, _, end = before(job).state_dict(), run(job), after(job).state_dict()
    moved = {name for name in start if not same_bits(start[name], end[name])}
    for name in start:
        group = next((g.name for g in TINY_PAIR.groups if name.startswith(f"backbone.{_prefix(g.name)}")), "head")
        assert group in (*learns, "head") or name not in moved, name
    for group in learns:
        assert any(name.startswith(f"backbone.{_prefix(group)}") for name in moved)


def _prefix(group):
    part, _, inner = group.partition(".")
    return f"{part}.net.{inner}." if part == "image" else f"{part}.{inner}."


@pytest.mark.parametrize("start", range(1, len(GROUPS)))
@pytest.mark.parametrize("kind", [InMemory, StateFile])
def test_a_cached_prefix_is_the_computed_one(tiny_pairs, start, kind, monkeypatch):
    """At every stage, in memory and in a file: the state that is read back gives the same bits."""
    job = make_job(tiny_pairs, [descent((GROUPS[start], "head"), 1)])
    parts = make_parts(job, MemoryControl())
    monkeypatch.setattr(activation_cache.prepared, "SPARE", 0)
    budget = CacheBudget(2**30 if kind is InMemory else 1, 2**30, job.folder)
    rows = tiny_pairs.rows("train")
    provider: InputProvider = parts.provider
    cached = _result(provider.staged(parts.model, start, rows, budget))
    assert isinstance(cached, CachedInputs)
    assert isinstance(cached._cache, kind)
    computed = provider.prepared(start)
    some = rows[:5]
    with torch.no_grad():
        ours, theirs = cached.logits(parts.model, some), computed.logits(parts.model, some)
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert cached.on_disk > 0 or kind is InMemory


def _result(generator):
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


def test_a_run_with_a_cache_scores_as_one_without(tiny_pairs):
    phases = [SOLVED, descent(("text.layer.1", "head"), 2)]
    cached, computed = (make_job(tiny_pairs, phases, name, cache=size) for name, size in (("a", 2**30), ("b", 0)))
    assert epochs(run(cached), 1)[-1].validation == pytest.approx(epochs(run(computed), 1)[-1].validation)


def test_an_interrupted_run_ends_with_the_same_bits(tiny_pairs):
    phases = [SOLVED, descent(("image.top", "text.layer.1", "head"), 2), replace(descent(("head",), 1), name="last")]
    same_as_whole(lambda folder: make_job(tiny_pairs, phases, folder, publish=0.0, batch_size=16), "pairs")


def test_only_the_picture_is_varied(tiny_pairs):
    job = make_job(tiny_pairs, [descent((*GROUPS, "head"), 1)])
    job = replace(job, plan=replace(job.plan, augment=Augment("strong")))
    vary, prepare = augmentation(job.plan, TINY_PAIR), preprocessor(TINY_PAIR)
    item = job.store.prepared(tiny_pairs, TINY_PAIR)[0]
    torch.manual_seed(0)
    (picture, ids), (varied, same) = prepare.split(item), prepare.split(vary(item))
    assert same_bits(ids, same)
    assert not same_bits(picture, varied)
    run(job)


def test_stored_features_are_those_of_the_model(tiny_pairs):
    job = make_job(tiny_pairs, [SOLVED])
    run(job)
    rows = np.arange(8)
    model = after(job)
    stored = predict_rows(model, TINY_PAIR, job.plan, tiny_pairs, rows, job.store)
    computed = torch.softmax(logits(model, job, rows), dim=1).numpy()
    assert np.abs(stored - computed).max() < 1e-5
