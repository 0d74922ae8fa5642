"""How a run is shown: status badge, titles, progress in words."""

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
    """Show a run's status as a word with colour and icon."""
    look = STATUS_STYLES["paused" if state.paused and not state.stopping else state.status]
    word = "Stopping…" if state.stopping else look.word
    st.badge(word, icon=look.icon, color=look.colour)


def title(state: RunState) -> str:
    """Return a run's name for Markdown."""
    return words.tell(state.name)


def strategy_title(name: str) -> str:
    """Return a strategy's title; a name from elsewhere becomes words."""
    return STRATEGIES[name].title if name in STRATEGIES else words.sentence(name)


STAGES = {
    "features": "Showing every item to the backbone once",
    "comparing depths": "Finding out how much of the backbone suits your data",
}
PARTS = {"features": (0.0, 0.6), "comparing depths": (0.6, 1.0)}
"""Which part of the bar a stage of the probe fills."""


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
