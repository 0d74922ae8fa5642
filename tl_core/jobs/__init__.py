"""Jobs: carry out the task of a run, as a stream of events; the results are files."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tl_core.jobs.check import run_check
from tl_core.jobs.curve import run_curve
from tl_core.jobs.job import Events, Job
from tl_core.jobs.probe import run_probe, run_speed
from tl_core.jobs.rank import run_rank
from tl_core.jobs.train import run_train
from tl_core.jobs.tuning import run_layers, run_rates
from tl_core.jobs.zero_shot import run_zero_shot
from tl_core.runs.control import RunControl
from tl_core.runs.events import RunEvent
from tl_core.runs.task import Kind, Task
from tl_core.workspace import Workspace

_KINDS: dict[Kind, Callable[[Job], Events]] = {
    "probe": run_probe,
    "train": run_train,
    "curve": run_curve,
    "speed": run_speed,
    "rates": run_rates,
    "layers": run_layers,
    "check": run_check,
    "zeroshot": run_zero_shot,
    "rank": run_rank,
}


def execute(task: Task, workspace: Workspace, folder: Path, control: RunControl) -> Iterator[RunEvent]:
    """Carry out a task and yield its events; RunEnded comes exactly once, last, unless an exception is raised.

    The run's own results go to `folder`, shared results to the workspace. Raises GraftError for mistakes that a person
    can correct.
    """
    yield from _KINDS[task.kind](Job(task, workspace, folder, control))
