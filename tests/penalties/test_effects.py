"""The effect of each penalty: runs with and without it are compared by what it promises."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from tests.penalties.helpers import equipped, prepared, second_images, with_penalty
from tests.tiny import make_images
from tests.training.helpers import SOLVED, after, before, make_job, run
from tl_core.backbones.preprocess import preprocessor
from tl_core.penalties import PENALTIES, Batch, ItemSubset, PenaltyContext
from tl_core.penalties.mmd import median_distance, mmd2
from tl_core.plan import Head, Penalty, Phase
from tl_core.training.job import Teacher
from tl_core.training.model import HeadLayers
from tl_core.training.penalty_set import PenaltySet
from tl_core.workspace import Workspace

ALL = ("stem", "middle", "top", "head")
LONG = Phase("long", 25, dict.fromkeys(ALL, 3e-3), fit_on="train+validation")
"""No validation items judge it, so that the last weights are kept."""


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("effects"))
    return equipped(make_images(workspace), workspace, (SOLVED, LONG), batch_size=8)


@pytest.fixture(scope="module")
def free(job):
    """The model that the same plan leaves without any penalty."""
    return trained(job)


def trained(job, name=None, strength=None, **options):
    """The model that a run with the penalty leaves, or one without."""
    if name is not None:
        job = with_penalty(job, name, strength, **options)
    run(job)
    return after(job)


def features(model, job, dataset):
    items = job.store.prepared(dataset, job.spec)
    with torch.no_grad():
        return model.features(preprocessor(job.spec).collate(list(items), torch.device("cpu")))


def renamed(dataset):
    """The same items, each under the name of the next of the three classes."""
    frame = dataset.items.copy()
    frame["label"] = (frame["label"] + 1) % 3
    other = dataclasses.replace(dataset, fingerprint=f"{dataset.fingerprint}-renamed")
    other.__dict__["items"] = frame
    return other


def distances(model, start) -> dict[str, torch.Tensor]:
    first = dict(start.named_parameters())
    return {n: (p - first[n]).detach().abs() for n, p in model.named_parameters() if n.startswith("backbone")}


def test_l2_sp_at_a_large_strength_stays_at_the_pretrained_weights(job, free):
    start = before(job)
    loose, held = (distances(model, start) for model in (free, trained(job, "l2_sp", 100.0)))
    norms = [torch.cat([d.flatten() for d in one.values()]).norm().item() for one in (held, loose)]
    assert norms[0] < 0.1 * norms[1]
    assert norms[1] > 0.5


def test_ewc_holds_what_its_fisher_marks_and_lets_the_rest_go(job, free):
    start = before(job)
    fisher = prepared(with_penalty(job, "ewc", 0.999))[0].penalties.state()
    loose, held = (distances(model, start) for model in (free, trained(job, "ewc", 1.0)))
    names = [key.removeprefix("ewc/") for key in fisher]
    marks = torch.cat([fisher[f"ewc/{name}"].flatten() for name in names])
    loose_all, held_all = (torch.cat([one[name].flatten() for name in names]) for one in (loose, held))
    high, low = marks >= marks.quantile(0.9), marks <= marks.quantile(0.3)
    kept_high, kept_low = ((held_all[some].mean() / loose_all[some].mean()).item() for some in (high, low))
    assert kept_high < 0.5
    assert kept_low > 2 * kept_high


def test_lwf_keeps_the_predictions_of_the_original_head(job, free):
    head, start = job.spec.original_head(), before(job)
    first = head(features(start, job, job.dataset)).argmax(dim=1)
    assert len(first.unique()) > 1

    def agreement(model):
        return (head(features(model, job, job.dataset)).argmax(dim=1) == first).double().mean().item()

    held = agreement(trained(job, "lwf", 5.0))
    assert held >= 0.9
    assert agreement(free) < held - 0.1


def test_kl_keeps_the_predictions_of_the_solved_head(job, free):
    solved = trained(
        dataclasses.replace(job, plan=dataclasses.replace(job.plan, phases=(SOLVED,)), folder=job.folder.parent)
    )
    first = solved.head(features(solved, job, job.dataset)).log_softmax(dim=1)

    def divergence(model):
        now = model.head(features(model, job, job.dataset)).log_softmax(dim=1)
        return torch.nn.functional.kl_div(now, first, reduction="batchmean", log_target=True).item()

    assert divergence(trained(job, "kl", 30.0)) < 0.3 * divergence(free)


def test_distillation_takes_after_the_teacher(job, free):
    odd = make_job(renamed(job.dataset), [SOLVED], folder="odd")  # it errs in a way of its own
    run(odd)
    teacher = after(odd)
    predicted = teacher.head(features(teacher, job, job.dataset)).argmax(dim=1)
    taught = dataclasses.replace(job, teacher=Teacher(odd.spec, odd.plan, odd.folder))

    def agreement(model):
        return (model.head(features(model, job, job.dataset)).argmax(dim=1) == predicted).double().mean().item()

    assert agreement(free) < 0.3
    assert agreement(trained(taught, "distill", 20.0)) > 0.8


def measured_mmd(model, job):
    own, other = features(model, job, job.dataset), features(model, job, job.target)
    middle = median_distance(torch.cat((own, other))).item()
    return mmd2(own, other, [middle / 2, middle, middle * 2]).item()


def test_mmd_lowers_the_measured_mmd(job, free):
    without = measured_mmd(free, job)
    assert without > 0.2
    assert measured_mmd(trained(job, "mmd", 5.0), job) < 0.5 * without


class OneFeature(nn.Module):
    """One feature, a direction in the plane, and a head."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 1)
        self.head = HeadLayers(1, 2, Head())
        with torch.no_grad():
            self.net.weight.copy_(torch.tensor([[1.0, 1.0]]))


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_dann_leaves_a_domain_classifier_in_the_dark(strength):
    """The first coordinate tells the classes apart, the second the domains; the feature starts as their sum."""
    torch.manual_seed(0)
    model, labels = OneFeature(), torch.arange(400) % 2
    place = torch.stack((labels * 4.0 - 2.0, torch.arange(400) // 200 * 4.0 - 2.0), dim=1)
    points, rows = place + 0.35 * torch.randn(400, 2), np.arange(400)
    target = ItemSubset(rows[200:], torch.full((200,), -1))
    context = PenaltyContext(
        model, {}, ItemSubset(rows[:200], labels[:200], ("a", "b")), lambda some: model.net(points[some]), None, 32, 0,
        target=target,
    )  # fmt: skip
    term = PENALTIES["dann"].term(Penalty("dann", 1.0))
    list(term.prepare(context))
    (discriminator,) = term.modules()
    optimiser = torch.optim.Adam([*model.parameters(), *discriminator.parameters()], lr=1e-2)
    for step in range(1000):
        some = np.random.default_rng(step).choice(200, 32, replace=False)
        pooled = model.net(points[some])
        logits = model.head(pooled)

        def features_with(other, pooled=pooled):
            return pooled, model.net(points[other])

        loss = nn.functional.cross_entropy(logits, labels[some])
        batch = Batch(some, pooled, logits, labels[some], step, step / 1000, features_with)
        optimiser.zero_grad()
        (loss + strength * term.loss(batch)).backward()
        optimiser.step()
    with torch.no_grad():
        features = model.net(points)
        hits = (model.head(features).argmax(dim=1) == labels).double()
    predicted = cross_val_predict(KNeighborsClassifier(15), features.numpy(), rows // 200, cv=5)
    accuracy = (predicted == rows // 200).mean()
    assert hits[:200].mean() > 0.95
    if strength:
        assert accuracy < 0.6
        assert hits[200:].mean() > 0.95
    else:
        assert accuracy > 0.7


@pytest.fixture(scope="module")
def foreign(job):
    """The same job with a source of four classes, which are not the run's own three."""
    return dataclasses.replace(job, source=second_images(job.store.workspace, 4))


@pytest.mark.parametrize("name", ["dann", "replay"])
def test_helper_networks_learn_in_the_loop(foreign, name, monkeypatch):
    helpers, prepare = [], PenaltySet.prepare

    def watched(self, context):
        findings = yield from prepare(self, context)
        helpers.extend((module, copy.deepcopy(module.state_dict())) for module in self.modules())
        return findings

    monkeypatch.setattr(PenaltySet, "prepare", watched)
    run(with_penalty(foreign, name))
    ((module, start),) = helpers
    assert all(not torch.equal(parameter, start[key]) for key, parameter in module.named_parameters())


def right(model, head, job) -> float:
    """The share of the source's items that a head gets right on the model's features."""
    with torch.no_grad():
        scores = head(features(model, job, job.source))
    return (scores.argmax(dim=1).numpy() == job.source.labels).mean()


def test_replay_keeps_the_source_accuracy_of_the_runs_own_head(job, free):
    """The source has the run's own names, for other patterns."""
    job = dataclasses.replace(job, source=renamed(job.source))
    kept = trained(job, "replay", 1.0)
    assert right(kept, kept.head, job) > right(free, free.head, job) + 0.3


def test_replay_keeps_what_the_features_say_of_foreign_classes(foreign, free):
    first = prepared(with_penalty(foreign, "replay", 0.999))[0]
    (head,) = first.penalties.modules()
    assert right(first.model, head, foreign) > 0.9
    assert right(trained(foreign, "replay", 1.0), head, foreign) > right(free, head, foreign) + 0.3
