"""The tuning jobs: the learning-rate range test and the layer-wise sweep, saved in the run's folder."""

from typing import TYPE_CHECKING

from tl_core.errors import RunError
from tl_core.evaluation.result_files import write_layers, write_rates
from tl_core.jobs.extra_inputs import open_extra_inputs
from tl_core.jobs.job import Events, Job, run_started
from tl_core.runs.events import Progress, RunEnded

if TYPE_CHECKING:
    from tl_core.training.job import TrainJob


def run_rates(job: Job) -> Events:
    """Find out which learning rates suit the plan's first phase of fine-tuning."""
    from tl_core.training.lr_finder import find_rate

    training = _training(job)
    yield run_started(job, training.dataset)
    for outcome in find_rate(training, job.control):
        if isinstance(outcome, Progress):
            yield outcome
        else:
            write_rates(job.folder, outcome)
            yield RunEnded("done", "The rates are tried.")
            return
    yield RunEnded("stopped", "Stopped before every rate was tried; nothing was kept.")


def run_layers(job: Job) -> Events:
    """Train each layer group alone for a few steps, saved after every group so that it can be watched."""
    from tl_core.evaluation.layer_sweep import sweep_layers

    training = _training(job)
    yield run_started(job, training.dataset)
    complete = False
    for outcome in sweep_layers(training, job.control):
        if isinstance(outcome, Progress):
            yield outcome
        else:
            write_layers(job.folder, outcome)
            complete = len(outcome.groups) == outcome.total
    if complete:
        yield RunEnded("done", "Every layer group is tried.")
    else:
        yield RunEnded("stopped", "Stopped on request; the layer groups that were tried are kept.")


def _training(job: Job) -> "TrainJob":
    from tl_core.training.job import TrainJob

    if job.task.plan is None:
        raise RunError("There is no plan to try anything for.", "Make one on the plan page.")
    dataset = job.dataset()
    extra_inputs = vars(open_extra_inputs(job.workspace, job.task, dataset))
    return TrainJob(dataset, job.spec, job.task.plan, job.task.seed, job.folder, job.store(), **extra_inputs)
