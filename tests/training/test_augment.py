"""Augmentation: what it does to a picture, that it is repeatable, and that validation never sees it."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tests.training.helpers import SOLVED, after, descent, epochs, logits, make_job, run, same_bits
from tests.training.test_edits import edited, rate, run_with
from tests.training.test_resume import weights
from tl_core.backbones.spec import BACKBONES
from tl_core.data.augmentation_check import why_not_augment
from tl_core.data.sources import import_data
from tl_core.errors import PlanError
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.plan.transfer_plan import Augment
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training import input_provider
from tl_core.training.augment import policy, preview, view
from tl_core.training.inputs import CachedInputs, PreparedInputs
from tl_core.training.loop import TrainJob, train

WHOLE = ["stem", "middle", "top", "head"]


def picture(size=32):
    """A slope from left to right in red, from top to bottom in green: every pixel tells where it came from."""
    at = torch.linspace(0, 255, size).round().to(torch.uint8)
    return torch.stack(
        [at.expand(size, size), at[:, None].expand(size, size), torch.full((size, size), 90, dtype=torch.uint8)]
    )


def job_of(dataset, policy, views=0, groups=WHOLE, folder="run", **fields):
    job = make_job(dataset, [SOLVED, descent(groups, 3, 3e-3)], folder=folder, **fields)
    return dataclasses.replace(job, plan=dataclasses.replace(job.plan, augment=Augment(policy, views)))


@pytest.mark.parametrize("name", ["light", "strong"])
def test_a_policy_keeps_shape_and_type_and_follows_from_torchs_seed_alone(name):
    vary, item = policy(name, 32), picture()
    varied = []
    for seed in (1, 1, 2):
        np.random.seed(len(varied))
        torch.manual_seed(seed)
        varied.append(vary(item))
    assert all(one.shape == item.shape and one.dtype == torch.uint8 for one in varied)
    assert torch.equal(varied[0], varied[1])
    assert not torch.equal(varied[0], varied[2])
    assert torch.equal(item, picture()), "the kept picture stays as it is"


def test_light_moves_little_mirrors_half_and_strong_moves_more():
    item, half = picture(), picture().float()
    mirrored = item.flip(2).float()
    far, flips = {}, 0
    for name in ("light", "strong"):
        vary, distances = view(policy(name, 32)), []
        for seed in range(60):
            varied = vary(item, seed).float()
            straight, turned = (varied - half).abs().mean().item(), (varied - mirrored).abs().mean().item()
            flips += name == "light" and turned < straight
            distances.append(min(straight, turned))
        far[name] = np.mean(distances)
    assert 18 <= flips <= 42
    assert 1 < far["light"] < 25
    assert far["strong"] > 1.3 * far["light"]
    assert torch.equal(view(policy("none", 32))(item, 3), item)


def test_a_view_draws_no_random_number_of_its_callers():
    torch.manual_seed(4)
    expected = torch.rand(1)
    torch.manual_seed(4)
    view(policy("strong", 32))(picture(), 9)
    assert torch.equal(torch.rand(1), expected)


def test_a_preview_shows_the_picture_and_what_becomes_of_it(tiny_images):
    shown = preview(tiny_images, TINY_IMAGE, "light", [0, 5], 4, seed=1)
    again = preview(tiny_images, TINY_IMAGE, "light", [5], 4, seed=1)
    assert [len(row) for row in shown] == [5, 5]
    assert all(one.shape == (32, 32, 3) and one.dtype == np.uint8 for row in shown for one in row)
    assert all((a == b).all() for a, b in zip(shown[1], again[0], strict=True))
    assert (shown[0][0] != shown[0][1]).any()
    with pytest.raises(PlanError, match="takes no pictures"):
        preview(tiny_images, TINY_TEXT, "light", [0], 1)


def test_each_step_varies_pictures_again_and_validation_sees_them_unvaried(tiny_images, monkeypatch):
    seen = []
    state = PreparedInputs.state

    def watched(self, model, rows, vary=False):
        batch_state = state(self, model, rows, vary)
        seen.extend((int(row), vary, batch_state[0][place].clone()) for place, row in enumerate(rows))
        return batch_state

    monkeypatch.setattr(PreparedInputs, "state", watched)
    job = job_of(tiny_images, "light")
    run(job)
    validation = set(tiny_images.rows("validation").tolist())
    plain = {row: item for row, vary, item in seen if not vary}
    assert validation <= set(plain)
    varied = [(row, item) for row, vary, item in seen if vary]
    assert {row for row, _ in varied} == set(tiny_images.rows("train").tolist())
    for row in tiny_images.rows("train")[:4]:
        versions = [item for r, item in varied if r == row]
        assert len(versions) == 3
        assert not torch.equal(versions[0], versions[1])
    assert all(torch.equal(plain[row], item) for row, vary, item in seen if not vary)


def test_the_same_seed_gives_the_same_bits_and_augmentation_changes_them(tiny_images):
    jobs = [
        job_of(tiny_images, name, folder=folder) for name, folder in (("strong", "a"), ("strong", "b"), ("none", "c"))
    ]
    states = []
    for job in jobs:
        run(job)
        states.append(after(job).state_dict())
    name = "backbone.net.stem.0.weight"
    assert all(same_bits(states[0][n], states[1][n]) for n in states[0])
    assert not same_bits(states[0][name], states[2][name])


@pytest.mark.parametrize("cache", [0, 2**30])
def test_fixed_views_are_cached_behind_the_frozen_layers_and_learned_from_in_turn(tiny_images, monkeypatch, cache):
    learned = []
    for kind in (PreparedInputs, CachedInputs):
        state = kind.state

        def watched(self, model, rows, vary=False, state=state):
            learned.append((type(self), vary, [int(row) for row in rows]))
            return state(self, model, rows, vary)

        monkeypatch.setattr(kind, "state", watched)
    job = job_of(tiny_images, "light", views=2, groups=["top", "head"], cache=cache)
    run(job)
    n, train_rows = len(tiny_images.items), set(tiny_images.rows("train").tolist())
    steps = [(kind, rows) for kind, vary, rows in learned if vary]
    assert {kind for kind, _ in steps} == {CachedInputs if cache else PreparedInputs}
    rows = [row for _, some in steps for row in some]
    assert {row % n for row in rows} == train_rows
    assert {row // n for row in rows} == {1, 2}, "views, never the items themselves"


def test_cached_and_recomputed_views_give_the_same_weights(tiny_images):
    jobs = [job_of(tiny_images, "light", 2, ["top", "head"], f"c{cache}", cache=cache) for cache in (0, 2**30)]
    for job in jobs:
        run(job)
    one, two = (after(job).state_dict() for job in jobs)
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-4, rtol=1e-4)


def test_a_phase_of_the_head_alone_reads_the_items_as_they_are(tiny_images):
    heads = [Phase("head", 3, {"head": 1e-2}), Phase("again", 2, {"head": 1e-3})]
    plain, varied = (make_job(tiny_images, heads, folder=name) for name in ("plain", "varied"))
    varied = dataclasses.replace(varied, plan=dataclasses.replace(varied.plan, augment=Augment("light", 2)))
    assert [e.train for e in epochs(run(varied))] == [e.train for e in epochs(run(plain))]
    assert weights(varied) == weights(plain)


def test_views_drawn_for_the_whole_network_serve_a_head_that_is_left_alone(tiny_images):
    job = job_of(tiny_images, "light", views=2, groups=["top", "head"])
    solved = len(epochs(run(job), 0))
    again = job_of(tiny_images, "light", views=2, groups=["top", "head"], folder="edited")
    events = run_with(again, {solved + 2: [rate("top", None)], solved + 7: [rate("top", 1e-3)]})
    assert len(edited(events)) == 2
    assert events[-1].status == "done", events[-1]


def test_views_count_in_the_memory_that_the_prefix_may_take(tiny_images, monkeypatch):
    taken = []
    cached = input_provider.cache_prefix

    def watched(*args):
        for done, cache in cached(*args):
            taken.append(cache is not None)
            yield done, cache

    monkeypatch.setattr(input_provider, "cache_prefix", watched)
    maps = 16 * 8 * 8 * 4  # bytes of one picture's activations before the last group
    for views, fits in ((0, True), (8, False)):
        taken.clear()
        room = {"cache": 30 * maps, "disk": 0}
        run(job_of(tiny_images, "light" if views else "none", views, ["top", "head"], f"v{views}", **room))
        assert taken[-1] == fits


def test_texts_are_refused_with_a_clear_message(tiny_texts):
    job = make_job(tiny_texts, [SOLVED])
    job = dataclasses.replace(job, plan=dataclasses.replace(job.plan, augment=Augment("light")))
    (ended,) = train(job, MemoryControl())
    assert ended.status == "failed"
    assert "made for pictures, not texts" in ended.reason
    task_info = TaskInfo("net", "text", ("a", "b"), 100, 2, 50)
    with pytest.raises(PlanError, match="made for images"):
        STRATEGIES["full"].make(task_info, {"augment": "light"})
    assert (
        STRATEGIES["full"].make(dataclasses.replace(task_info, modality="image"), {"augment": "light"}).augment.policy
    )


def test_digits_letters_and_sides_are_recognised_as_such_classes(tiny_images, workspace):
    named = {
        ("0", "1", "2"): True, ("digit 3", "digit 4"): True, ("turn left", "turn right"): True,
        ("cat", "dog"): False, ("bright", "leftover"): False, ("one-way", "stop"): False,
    }  # fmt: skip
    for classes, refused in named.items():
        assert bool(why_not_augment(dataclasses.replace(tiny_images, classes=classes))) == refused, classes
    digits = import_data("sample:digits", workspace)
    assert "digits or letters" in why_not_augment(digits)
    renamed = dataclasses.replace(digits, classes=tuple(f"kind {n}x" for n in "abcdefghij"))
    assert "grey and at most" in why_not_augment(renamed)
    assert not why_not_augment(import_data("sample:textile_defects", workspace))


def test_a_run_that_mirrors_letters_says_so(tiny_images):
    events = run(job_of(tiny_images, "light", groups=["top", "head"]))  # its classes are a, b and c
    assert [e.finding.level for e in events if isinstance(e, Noted) and e.finding.code == "augment-labels"] == ["warn"]
    events = run(job_of(tiny_images, "none", groups=["top", "head"], folder="plain"))
    assert not [e for e in events if isinstance(e, Noted) and e.finding.code == "augment-labels"]


@pytest.mark.slow
def test_real_weights_learn_from_varied_pictures(workspace, tmp_path):
    whole = import_data("sample:textile_defects", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, 40).astype(int))
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-part")
    dataset.__dict__["items"] = whole.items.iloc[rows].reset_index(drop=True)
    spec = BACKBONES["efficientnet_lite0"]
    phase = descent(["top", "head"], 3, 1e-3)
    plan = TransferPlan(spec.name, "by hand", (SOLVED, phase), batch_size=8, augment=Augment("light", 1))
    job = TrainJob(dataset, spec, plan, 0, tmp_path, FeatureStore(workspace))
    tuned = epochs(run(job), 1)
    assert tuned[-1].train["loss"] < tuned[0].train["loss"]
    assert logits(after(job), job, dataset.rows("test")).isfinite().all()
