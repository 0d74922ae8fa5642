"""What each kind of run does: a task becomes a stream of events, and files that outlive the run."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tl_core.jobs.check import run_check
from tl_core.jobs.curve import run_curve
from tl_core.jobs.job import Events, Job
from tl_core.jobs.probe import run_probe, run_speed
from tl_core.jobs.train import run_train
from tl_core.jobs.tuning import run_layers, run_rates
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
}


def execute(task: Task, workspace: Workspace, folder: Path, control: RunControl) -> Iterator[RunEvent]:
    """Do what a task asks and yield what happens, RunEnded exactly once and last, unless an exception ends it.

    `folder` takes what the run makes; what serves other runs too goes to the workspace. Raises GraftError for
    everything that a person can put right.
    """
    yield from _KINDS[task.kind](Job(task, workspace, folder, control))
