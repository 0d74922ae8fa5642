"""Starting, finding and naming runs for the pages."""

from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import GraftError, RunError
from tl_core.runs import supervisor
from tl_core.runs.store import RunState, RunStore, Status
from tl_core.runs.task import Task
from tl_core.strategies import STRATEGIES
from tl_core.strategies.from_scratch import scratch_plan
from ui import background, session, words

Colour = Literal["blue", "orange", "green", "red", "gray", "violet"]


@dataclass(frozen=True)
class StatusStyle:
    """How a run's status is shown: a word, a colour and an icon."""

    word: str
    colour: Colour
    icon: str


STATUS_STYLES: dict[Status, StatusStyle] = {
    "queued": StatusStyle("Waiting", "gray", ":material/hourglass_empty:"),
    "running": StatusStyle("Running", "violet", ":material/play_circle:"),
    "done": StatusStyle("Finished", "green", ":material/check_circle:"),
    "stopped": StatusStyle("Stopped", "blue", ":material/stop_circle:"),
    "failed": StatusStyle("Failed", "red", ":material/error:"),
    "paused": StatusStyle("Paused", "orange", ":material/pause_circle:"),
    "interrupted": StatusStyle("Interrupted", "orange", ":material/power_off:"),
}


def store() -> RunStore:
    """Return the runs of this server's workspace."""
    return background.store()


def badge(state: RunState) -> None:
    """Show a run's status as a word with colour and icon."""
    look = STATUS_STYLES["paused" if state.paused and not state.stopping else state.status]
    word = "Stopping…" if state.stopping else look.word
    st.badge(word, icon=look.icon, color=look.colour)


def chosen() -> RunState | None:
    """Return the run of this project, None where there is none or it was deleted."""
    run_id = session.current().run
    try:
        return store().state(run_id) if run_id else None
    except GraftError:
        return None


def title(state: RunState) -> str:
    """Return a run's name for Markdown."""
    return words.tell(state.name)


def strategy_title(name: str) -> str:
    """Return a strategy's title; a name from elsewhere becomes words."""
    return STRATEGIES[name].title if name in STRATEGIES else words.sentence(name)


def start(task: Task) -> str:
    """Queue a training, make it this project's run, and return its id."""
    run_id = supervisor.start(store(), task)
    session.update(run=run_id)
    return run_id


def start_scratch(run: RunState, budget: float) -> str:
    """Queue the same network from scratch on the run's own data, split and seed, for at most `budget` seconds.

    Raises RunError where the data set is gone.
    """
    dataset, plan = session.open_dataset(run.task.fingerprint), run.task.plan
    if dataset is None or plan is None:
        raise RunError("The data set of this run is no longer in the workspace.", "Bring it in again on the data page.")
    dataset = dataset.split_by(run.task.split).under(run.task.decisions)
    plan = scratch_plan(dataset, BACKBONES[plan.backbone], dataset.rows("train"))
    task = replace(run.task, plan=plan, budget=budget, compare_to=run.id, name=f"{run.name}, from scratch")
    task = replace(task, source="", target="", teacher="")  # nothing from elsewhere
    task = replace(task, source_decisions="", target_decisions="")
    return supervisor.start(store(), task)


def baselines(run_id: str) -> list[RunState]:
    """Return the from-scratch runs that were made to compare with this run, newest first."""
    return [state for state in store().list() if state.kind == "train" and state.task.compare_to == run_id]


def restart(state: RunState) -> str:
    """Queue the same task once more and return the new run's id."""
    return supervisor.start(store(), state.task)
