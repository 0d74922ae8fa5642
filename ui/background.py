"""Small measurements that the pages ask for by themselves: a backbone's speed here, the probe of a data set."""

from typing import cast

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.split import SplitSpec
from tl_core.runs import supervisor
from tl_core.runs.events import Progress
from tl_core.runs.store import RunState, RunStore
from tl_core.runs.task import Task
from ui import session, words

STAGES = {
    "features": "Showing every item to the backbone once",
    "comparing depths": "Finding out how much of the backbone suits your data",
}
PARTS = {"features": (0.0, 0.6), "comparing depths": (0.6, 1.0)}
"""Which part of the bar a stage of the probe fills."""


def store() -> RunStore:
    """Return the runs of this server's workspace; the object keeps what it knows of runs that ended."""
    return _store(str(session.workspace().folder("runs").parent))


@st.cache_resource(show_spinner=False)
def _store(root: str) -> RunStore:
    return RunStore(session.workspace())


def find(task: Task) -> RunState | None:
    """Return the newest run that was asked the same thing."""
    same = (state for state in store().list() if state.kind == task.kind and _same(state.task, task))
    return next(same, None)


def ensure(task: Task) -> RunState:
    """Return the run of a task, begun now where there is none. One that failed is not begun again by itself."""
    return find(task) or again(task)


def again(task: Task) -> RunState:
    """Begin a task anew, and return its run."""
    return store().state(supervisor.start(store(), task))


def speed_task(backbone: str) -> Task:
    """Return the task that measures a backbone on this machine."""
    return Task("speed", backbone, name=f"Speed of {backbone}")


def probe_task(dataset: Dataset, backbone: str) -> Task:
    """Return the task that shows a data set to a backbone once."""
    name = f"{dataset.name}, probe"
    return Task("probe", backbone, dataset.fingerprint, dataset.split, name=name, decisions=dataset.pin())


def progress(state: RunState) -> tuple[float, str]:
    """Return how far a run is, 0 to 1, and what it does, in words."""
    if state.status == "queued":
        return 0.0, "Waiting for its turn: another run is at work, and is listed under Runs"
    events, _ = store().events(state.id)
    # by name, because a reloaded module has classes of its own
    last = cast(Progress | None, next((each for each in reversed(events) if type(each).__name__ == "Progress"), None))
    if last is None:
        return 0.0, "Starting"
    low, high = PARTS.get(last.stage, (0.0, 1.0))
    share = low + (high - low) * min(1.0, last.done / max(1, last.total))
    doing = STAGES.get(last.stage, words.sentence(last.stage))
    return share, f"{doing}: {last.done:,} of {last.total:,}" if last.total > 1 else doing


def _same(one: Task, other: Task) -> bool:
    return about(one) == about(other)


def about(task: Task) -> tuple[str, str, SplitSpec, str]:
    """Return what a measurement was made on: backbone, data set, split and decisions."""
    return task.backbone, task.fingerprint, task.split, task.decisions
