"""The rank job: one probe with each backbone that is ready, and what each is good for on these data."""

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from tl_core.backbones.catalogue import find_backbone, ready_for
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import BackboneError, RunError
from tl_core.jobs.job import Events, Job, follow_steps, run_started
from tl_core.runs.events import Noted, Progress, RunEnded, RunEvent
from tl_core.types import Finding, noun

if TYPE_CHECKING:
    from tl_core.advice.measure_ranking import Measured

STOPPED = "Stopped before every backbone was measured; nothing is ranked, and what was read is kept for the next time."


def run_rank(job: Job) -> Events:
    """Measure every backbone of the task (none named: all that are ready), and rank them.

    One that cannot be used is left out with a note. Raises RunError where none can be used.
    """
    from tl_core.advice.measure_ranking import rank
    from tl_core.advice.ranking import write_ranking

    dataset = job.dataset()
    yield run_started(job, dataset)
    named = [find_backbone(name, job.workspace) for name in job.task.backbones]
    specs = named or list(ready_for(dataset.modality, job.workspace))
    measured, failed = [], []
    for place, spec in enumerate(specs):
        try:
            one = yield from _measure(job, dataset, spec, (place, len(specs)))
        except BackboneError as error:
            failed.append(f"{spec.title}: {error}")
            yield Noted(Finding("warn", "backbone-left-out", f"{spec.title} is left out: {error.message}", error.hint))
            continue
        if one is None:
            yield RunEnded("stopped", STOPPED)
            return
        measured.append(one)
    if not measured:
        raise RunError(f"No backbone for {noun(dataset.modality)} could be measured.", " ".join(failed))
    ranking = replace(rank(dataset, measured, failed), asked=tuple(spec.name for spec in specs))
    write_ranking(job.workspace, ranking, job.task.backbones)
    yield RunEnded("done", f"{len(measured)} backbones are ranked." if len(measured) > 1 else "One is measured.")


def _measure(
    job: Job, dataset: Dataset, spec: BackboneSpec, place: tuple[int, int]
) -> Generator[RunEvent, None, "Measured | None"]:
    """Probe the data with one backbone and measure it; returns None if the run was stopped meanwhile."""
    from tl_core.advice.measure_ranking import measure_backbone
    from tl_core.backbones.speed import measure_speed, read_speed

    number, count = place
    stage = f"{spec.title}, {number + 1} of {count}"
    store = job.store()
    steps = ((number * total + done, count * total) for done, total in store.probe(dataset, spec))  # over all of them
    if not (yield from follow_steps(job, stage, steps)):
        return None
    n = len(dataset.items)
    yield Progress(f"{stage}, comparing depths", (number + 1) * n, count * n)
    speed = read_speed(job.workspace, spec.name) or measure_speed(spec, job.workspace)
    return None if job.control.stopped else measure_backbone(dataset, spec, store, speed)
