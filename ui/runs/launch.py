"""Starting runs: trainings, from-scratch baselines, and the small measurements that pages start by themselves."""

from dataclasses import replace

from tl_core.backbones.catalogue import BackboneSpec, find_backbone
from tl_core.backbones.speed import read_speed
from tl_core.data.dataset import Dataset
from tl_core.errors import RunError
from tl_core.runs import supervisor
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.strategies.from_scratch import scratch_plan
from ui import session
from ui.runs.lookup import find, store


def start(task: Task) -> str:
    """Queue a training, make it this project's run, and return its id."""
    run_id = supervisor.start(store(), task)
    session.update(run=run_id)
    return run_id


def start_scratch(run: RunState, budget: float) -> str:
    """Queue the same network from scratch on the run's own data, split and seed, for at most `budget` seconds.

    Raises RunError if the data set was deleted.
    """
    dataset, plan = session.open_dataset(run.task.fingerprint), run.task.plan
    if dataset is None or plan is None:
        raise RunError("The data set of this run is no longer in the workspace.", "Import it again on the Data page.")
    dataset = dataset.with_split(run.task.split).with_decisions(run.task.decisions)
    plan = scratch_plan(dataset, find_backbone(plan.backbone), dataset.rows("train"))
    task = replace(run.task, plan=plan, budget=budget, compare_to=run.id, name=f"{run.name}, from scratch")
    task = replace(task, source="", target="", teacher="")  # the baseline gets no extra data
    task = replace(task, source_decisions="", target_decisions="")
    return supervisor.start(store(), task)


def restart(state: RunState) -> str:
    """Queue the task of a run again, and return the id of the new run."""
    return supervisor.start(store(), state.task)


def find_or_start(task: Task) -> RunState:
    """Return the run of a task, started now if there is none. A failed run is not started again."""
    return find(task) or start_new(task)


def start_new(task: Task) -> RunState:
    """Start a new run of a task, and return it."""
    return store().state(supervisor.start(store(), task))


def speed_task(backbone: str) -> Task:
    """Return the task that measures a backbone on this machine."""
    return Task("speed", backbone, name=f"Speed of {session.backbone_title(backbone)}")


def probe_task(dataset: Dataset, backbone: str) -> Task:
    """Return the task that probes a data set with a backbone."""
    name = f"{dataset.name}, probe"
    return Task("probe", backbone, dataset.fingerprint, dataset.split, name=name, decisions=dataset.pin_decisions())


def measure_speed(spec: BackboneSpec) -> bool:
    """Start the speed test of a backbone if its speed is unknown; return whether the test is still running."""
    if not spec.ready or read_speed(session.workspace(), spec.name):
        return False
    return find_or_start(speed_task(spec.name)).active
