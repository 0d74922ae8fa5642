"""Finding runs: the run store, this project's run, earlier measurements, baselines."""

import streamlit as st

from tl_core.data.split import SplitSpec
from tl_core.errors import GraftError
from tl_core.runs.store import RunState, RunStore
from tl_core.runs.task import Task
from ui import session


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


def _same(one: Task, other: Task) -> bool:
    return about(one) == about(other)


def about(task: Task) -> tuple[str, str, SplitSpec, str]:
    """Return what a measurement was made on: backbone, data set, split and decisions."""
    return task.backbone, task.fingerprint, task.split, task.decisions


def chosen() -> RunState | None:
    """Return the run of this project, None where there is none or it was deleted."""
    run_id = session.current().run
    try:
        return store().state(run_id) if run_id else None
    except GraftError:
        return None


def baselines(run_id: str) -> list[RunState]:
    """Return the from-scratch runs that were made to compare with this run, newest first."""
    return [state for state in store().list() if state.kind == "train" and state.task.compare_to == run_id]
