"""The effects of recalibrating normalisation before a phase, and of solving the head again."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from tests.tiny import TINY_IMAGE, make_images
from tests.training.helpers import SOLVED, after, before, descent, epochs, logits, make_job, run, same_bits
from tests.training.test_resume import attempt, weights
from tl_core.backbones.staged import BatchNorm
from tl_core.data.options import RawItem, no_progress
from tl_core.data.sources.store import Draft, store
from tl_core.data.split import SplitSpec
from tl_core.plan import Augment
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted, PhaseStarted, Progress
from tl_core.training import recalibrate_norm as adapting
from tl_core.training.convex import Solver
from tl_core.training.loop import train
from tl_core.training.lr_curve import RateCurve
from tl_core.training.lr_finder import find_rate
from tl_core.training.parts import make_parts, objective_of
from tl_core.training.phase import PhaseState

TOP = ("middle", "top", "head")
STILL = 1e-12
"""A rate that no weight moves by."""


@pytest.fixture
def faint(workspace):
    """Pictures of little contrast, which the running statistics of the tiny backbone do not fit; class by class."""
    dataset = make_images(workspace)
    for path in (dataset.folder / "images").iterdir():
        pixels = np.asarray(Image.open(path)).astype(float)
        Image.fromarray((pixels / 8 + 20).astype(np.uint8)).save(path)
    items = dataset.items.sort_values("label", kind="stable").reset_index(drop=True)
    dataset.__dict__["items"] = items
    split = dataclasses.replace(dataset, split=SplitSpec(validation=0.25, test=0.0))
    split.__dict__["items"] = items
    return split


def before_first_step(dataset, phase, **fields):
    """A run before the first step of its second phase, the events up to there, and the model of the first phase."""
    job = make_job(dataset, [SOLVED, phase], **fields)
    first = make_job(dataset, [SOLVED], folder="solved", **{k: v for k, v in fields.items() if k == "batch_size"})
    run(first)
    parts = make_parts(job, MemoryControl())
    parts.model.load_state_dict(after(first).state_dict())
    parts.head.untrained = False
    events = list(PhaseState(parts, 1).begin(None))
    return parts, events, after(first)


def maps(parts, group, rows, model):
    """What a stage's normalisation reads, of some pictures together."""
    with torch.no_grad():
        pictures = parts.provider.prepared(0).state(model, rows)
        at = model.backbone.names.index(group)
        return model.backbone.net[group][0](model.backbone.run(pictures, 0, at)[0])


def test_statistics_are_those_of_the_training_items_and_frozen_ones_stay(faint):
    parts, events, solved = before_first_step(faint, descent(TOP, recalibrate_norm=True))
    whole = maps(parts, "middle", faint.rows("train"), solved)
    norm, old = parts.model.backbone.net["middle"][1], solved.backbone.net["middle"][1]
    torch.testing.assert_close(norm.running_mean, whole.mean(dim=(0, 2, 3)), atol=1e-4, rtol=0.02)
    # a batch that held a single class would miss what lies between the classes
    ratio = norm.running_var / whole.var(dim=(0, 2, 3))
    assert ((ratio - 1).abs() < 0.2).all(), ratio
    assert ((old.running_var / whole.var(dim=(0, 2, 3)) - 1).abs() > 0.5).all(), "the test's pictures are not far"
    for name, tensor in solved.state_dict().items():
        if name.startswith("backbone.net.stem") or ("running" not in name and name.startswith("backbone.")):
            assert same_bits(parts.model.state_dict()[name], tensor) or "num_batches" in name, name
    assert [e.finding.code for e in events if isinstance(e, Noted)] == ["recalibrate-norm"]


