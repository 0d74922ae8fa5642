"""What every strategy must keep: its bundle gives the predictions that were measured."""

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
def dataset_and_backbone(request, workspace, tiny_backbones):
    """A tiny data set and the name of a backbone for it."""
    return request.getfixturevalue(request.param), tiny_backbones[request.param != "tiny_images"]


def short(strategy: str, dataset, backbone: str) -> TransferPlan:
    """Return the strategy's plan with as few epochs as it allows."""
    once = {field for field in vars(STRATEGIES[strategy].options()) if field in ("epochs", "passes", "patience")}
    return plan_of(strategy, dataset, backbone, **dict.fromkeys(once, 1))


def trained(workspace, dataset, plan: TransferPlan, **more) -> str:
    run_id, events = run(workspace, Task("train", plan.backbone, dataset.fingerprint, plan=plan, **more))
    assert events[-1].status == "done", events[-1]
    return run_id


def answers_as_measured(folder, report, dataset) -> None:
    exported = open_bundle(folder)
    items = dataset_items(dataset, np.array([item.row for item in report.predictions]))
    measured = np.array([item.probabilities for item in report.predictions])
    assert np.abs(exported.predict(items) - measured).max() <= 1e-4
    assert exported.classes == report.classes
    assert exported.report == report


SINGLE_LABEL, MULTILABEL = ("tiny_images", "tiny_texts"), "tiny_multilabel"
CASES = [
    (name, kind) for index, name in enumerate(STRATEGIES) for kind in (SINGLE_LABEL[index % 2], MULTILABEL)
    if (name, kind) != ("contrastive", MULTILABEL)
]  # fmt: skip
"""Each strategy on pictures or texts in turn, and on items with several labels, unless it cannot learn from those."""


@pytest.mark.parametrize(("strategy", "dataset_and_backbone"), CASES, indirect=["dataset_and_backbone"])
def test_every_strategy_exports(strategy, dataset_and_backbone, workspace):
    dataset, backbone = dataset_and_backbone
    teacher = (
        trained(workspace, dataset, short("feature_extraction", dataset, backbone)) if strategy == "distil" else ""
    )
    run_id = trained(workspace, dataset, short(strategy, dataset, backbone), teacher=teacher)
    folder = RunStore(workspace).folder(run_id)
    answers_as_measured(bundle_folder(folder), read_report(folder), dataset)


@pytest.mark.parametrize("dataset_and_backbone", [*SINGLE_LABEL, MULTILABEL], indirect=True)
def test_the_ensemble_exports(dataset_and_backbone, workspace):
    dataset, backbone = dataset_and_backbone
    first = trained(workspace, dataset, short("feature_extraction", dataset, backbone))
    scratch = trained(workspace, dataset, short("from_scratch", dataset, backbone), compare_to=first, budget=30.0)
    store = RunStore(workspace)
    reports = [read_report(store.folder(name)) for name in (first, scratch)]
    folder = ensemble_folder(store.folder(first))
    report = open_bundle(folder).report
    mean = np.mean([[item.probabilities for item in single.predictions] for single in reports], axis=0)
    np.testing.assert_allclose([item.probabilities for item in report.predictions], mean, atol=1e-6)
    answers_as_measured(folder, report, dataset)
