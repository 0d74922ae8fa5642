"""The context of a job (task, workspace, folder, control), and helpers that all jobs share."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tl_core.backbones.catalogue import find_backbone
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.runs.control import RunControl
from tl_core.runs.events import Progress, RunEvent, RunStarted
from tl_core.runs.task import Task
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.features import FeatureStore

Events = Generator[RunEvent, None, None]
PUBLISH = 0.25  # seconds between two Progress events of one stage


@dataclass(frozen=True)
class Job:
    """A task, with the workspace, folder and control that it runs with."""

    task: Task
    workspace: Workspace
    folder: Path
    control: RunControl

    @property
    def spec(self) -> BackboneSpec:
        """The backbone. Raises UsageError for a name that does not exist."""
        return find_backbone(self.task.backbone, self.workspace)

    def dataset(self) -> Dataset:
        """Return the data set with the task's split and decisions. Raises DataError if they no longer exist."""
        from tl_core.data.sources import open_dataset

        dataset = open_dataset(self.workspace, self.task.fingerprint)
        return dataset.with_split(self.task.split).with_decisions(self.task.decisions)

    def store(self) -> "FeatureStore":
        """Return the workspace's feature store."""
        from tl_core.features import FeatureStore

        return FeatureStore(self.workspace)


def run_started(job: Job, dataset: Dataset) -> RunStarted:
    """Return the first event of a run that trains no model of its own."""
    items = {split: len(dataset.rows(split)) for split in ("train", "validation", "test")}
    return RunStarted(job.task.kind, None, {}, "", job.task.seed, items)


def follow_steps(job: Job, stage: str, steps: Iterator[tuple[int, int]]) -> Generator[RunEvent, None, bool]:
    """Turn (done, total) into Progress events, a few a second; return False if the run was stopped meanwhile."""
    shown = 0.0
    for done, total in steps:
        if job.control.stopped:
            return False
        if monotonic() - shown >= PUBLISH or done >= total:
            shown = monotonic()
            yield Progress(stage, done, total)
    return not job.control.stopped