def test_the_head_is_the_solution_over_the_features_that_come_of_it(faint):
    parts, *_ = before_first_step(faint, descent(TOP, recalibrate_norm=True))
    rows = faint.rows("train")
    with torch.no_grad():
        features = parts.provider.prepared(0).features(parts.model.eval(), rows)
        ours = parts.model.head(features).softmax(dim=1).numpy()
    variance = features.double().var(dim=0, correction=0)
    scaled = ((features.double() - features.double().mean(dim=0)) / (variance + variance.mean()).sqrt()).numpy()
    theirs = LogisticRegression(C=1 / (SOLVED.weight_decay * len(rows)), tol=1e-8, max_iter=5000)
    expected = theirs.fit(scaled, faint.labels[rows]).predict_proba(scaled)
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def moved(parts):
    """How far features in training mode are from those that the head was solved on, in its units (rms)."""
    inputs, batches = parts.provider.prepared(1), objective_of(parts, 1).epoch(0, None)
    with torch.no_grad():
        parts.freezer.training_mode(())
        still = torch.cat([inputs.features(parts.model, rows) for rows in batches])
        parts.freezer.training_mode(TOP)
        moving = torch.cat([inputs.features(parts.model, rows) for rows in batches])
    return float(((moving - still) / parts.model.head.std).square().mean().sqrt())


def test_learning_begins_with_the_features_that_the_head_was_solved_on(faint):
    """Without it, training mode gives the solved head features that it has never seen."""
    recalibrated, *_ = before_first_step(faint, descent(TOP, recalibrate_norm=True), batch_size=6)
    plain, *_ = before_first_step(faint, descent(TOP), batch_size=6, folder="plain")
    assert moved(recalibrated) < 0.3 * moved(plain)


def test_the_model_before_stays_the_one_to_beat(faint, monkeypatch):
    real = adapting.estimate_statistics

    def spoilt(run, phase, inputs, norms):
        real(run, phase, inputs, norms)
        for norm in norms:
            norm.running_mean += 1e3
            norm.running_var += 1e9

    monkeypatch.setattr(adapting, "estimate_statistics", spoilt)
    job = make_job(faint, [SOLVED, descent(TOP, 1, 0.5, recalibrate_norm=True)])
    events = run(job)
    solved = epochs(events, 0)[-1].validation
    model, rows = after(job), faint.rows("validation")
    scores, truth = logits(model, job, rows), torch.tensor(faint.labels[rows])
    assert solved["accuracy"] > 0.5
    assert (scores.argmax(dim=1) == truth).double().mean().item() >= solved["accuracy"]


def test_what_was_fitted_is_kept_where_it_validates_better(faint, monkeypatch):
    """The head of the first phase is all but switched off, the one of the fit is not."""
    monkeypatch.setattr(adapting, "Solver", lambda head, data, l2, fresh: Solver(head, data, 0.01, fresh))
    job = make_job(
        faint, [dataclasses.replace(SOLVED, weight_decay=100.0), descent(TOP, 1, STILL, recalibrate_norm=True)]
    )
    events = run(job)
    (note,) = [e.finding.message for e in events if isinstance(e, Noted) and e.finding.code == "recalibrate-norm"]
    model, rows = after(job), faint.rows("validation")
    scores, truth = logits(model, job, rows), torch.tensor(faint.labels[rows])
    loss = torch.nn.functional.cross_entropy(scores, truth).item()
    assert loss < 0.5 * epochs(events, 0)[-1].validation["loss"]
    assert f"accuracy {epochs(events, 0)[-1].validation['accuracy']:.3f} before" in note
    norms = [one.backbone.net["top"][1].running_var for one in (model, before(job))]
    assert not same_bits(*norms)


def test_nothing_happens_without_such_layers_or_a_solved_head(tiny_texts, faint):
    for dataset, phases in (
        (tiny_texts, [SOLVED, descent(["layer.1", "head"])]),
        (faint, [descent(["head"]), dataclasses.replace(descent(TOP), name="then")]),
        (faint, [SOLVED, descent(["middle", "top"])]),
    ):
        jobs = [
            make_job(
                dataset,
                [*phases[:-1], dataclasses.replace(phases[-1], recalibrate_norm=recalibrate_norm)],
                folder=f"{recalibrate_norm}",
            )
            for recalibrate_norm in (False, True)
        ]
        for job in jobs:
            run(job)
        plain, asked = (after(job).state_dict() for job in jobs)
        assert all(same_bits(plain[name], asked[name]) for name in plain)


