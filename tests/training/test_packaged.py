"""Real weights on real data: small, but nothing in it is made up."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.training.helpers import SOLVED, after, descent, epochs, logits, run, same_bits
from tests.training.test_resume import PausesAt, attempt, same_end, whole
from tl_core.backbones.spec import BACKBONES
from tl_core.data.sources import import_data
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.events import RunPaused, RunResumed
from tl_core.training.inputs import CachedInputs
from tl_core.training.loop import TrainJob
from tl_core.training.model import build_model, groups_of

pytestmark = pytest.mark.slow
CASES = [("textile_defects", "efficientnet_lite0", 60), ("bbc_news", "all_minilm_l6_v2", 60)]


def test_running_statistics_of_ported_weights_follow_at_torchs_rate():
    """A tenth of a new batch: the much smaller share in some recipes would leave statistics that fit neither data."""
    network = BACKBONES["efficientnet_lite0"].load(True)
    assert {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}


@pytest.mark.parametrize(("sample", "backbone", "count"), CASES)
def test_a_solved_head_is_logistic_regression_and_tuning_keeps_what_is_frozen(
    sample, backbone, count, workspace, tmp_path
):
    whole = import_data(f"sample:{sample}", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, count).astype(int))
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-part")
    dataset.__dict__["items"] = whole.items.iloc[rows].reset_index(drop=True)
    spec, store, l2 = BACKBONES[backbone], FeatureStore(workspace), 0.05
    last = spec.groups[-1].name
    solved = Phase("head", 60, {"head": 1.0}, optimizer="lbfgs", weight_decay=l2)
    tuned = Phase("tune", 2, {last: 1e-4, "head": 1e-4}, warmup=0.1)

    def job(name, *phases):
        (tmp_path / name).mkdir()
        plan = TransferPlan(backbone, "by hand", phases, batch_size=8)
        return TrainJob(dataset, spec, plan, 0, tmp_path / name, store)

    head = job("head", solved)
    run(head)
    features, train_rows = store.features(dataset, spec).astype(np.float64), dataset.rows("train")
    model = after(head)
    # in the head's own units: scikit-learn's scaler blows the backbone's dead features up to deviation 1
    standard = (features - model.head.mean.numpy()) / model.head.std.numpy()
    oracle = LogisticRegression(C=1 / (l2 * len(train_rows)), tol=1e-10, max_iter=20_000)
    oracle.fit(standard[train_rows], dataset.labels[train_rows])
    held_out = dataset.rows("test")
    predicted = logits(model, head, held_out).softmax(dim=1).numpy()
    np.testing.assert_allclose(predicted, oracle.predict_proba(standard[held_out]), atol=2e-3)

    both = job("both", solved, tuned)
    events = run(both)
    start, tune = epochs(events, 0)[-1], epochs(events, 1)
    assert max(e.validation["accuracy"] for e in [start, *tune]) >= start.validation["accuracy"]
    fresh, left = build_model(spec, both.plan, len(dataset.classes), 0), after(both)
    moved = any(event.best for event in tune)
    for group, names in groups_of(fresh, spec).items():
        stored = [name for name in names if name in fresh.state_dict() and not name.startswith("head")]
        same = [same_bits(fresh.state_dict()[name], left.state_dict()[name]) for name in stored]
        assert all(same) or (group == last and moved), group


RESUMED = [
    ("bbc_news", "all_minilm_l6_v2", None, "float32"),
    ("bbc_news", "all_minilm_l6_v2", None, "bfloat16"),
    ("textile_defects", "efficientnet_lite0", 2, "float32"),
]
"""Data, backbone, how many of its last groups learn (None: all), in which numbers."""


@pytest.mark.parametrize(("sample", "backbone", "last", "precision"), RESUMED)
def test_a_killed_and_resumed_run_ends_with_the_same_bits(
    sample, backbone, last, precision, workspace, tmp_path, monkeypatch
):
    spec, data = BACKBONES[backbone], import_data(f"sample:{sample}", workspace)
    rows = np.unique(np.linspace(0, len(data.items) - 1, 30).astype(int))
    dataset = dataclasses.replace(data, fingerprint=f"{data.fingerprint}-part")
    items = data.items.iloc[rows].reset_index(drop=True)
    dataset.__dict__["items"] = items.assign(text=items["text"].str[:80]) if data.modality == "text" else items
    groups = [group.name for group in spec.groups][-last if last else 0 :]
    phases = (SOLVED, descent([*groups, "head"], 3, 1e-4))
    plan = TransferPlan(backbone, "by hand", phases, batch_size=8, precision=precision)
    read, take = set(), CachedInputs.state
    monkeypatch.setattr(CachedInputs, "state", lambda self, *args, **more: read.add(1) or take(self, *args, **more))

    def job(name):
        (tmp_path / name).mkdir()
        return TrainJob(dataset, spec, plan, 0, tmp_path / name, FeatureStore(workspace), resume=True)

    plain, dropped = job("plain"), job("dropped")
    expected = whole(plain)
    assert bool(read) == bool(last), "the frozen stages run once"
    looks = len(epochs(expected, 0)) + 4  # three steps make an epoch
    events = attempt(dropped, PausesAt(looks), lambda event, _: isinstance(event, RunPaused))
    assert isinstance(events[-1], RunPaused)
    events += whole(dropped)
    (resumed,) = (event for event in events if isinstance(event, RunResumed))
    assert (resumed.phase, resumed.epoch) == (1, 1), "in the middle of the second of three epochs"
    same_end(dropped, plain, events, expected)  # the losses of every epoch among what it compares
