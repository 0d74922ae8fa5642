"""Check a teacher for leakage: whether it was trained on test items of its student."""

from dataclasses import replace

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.errors import GraftError
from tl_core.jobs.extra_inputs import IMPORTED_PREFIX, imported_teacher
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunStore
from tl_core.types import Finding
from tl_core.workspace import Workspace

KNOWS_TEST = "teacher-knows-test"
DATA_GONE = "teacher-data-gone"


def teacher_findings(workspace: Workspace, name: str, dataset: Dataset) -> tuple[Finding, ...]:
    """Return a warning if a teacher was trained on test items of `dataset` (compared by content), else nothing.

    If the teacher's own data are gone, a note says so. Neither finding blocks a training.
    """
    try:
        teacher_data, plan = _taught_on(workspace, name)
    except (GraftError, OSError, ValueError):
        message = "The teacher's training data are not here, so nobody can check whether it was trained on test items."
        hint = "If it was, the result on the test items looks better than it is."
        return (Finding("info", DATA_GONE, message, hint),)
    everything = any(phase.fit_on == "train+validation" for phase in plan.phases)
    rows = teacher_data.rows("train", "validation") if everything else teacher_data.rows("train")
    tested = dataset.items["digest"].to_numpy()[dataset.rows("test")]
    overlap = int(np.isin(tested, teacher_data.items["digest"].to_numpy()[rows]).sum())
    if not overlap:
        return ()
    message = (
        f"The teacher learned from {overlap:,} of the {len(tested):,} test items, so the result on the test items may "
        "look better than it is."
    )
    hint = "Choose a teacher that was trained on these data with the same split, or measure the result on other items."
    return (Finding("warn", KNOWS_TEST, message, hint),)


def _taught_on(workspace: Workspace, name: str) -> tuple[Dataset, TransferPlan]:
    """Return the teacher's data with their split, and its plan. Raises DataError or RunError if either is gone."""
    from tl_core.data.sources import open_dataset

    if name.startswith(IMPORTED_PREFIX):
        facts = imported_teacher(workspace, name)[1]
        dataset = open_dataset(workspace, facts.fingerprint)
        return replace(dataset, split=facts.split, decisions=facts.decisions), facts.plan
    task = RunStore(workspace).task(name)
    assert task.plan is not None, "only a training teaches"
    return open_dataset(workspace, task.fingerprint).with_split(task.split).with_decisions(task.decisions), task.plan
