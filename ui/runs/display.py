"""How a run is shown: its status badge, its title, its progress."""

from dataclasses import dataclass
from typing import Literal, cast

import streamlit as st

from tl_core.runs.events import Progress
from tl_core.runs.store import RunState, Status
from tl_core.strategies import STRATEGIES
from ui import words
from ui.runs.lookup import store

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


def badge(state: RunState) -> None:
    """Show the status of a run as a word with colour and icon."""
    style = STATUS_STYLES["paused" if state.paused and not state.stopping else state.status]
    word = "Stopping…" if state.stopping else style.word
    st.badge(word, icon=style.icon, color=style.colour)


def title(state: RunState) -> str:
    """Return the name of a run, safe for Markdown."""
    return words.escape(state.name)


def strategy_title(name: str) -> str:
    """Return the title of a strategy; for an unknown one, its name in words."""
    return STRATEGIES[name].title if name in STRATEGIES else words.humanize(name)


STAGES = {
    "features": "Passing every item through the backbone once",
    "comparing depths": "Comparing how much of the backbone suits your data",
}
PARTS = {"features": (0.0, 0.6), "comparing depths": (0.6, 1.0)}
"""The part of the progress bar that each stage of the probe fills."""


def progress(state: RunState) -> tuple[float, str]:
    """Return how far a run is, in [0, 1], and its current stage in words."""
    if state.status == "queued":
        return 0.0, "Waiting for another run to finish; it is listed under Runs"
    events, _ = store().events(state.id)
    # compared by name, because a reloaded module defines its classes anew
    last = cast(
        Progress | None, next((event for event in reversed(events) if type(event).__name__ == "Progress"), None)
    )
    if last is None:
        return 0.0, "Starting"
    low, high = PARTS.get(last.stage, (0.0, 1.0))
    share = low + (high - low) * min(1.0, last.done / max(1, last.total))
    stage = STAGES.get(last.stage, words.humanize(last.stage))
    return share, f"{stage}: {last.done:,} of {last.total:,}" if last.total > 1 else stage
