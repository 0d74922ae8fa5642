"""What each kind of run does: a task becomes a stream of events, and files that outlive the run."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.runs.control import RunControl
from tl_core.runs.events import Progress, RunEnded, RunEvent, RunStarted
from tl_core.runs.task import Task
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.features import FeatureStore

Events = Generator[RunEvent, None, None]
PUBLISH = 0.25  # seconds between two Progress events of one stage


@dataclass(frozen=True)
class Job:
    """A task with everything it needs at hand."""

    task: Task
    workspace: Workspace
    folder: Path
    control: RunControl

    @property
    def spec(self) -> BackboneSpec:
        """The backbone. Raises UsageError for a name that does not exist."""
        return BACKBONES[self.task.backbone]

    def dataset(self) -> Dataset:
        """Return the data set under the split that the task names. Raises DataError where it is gone."""
        from tl_core.data.sources import open_dataset

        return replace(open_dataset(self.workspace, self.task.fingerprint), split=self.task.split)

    def store(self) -> "FeatureStore":
        """Return the workspace's feature store."""
        from tl_core.features import FeatureStore

        return FeatureStore(self.workspace)


def execute(task: Task, workspace: Workspace, folder: Path, control: RunControl) -> Iterator[RunEvent]:
    """Do what a task asks and yield what happens, RunEnded exactly once and last, unless an exception ends it.

    `folder` takes what the run makes; what serves other runs too goes to the workspace. Raises GraftError for
    everything that a person can put right.
    """
    yield from _KINDS[task.kind](Job(task, workspace, folder, control))


def _probe(job: Job) -> Events:
    """One forward pass, then the evidence that rests on it, then the cheap arms of the curve."""
    from tl_core.advice.evidence import probe_report
    from tl_core.advice.values import write_report

    dataset, spec, store = job.dataset(), job.spec, job.store()
    yield _started(job, dataset)
    if not (yield from _counted(job, "Reading the data with the backbone", store.probe(dataset, spec))):
        yield RunEnded("stopped", "Stopped before the backbone had seen every item; nothing was kept.")
        return
    yield Progress("Comparing depths", 0, 1)
    write_report(job.workspace, probe_report(dataset, spec, store))
    yield Progress("Comparing depths", 1, 1)
    yield RunEnded("done", "The backbone has seen every item.")


def _speed(job: Job) -> Events:
    """Measure the backbone on this machine."""
    from tl_core.backbones.speed import measure_speed

    yield RunStarted("speed", None, {}, "", job.task.seed, {})
    yield Progress("Measuring the speed of this machine", 0, 1)
    measure_speed(job.spec, job.workspace)
    yield Progress("Measuring the speed of this machine", 1, 1)
    yield RunEnded("done", "The speed is measured.")


def _started(job: Job, dataset: Dataset) -> RunStarted:
    items = {split: len(dataset.rows(split)) for split in ("train", "validation", "test")}
    groups = {group.name: 0 for group in job.spec.groups}
    return RunStarted(job.task.kind, job.task.plan, groups, "", job.task.seed, items)


def _counted(job: Job, stage: str, steps: Iterator[tuple[int, int]]) -> Generator[RunEvent, None, bool]:
    """Turn (done, total) into Progress, not too often; return False where the run was stopped on the way."""
    shown = 0.0
    for done, total in steps:
        if job.control.stopped:
            return False
        if monotonic() - shown >= PUBLISH or done >= total:
            shown = monotonic()
            yield Progress(stage, done, total)
    return not job.control.stopped


_KINDS: dict[str, Callable[[Job], Events]] = {"probe": _probe, "speed": _speed}