def test_cached_views_serve(faint):
    job = make_job(faint, [SOLVED, descent(TOP, recalibrate_norm=True)])
    run(dataclasses.replace(job, plan=dataclasses.replace(job.plan, augment=Augment("light", 2))))


def test_a_stop_while_it_recalibrates_keeps_the_solved_head(faint, monkeypatch):
    control, real = MemoryControl(), adapting.estimate_statistics

    def stopping(*args):
        control.stop()
        real(*args)

    monkeypatch.setattr(adapting, "estimate_statistics", stopping)
    job = make_job(faint, [SOLVED, descent(TOP, recalibrate_norm=True)])
    end = list(train(job, control))[-1]
    assert end.status == "stopped"
    solved = make_job(faint, [SOLVED], folder="solved")
    run(solved)
    expected = after(solved).state_dict()
    assert all(same_bits(tensor, expected[name]) for name, tensor in after(job).state_dict().items())


def test_a_run_that_is_killed_while_it_fits_or_right_after_ends_with_the_same_bits(faint):
    phases = [SOLVED, descent(TOP, 1, 1e-2, recalibrate_norm=True)]
    plain = make_job(faint, phases, folder="plain", publish=0.0)
    run(plain)
    for place, last in enumerate(
        (
            lambda event: isinstance(event, Progress) and event.stage == adapting.STAGE,
            lambda event: isinstance(event, Noted) and event.finding.code == "recalibrate-norm",
            lambda event: isinstance(event, PhaseStarted) and event.index == 1,
        )
    ):
        job = make_job(faint, phases, folder=f"killed {place}", publish=0.0, resume=True)
        assert last(attempt(job, MemoryControl(), lambda event, _, last=last: last(event))[-1])
        run(job)
        assert weights(job) == weights(plain)


def test_items_with_several_labels_are_fitted_to_as_well(workspace):
    chance = np.random.default_rng(0)
    items = []
    for number in range(48):
        labels = tuple(name for name in ("red", "green") if chance.random() < 0.5)
        levels = [25 + 10 * (name in labels) for name in ("red", "green", "blue")]
        png = io.BytesIO()
        pixels = chance.normal(levels, 4, (16, 16, 3)).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(png, "PNG")
        items.append(RawItem(f"{number}.png", "", labels=labels, read=png.getvalue))
    dataset = store(items, Draft("lights", "lights.zip", "image"), workspace, no_progress)
    assert dataset.multilabel
    parts, events, _ = before_first_step(dataset, descent(TOP, recalibrate_norm=True))
    assert [e.finding.code for e in events if isinstance(e, Noted)] == ["recalibrate-norm"]
    rows = dataset.rows("train")
    with torch.no_grad():
        features = parts.provider.prepared(0).features(parts.model.eval(), rows)
        ours = parts.model.head(features).sigmoid().numpy()
    variance = features.double().var(dim=0, correction=0)
    scaled = ((features.double() - features.double().mean(dim=0)) / (variance + variance.mean()).sqrt()).numpy()
    for place in range(2):
        theirs = LogisticRegression(C=1 / (SOLVED.weight_decay * len(rows)), tol=1e-8, max_iter=5000)
        expected = theirs.fit(scaled, dataset.truth[rows][:, place]).predict_proba(scaled)[:, 1]
        np.testing.assert_allclose(ours[:, place], expected, atol=2e-3)


def test_the_rate_test_begins_where_the_phase_would(faint):
    phase = descent(TOP, recalibrate_norm=True)
    job = make_job(faint, [SOLVED, phase], folder="rates")
    curve = [one for one in find_rate(job, MemoryControl(), steps=2) if isinstance(one, RateCurve)][-1]
    parts, *_ = before_first_step(faint, phase)
    objective, inputs = objective_of(parts, 1), parts.provider.prepared(1)
    first = objective.forward(inputs, objective.epoch(0, None)[0]).loss.item()
    assert curve.losses[0] == pytest.approx(first, rel=1e-3)


def test_the_tiny_backbone_has_layers_to_fit():
    assert any(isinstance(m, BatchNorm) for m in TINY_IMAGE.load(True).modules())
