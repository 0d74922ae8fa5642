"""What to train: one job, its optional teacher, and the digest by which a checkpoint knows its job again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.features import STATE_BUDGET, FeatureStore
from tl_core.penalties import Need, available_needs
from tl_core.plan import TransferPlan
from tl_core.runs.events import PlanEdited
from tl_core.types import dump


@dataclass(frozen=True)
class Teacher:
    """A finished run over the same classes: its backbone, its plan, and the folder with its best weights."""

    spec: BackboneSpec
    plan: TransferPlan
    folder: Path


@dataclass(frozen=True)
class TrainJob:
    """What to train, on what, and where to leave the weights.

    `budget` limits the seconds of training; preparation does not count. `train_rows` restricts the training items to
    some rows of the data set (for a data-efficiency curve). `cache` limits the bytes of memory for the frozen prefix's
    activations; 0 caches nothing. Where they need more, `disk` limits their file in the workspace; 0 makes no file.
    `publish` is the shortest time in seconds between two StepDone or Progress events. `source` (labelled) and `target`
    (its labels are never read) are second data sets for the penalties and objectives that use them.
    `teacher` is a finished run to learn from.

    `resume` continues from the newest undamaged checkpoint in the folder, if there is one. `edits` are the plan edits
    of an earlier attempt, or of the run that this one repeats; each is applied at the step that it names. With
    `checkpoints` False none is written.
    """

    dataset: Dataset
    spec: BackboneSpec
    plan: TransferPlan
    seed: int
    folder: Path
    store: FeatureStore
    budget: float | None = None
    train_rows: Sequence[int] | None = None
    cache: int = 2 * 2**30
    disk: int = STATE_BUDGET
    publish: float = 0.25
    source: Dataset | None = None
    target: Dataset | None = None
    teacher: Teacher | None = None
    resume: bool = False
    edits: Sequence[PlanEdited] = ()
    checkpoints: bool = True

    @property
    def have(self) -> tuple[Need, ...]:
        """What the job has beside its data set, for the penalties that need it."""
        return available_needs(
            self.plan, self.spec, self.source is not None, self.target is not None, self.teacher is not None
        )


DIGESTED = {"recalibrate_norm": "adapt", "interpolate_weights": "blend"}
"""Fields of a phase that the digest names as the first checkpoints did."""
LATER = ("adapt", "only_if_better")
"""Fields of a phase, by their name in the digest, that the first checkpoints did not have."""


def identity(job: TrainJob) -> str:
    """Return a digest of what a run is about: its plan, its items, its seed, its teacher."""
    rows = None if job.train_rows is None else [int(row) for row in job.train_rows]
    others = [dataset.fingerprint if dataset is not None else "" for dataset in (job.source, job.target)]
    split = dump(job.dataset.split)
    teacher = job.teacher.folder.name if job.teacher else ""  # a run's id, or the digest of an imported model
    about: Any = [_digested_plan(job), job.seed, job.dataset.fingerprint, split, rows, others, teacher]
    decisions = [dataset.decisions_digest for dataset in (job.dataset, job.source, job.target) if dataset is not None]
    if any(decisions):
        about.append(decisions)
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _digested_plan(job: TrainJob) -> Any:
    """Return the plan under the field names of the first checkpoints, so that these can still be resumed.

    A field that they did not have is left out at its default.
    """
    plan = dump(job.plan)
    phases = [{DIGESTED.get(name, name): value for name, value in phase.items()} for phase in plan["phases"]]
    return {**plan, "phases": [{k: v for k, v in phase.items() if k not in LATER or v} for phase in phases]}
