import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.helpers import SOLVED, after, descent, epochs, logits, make_job, run
from tl_core.plan import Head, Phase
from tl_core.runs.events import Progress
from tl_core.training.inputs import batches


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 9), st.booleans(), st.booleans())
def test_batches_hold_every_row_once_and_leave_none_alone(n, size, texts, shuffled):
    rows = np.arange(100, 100 + n)
    lengths = np.random.default_rng(n).integers(1, 50, 200) if texts else None
    shuffle = torch.Generator().manual_seed(3) if shuffled else None
    drawn = batches(rows, size, lengths, shuffle)
    assert sorted(np.concatenate(drawn)) == rows.tolist()
    assert all(len(batch) <= size + 1 for batch in drawn)
    if n > 1 and size > 1:
        assert min(len(batch) for batch in drawn) > 1


def test_texts_of_like_length_stand_together_and_the_order_still_changes():
    rows, lengths = np.arange(640), np.random.default_rng(0).integers(3, 256, 640)
    shuffle = torch.Generator().manual_seed(0)
    first, second = (batches(rows, 8, lengths, shuffle) for _ in range(2))

    def padding(cut):
        return sum(len(b) * lengths[b].max() for b in cut) / lengths.sum() - 1

    plain = batches(rows, 8, None, shuffle)
    assert padding(first) < 0.15 < 0.5 < padding(plain)
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    assert np.corrcoef(np.arange(80), [lengths[b].mean() for b in first])[0, 1] < 0.5, "short texts do not come first"


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
@pytest.mark.parametrize("start", [1, 2])
def test_a_cached_prefix_gives_the_same_run_as_none(data, start, request):
    dataset = request.getfixturevalue(data)
    names = [group.name for group in make_job(dataset, [SOLVED]).spec.groups]
    phases = [SOLVED, descent([*names[start:], "head"], epochs=3)]
    cached, plain = (make_job(dataset, phases, folder=f"cache-{n}", cache=n) for n in (2**30, 0))
    events, expected = run(cached), run(plain)
    assert [e.total for e in events if isinstance(e, Progress) and e.stage == "frozen layers" and e.done == e.total]
    assert not [e for e in expected if isinstance(e, Progress) and e.stage == "frozen layers" and e.done]
    for a, b in zip(epochs(events, 1), epochs(expected, 1), strict=True):
        assert a.train["loss"] == pytest.approx(b.train["loss"], abs=1e-5)
        assert a.validation == pytest.approx(b.validation, abs=1e-5)
    # scores, not weights: the true gradient of an attention key's bias is nought, and AdamW makes steps of its rounding
    everything = np.arange(len(dataset.items))
    one, other = (logits(after(job), job, everything) for job in (cached, plain))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def count_first_stage(monkeypatch, cls):
    """Count the items that enter the backbone; those that it is pretrained on enter in training mode."""
    counted = []
    stage = cls.stage

    def counting(self, index, state):
        if index == 0 and not self.training:
            counted.append(len(state[0]))
        return stage(self, index, state)

    monkeypatch.setattr(cls, "stage", counting)
    return counted


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize("optimizer", ["adamw", "lbfgs"])
def test_thirty_epochs_of_the_head_run_the_backbone_once_and_then_never_again(
    data, init, optimizer, request, monkeypatch
):
    dataset = request.getfixturevalue(data)
    phase = Phase("head", 30, {"head": 1e-2}, optimizer=optimizer)
    job = make_job(dataset, [phase], init=init)
    counted = count_first_stage(monkeypatch, type(job.spec.load(True)))
    run(job)
    learned = len(dataset.rows("train", "validation"))
    assert sum(counted) == (len(dataset.items) if init == "pretrained" else learned)
    counted.clear()
    run(make_job(dataset, [phase], init=init, folder="again"))
    assert sum(counted) == (0 if init == "pretrained" else learned)


def test_phases_that_share_a_frozen_prefix_run_it_once(tiny_images, monkeypatch):
    groups = ["top", "head"]
    first, second = descent(groups, 2), Phase("more", 2, {"top": 1e-4, "head": 1e-4})
    job = make_job(tiny_images, [SOLVED, first, second])
    list(job.store.probe(tiny_images, job.spec))
    counted = count_first_stage(monkeypatch, type(job.spec.load(True)))
    run(job)
    assert sum(counted) == len(tiny_images.rows("train", "validation"))


def test_a_head_after_a_changed_backbone_does_not_read_the_stored_features(tiny_images):
    phases = [descent(["stem", "middle", "top", "head"], 2, 1e-2), SOLVED]
    job = make_job(tiny_images, phases, head=Head(pool="mean_std"))
    events = run(job)
    last = epochs(events, 1)[-1]
    again = make_job(tiny_images, [SOLVED], head=Head(pool="mean_std"), folder="plain")
    assert last.train["loss"] != pytest.approx(epochs(run(again))[-1].train["loss"], rel=1e-3)


def test_a_second_phase_of_the_head_alone_still_reads_the_stored_features(tiny_images, monkeypatch):
    job = make_job(tiny_images, [SOLVED, Phase("more", 3, {"head": 1e-3})])
    counted = count_first_stage(monkeypatch, type(job.spec.load(True)))
    run(job)
    assert sum(counted) == len(tiny_images.items)
