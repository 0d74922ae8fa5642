"""Finding runs: the run store, this project's run, earlier measurements, baselines."""

import streamlit as st

from tl_core.data.split import SplitSpec
from tl_core.errors import GraftError
from tl_core.runs.store import RunState, RunStore
from tl_core.runs.task import Task
from ui import session


def store() -> RunStore:
    """Return the run store of this server's workspace; it keeps the states of runs that ended."""
    return _store(str(session.workspace().folder("runs").parent))


@st.cache_resource(show_spinner=False)
def _store(root: str) -> RunStore:
    return RunStore(session.workspace())


def find(task: Task) -> RunState | None:
    """Return the newest run that measures the same thing on the same inputs; None if there is none."""
    runs = (state for state in store().list() if state.kind == task.kind)
    return next((state for state in runs if measured_on(state.task) == measured_on(task)), None)


def measured_on(task: Task) -> tuple[str, str, SplitSpec, str]:
    """Return the inputs of a measurement: backbone, data set, split and decisions."""
    return task.backbone, task.fingerprint, task.split, task.decisions


def project_run() -> RunState | None:
    """Return the run of this project; None if it has none or the run was deleted."""
    run_id = session.current().run
    try:
        return store().state(run_id) if run_id else None
    except GraftError:
        return None


def baselines(run_id: str) -> list[RunState]:
    """Return the from-scratch runs that this run is compared with, the newest first."""
    return [state for state in store().list() if state.kind == "train" and state.task.compare_to == run_id]
