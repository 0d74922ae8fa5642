"""WiSE-FT: the ends are the two models, the choice is the best of all mixes, and it survives an interruption."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.training.helpers import SOLVED, after, before, descent, epochs, logits, make_job, run, same_bits
from tests.training.test_edits import rate, run_with
from tl_core.label_task import SINGLE
from tl_core.plan import Augment, check
from tl_core.plan.transfer_plan import Adapter
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted
from tl_core.training import interpolate_weights
from tl_core.training.evaluate import Evaluator
from tl_core.training.inputs import batches
from tl_core.training.interpolate_weights import SHARES
from tl_core.training.loop import train

WHOLE = {"image": ["stem", "middle", "top", "head"], "text": ["embeddings", "layer.0", "layer.1", "head"]}


@pytest.fixture(params=["image", "text"])
def dataset(request):
    return request.getfixturevalue(f"tiny_{request.param}s")


@pytest.fixture
def tried(monkeypatch):
    """Share, validation metrics and weights of each mix, in the order in which they were tried."""
    results, shares = [], []
    validate, mix = Evaluator.validate, interpolate_weights._mix

    def validated(evaluator, phase, inputs):
        metrics = yield from validate(evaluator, phase, inputs)
        if shares:
            model = evaluator.freezer.model
            results.append((shares[-1], metrics, {n: t.clone() for n, t in model.state_dict().items()}))
        return metrics

    def mixed(parts, phase, inputs, tuned, share):
        mix(parts, phase, inputs, tuned, share)
        shares.append(share)

    monkeypatch.setattr(Evaluator, "validate", validated)
    monkeypatch.setattr(interpolate_weights, "_mix", mixed)
    return results


def jobs(dataset, **fields):
    """The same two phases, once without the blend and once with it."""
    phase = descent(WHOLE[dataset.modality], 3, 3e-3, warmup=0.1)
    plain = make_job(dataset, [SOLVED, phase], folder="plain", **fields)
    return plain, make_job(
        dataset, [SOLVED, dataclasses.replace(phase, interpolate_weights=True)], folder="blend", **fields
    )


def test_the_ends_are_the_two_models_and_the_choice_is_the_best_mix_of_all(dataset, tried):
    plain, blended = jobs(dataset)
    tuned_events = run(plain)
    events = run(blended)
    assert [share for share, *_ in tried] == list(SHARES)
    start, tuned = epochs(events, 0)[-1].validation, [e for e in epochs(tuned_events, 1) if e.best]
    assert tried[0][1] == pytest.approx(start, abs=1e-6)
    assert tuned, "tuning helps, else there is nothing to mix"
    assert tried[-1][1] == pytest.approx(tuned[-1].validation, abs=1e-6)
    best = max(SINGLE.score(metrics) for _, metrics, _ in tried)
    assert best >= max(SINGLE.score(tried[0][1]), SINGLE.score(tried[-1][1]))
    # what is left is the chosen mix: the saved model scores so on validation
    model, rows = after(blended), dataset.rows("validation")
    scores, truth = logits(model, blended, rows), torch.tensor(dataset.labels[rows])
    assert (scores.argmax(dim=1) == truth).double().mean().item() == pytest.approx(best[0])
    assert torch.nn.functional.cross_entropy(scores, truth).item() == pytest.approx(-best[1], abs=1e-5)
    (note,) = [e.finding for e in events if isinstance(e, Noted) and e.finding.code == "interpolate_weights"]
    assert f"accuracy {best[0]:.3f}" in note.message


def test_a_mix_is_the_formula_with_statistics_estimated_on_the_training_items(tiny_images, tried):
    plain, blended = jobs(tiny_images)
    run(plain)
    run(blended)
    tuned, first = after(plain), after(make_first(tiny_images))
    w0, w1 = first.state_dict(), tuned.state_dict()
    names = [name for name, _ in first.named_parameters()]
    share, _, state = tried[4]
    assert share == 0.4
    for name in names:
        torch.testing.assert_close(state[name], 0.6 * w0[name] + 0.4 * w1[name], atol=1e-7, rtol=1e-5)
    # by hand: the mean over batches of each batch's own mean and unbiased variance at the input of the normalisation
    first.load_state_dict({name: state[name] for name in w0})
    from tl_core.backbones.preprocess import preprocessor

    items = blended.store.prepared(tiny_images, blended.spec)
    means, variances = [], []
    mixed = torch.Generator().manual_seed(blended.seed)
    for batch in batches(tiny_images.rows("train"), blended.plan.batch_size, None, mixed):
        (maps,) = preprocessor(blended.spec).collate([items[int(row)] for row in batch], torch.device("cpu"))
        with torch.no_grad():
            activations = first.backbone.net["stem"][0](maps)
        means.append(activations.mean(dim=(0, 2, 3)))
        variances.append(activations.var(dim=(0, 2, 3), correction=1))
    place = "backbone.net.stem.1.running_"
    torch.testing.assert_close(state[place + "mean"], torch.stack(means).mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(state[place + "var"], torch.stack(variances).mean(0), atol=1e-5, rtol=1e-4)


def make_first(dataset):
    """The run that ends where the blended phase begins."""
    job = make_job(dataset, [SOLVED], folder="first")
    run(job)
    return job


def test_what_was_frozen_meanwhile_is_mixed_and_judged_too(tiny_images, tried):
    """The present inputs begin above what an edit froze, and the mixes differ below."""
    phase = descent(WHOLE["image"], 3, 3e-3, interpolate_weights=True)
    job = make_job(tiny_images, [SOLVED, phase])
    freezes = {1 + look: [rate(group, None)] for look, group in enumerate(("stem", "middle"), start=6)}
    assert run_with(job, freezes)[-1].status == "done"
    rows, model = tiny_images.rows("validation"), before(job)
    for share, metrics, state in tried:
        model.load_state_dict(state)
        loss = torch.nn.functional.cross_entropy(logits(model, job, rows), torch.tensor(tiny_images.labels[rows]))
        assert loss.item() == pytest.approx(metrics["loss"], abs=1e-5), share


def test_statistics_are_estimated_on_cached_views(tiny_images, tried):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"], 2, 3e-3, interpolate_weights=True)])
    run(dataclasses.replace(job, plan=dataclasses.replace(job.plan, augment=Augment("light", 2))))
    assert len(tried) == len(SHARES)
    (variance,) = {name for name in tried[4][2] if name.endswith("top.1.running_var")}
    assert (tried[4][2][variance] > 0).all()


def test_no_gain_from_tuning_leaves_the_weights_that_the_phase_began_with(tiny_images, monkeypatch):
    monkeypatch.setattr(interpolate_weights, "SHARES", (0.0, 1.0))
    phase = descent(
        WHOLE["image"], 1, 1e-12, interpolate_weights=True
    )  # moves next to nothing, so the smaller change wins
    job = make_job(tiny_images, [SOLVED, phase])
    run(job)
    left, start = after(job).state_dict(), before(job).state_dict()
    name = "backbone.net.top.0.weight"
    assert same_bits(left[name], start[name])


def test_twice_the_same_bits(tiny_images):
    _, job = jobs(tiny_images)
    run(job)
    again = dataclasses.replace(job, folder=job.folder.parent / "again")
    again.folder.mkdir()
    run(again)
    one, two = after(job).state_dict(), after(again).state_dict()
    assert all(same_bits(one[name], two[name]) for name in one)


@pytest.mark.parametrize("at", [0, 5, 11])
def test_a_run_killed_while_it_mixes_weights_resumes_to_the_same_bits(tiny_images, monkeypatch, at):
    _, whole = jobs(tiny_images)
    run(whole)
    cut = dataclasses.replace(whole, folder=whole.folder.parent / "cut")
    cut.folder.mkdir()
    mix, calls = interpolate_weights._mix, []

    def dies(*args):
        calls.append(1)
        if len(calls) == at + 1:
            raise KeyboardInterrupt  # nothing of the run is told of it, as with a kill
        mix(*args)

    monkeypatch.setattr(interpolate_weights, "_mix", dies)
    with pytest.raises(KeyboardInterrupt):
        list(train(cut, MemoryControl()))
    monkeypatch.setattr(interpolate_weights, "_mix", mix)
    run(dataclasses.replace(cut, resume=True))
    one, two = after(whole).state_dict(), after(cut).state_dict()
    assert all(same_bits(one[name], two[name]) for name in one)


def test_a_blend_of_adapters_is_refused(tiny_images):
    plan = dataclasses.replace(jobs(tiny_images)[1].plan, adapter=Adapter())
    assert "interpolate-adapter" in [finding.code for finding in check(plan, ["stem", "middle", "top"])]


def test_without_validation_items_the_tuned_weights_are_kept(tiny_images):
    from tl_core.data.split import SplitSpec

    dataset = dataclasses.replace(tiny_images, split=SplitSpec(validation=0.0))
    assert not np.size(dataset.rows("validation"))
    events = run(jobs(dataset)[1])
    assert any("no validation items" in e.finding.message for e in events if isinstance(e, Noted))
