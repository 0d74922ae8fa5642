"""Every penalty on real weights and real pictures: it trains, and its size is a number of a sensible size."""

import dataclasses

import numpy as np
import pytest

from tests.training.helpers import run
from tl_core.backbones.spec import BACKBONES
from tl_core.data.sources import import_data
from tl_core.features import FeatureStore
from tl_core.penalties import PENALTIES
from tl_core.plan import Penalty, Phase, TransferPlan
from tl_core.runs.events import StepDone
from tl_core.training.job import Teacher
from tl_core.training.loop import TrainJob
from tl_core.workspace import Workspace

pytestmark = pytest.mark.slow
SOLVED = Phase("head", 60, {"head": 1.0}, optimizer="lbfgs", weight_decay=0.05)
TUNED = Phase("tune", 1, {"blocks.6": 3e-4, "top": 3e-4, "head": 3e-4})


def part(whole, name, rows):
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-{name}")
    dataset.__dict__["items"] = whole.items.iloc[rows].reset_index(drop=True)
    return dataset


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """24 pictures of textile, 12 others as source and target, a solved head as teacher."""
    root = tmp_path_factory.mktemp("packaged")
    workspace = Workspace(root / "graft")
    whole = import_data("sample:textile_defects", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, 36).astype(int))
    own, other = part(whole, "own", np.delete(rows, np.s_[::3])), part(whole, "other", rows[::3])
    spec, store = BACKBONES["efficientnet_lite0"], FeatureStore(workspace)
    plans = [TransferPlan(spec.name, "by hand", phases, batch_size=8) for phases in ((SOLVED,), (SOLVED, TUNED))]
    (root / "teacher").mkdir()
    teacher = TrainJob(own, spec, plans[0], 0, root / "teacher", store)
    run(teacher)
    taught = Teacher(spec, plans[0], root / "teacher")
    return TrainJob(own, spec, plans[1], 0, root, store, publish=0.0, source=other, target=other, teacher=taught)


@pytest.mark.parametrize("name", PENALTIES)
def test_it_trains_real_weights(name, job):
    options = {"items": 10} if name == "ewc" else {}
    penalty = Penalty(name, PENALTIES[name].strength, options)
    folder = job.folder / name
    folder.mkdir()
    plan = dataclasses.replace(job.plan, penalties=(penalty,))
    events = run(dataclasses.replace(job, plan=plan, folder=folder))
    sizes = [event.penalties[name] for event in events if isinstance(event, StepDone) and event.phase == 1]
    assert len(sizes) > 1
    assert 0 < max(map(abs, sizes)) < 20
