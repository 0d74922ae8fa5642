"""What every way of training owes: what it leaves can be taken away, and answers outside as it was measured here."""

import numpy as np
import pytest

from tests.test_jobs import plan_of, run
from tl_core.evaluation.result_files import bundle_folder, ensemble_folder, read_report
from tl_core.export.bundle import dataset_items
from tl_core.export.ensemble import open_bundle
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.strategies import STRATEGIES


@pytest.fixture
def ground(request, workspace, tiny_backbones):
    """A tiny data set and the name of a backbone for it."""
    return request.getfixturevalue(request.param), tiny_backbones[request.param != "tiny_images"]


def short(strategy: str, dataset, backbone: str) -> TransferPlan:
    """Return the strategy's plan with as few epochs as it allows."""
    named = {field for field in vars(STRATEGIES[strategy].options()) if field in ("epochs", "passes", "patience")}
    return plan_of(strategy, dataset, backbone, **dict.fromkeys(named, 1))


def trained(workspace, dataset, plan: TransferPlan, **more) -> str:
    run_id, events = run(workspace, Task("train", plan.backbone, dataset.fingerprint, plan=plan, **more))
    assert events[-1].status == "done", events[-1]
    return run_id


def answers_as_measured(folder, report, dataset) -> None:
    exported = open_bundle(folder)
    items = dataset_items(dataset, np.array([item.row for item in report.predictions]))
    told = np.array([item.probabilities for item in report.predictions])
    assert np.abs(exported.predict(items) - told).max() <= 1e-4
    assert exported.classes == report.classes
    assert exported.report == report


ONE, SEVERAL = ("tiny_images", "tiny_texts"), "tiny_multilabel"
GROUNDS = [
    (name, kind) for place, name in enumerate(STRATEGIES) for kind in (ONE[place % 2], SEVERAL)
    if (name, kind) != ("contrastive", SEVERAL)
]  # fmt: skip
"""Each strategy on pictures or texts in turn, and on items with several labels, unless it cannot learn from those."""


@pytest.mark.parametrize(("strategy", "ground"), GROUNDS, indirect=["ground"])
def test_every_strategy_exports(strategy, ground, workspace):
    dataset, backbone = ground
    teacher = (
        trained(workspace, dataset, short("feature_extraction", dataset, backbone)) if strategy == "distil" else ""
    )
    run_id = trained(workspace, dataset, short(strategy, dataset, backbone), teacher=teacher)
    folder = RunStore(workspace).folder(run_id)
    answers_as_measured(bundle_folder(folder), read_report(folder), dataset)


@pytest.mark.parametrize("ground", [*ONE, SEVERAL], indirect=True)
def test_the_ensemble_exports(ground, workspace):
    dataset, backbone = ground
    first = trained(workspace, dataset, short("feature_extraction", dataset, backbone))
    scratch = trained(workspace, dataset, short("from_scratch", dataset, backbone), compare_to=first, budget=30.0)
    store = RunStore(workspace)
    both = [read_report(store.folder(name)) for name in (first, scratch)]
    folder = ensemble_folder(store.folder(first))
    report = open_bundle(folder).report
    mean = np.mean([[item.probabilities for item in one.predictions] for one in both], axis=0)
    np.testing.assert_allclose([item.probabilities for item in report.predictions], mean, atol=1e-6)
    answers_as_measured(folder, report, dataset)
