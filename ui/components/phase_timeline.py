"""The phase timeline: a segment for each phase, as long as its epochs, filled as far as the run is."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import streamlit as st

from tl_core.plan import Phase
from ui.components.palette import asset


@dataclass(frozen=True)
class Segment:
    """A phase as drawn: `weight` sets its length, `filled` in [0, 1] is its progress."""

    name: str
    epochs: str
    weight: int
    filled: float
    skipped: bool = False


def segments(
    phases: Sequence[Phase],
    current: int,
    position: float,
    done: Mapping[int, int] | None = None,
    skipped: Set[int] = frozenset(),
) -> list[Segment]:
    """Return the phases as drawn; `current` is the index of the running phase, `position` in [0, 1] its progress.

    `done` counts the epochs of each phase that has begun, by index: a phase that ended early shows it, and one before
    `current` that never began is empty. `skipped` holds the phases that the run has skipped. Once the run is done,
    `current` is the number of phases.
    """
    drawn = []
    for index, phase in enumerate(phases):
        solved = phase.optimizer == "lbfgs"
        filled = 1.0 if index < current else min(1.0, max(0.0, position)) if index == current else 0.0
        text = "solved" if solved else f"{phase.epochs} epoch{'s' if phase.epochs != 1 else ''}"
        if index in skipped or (index < current and done is not None and index not in done):
            filled, text = 0.0, "skipped" if index in skipped else "not trained"
        elif index < current and done is not None and not solved and done[index] < phase.epochs:
            text = f"{done[index]} of {text}"
        drawn.append(Segment(phase.name, text, 1 if solved else phase.epochs, filled, index in skipped))
    return drawn


_component = st.components.v2.component(
    "graft_phase_timeline",
    html="<div class='graft line' role='img'></div>",
    css=asset("palette.css") + asset("phase_timeline.css"),
    js=asset("phase_timeline.js"),
)


def phase_timeline(drawn: list[Segment], *, key: str) -> None:
    """Draw the timeline."""
    _component(key=key, data={"segments": [vars(segment) for segment in drawn]})
