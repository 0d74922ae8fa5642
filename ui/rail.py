"""The guided rail: the steps, what was chosen at each, and Back and Continue at the foot of a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from tl_core.data.unlabelled import is_unlabelled
from tl_core.errors import RunError
from tl_core.runs.store import RunStore
from tl_core.types import noun
from ui import session as sessions
from ui.components.step_rail import step_rail
from ui.runs.display import strategy_title
from ui.session import Session
from ui.words import humanize, score_text

PAGES = Path(__file__).parents[1] / "pages"
TITLES = {"try": "Try & take away"}
INVITATIONS = {
    "data": "Bring your data",
    "backbone": "Choose what to build on",
    "plan": "Decide what learns",
    "train": "Watch it learn",
    "results": "See what it is worth",
    "try": "Use it anywhere",
}
ASIDE = ("runs", "glossary")
"""Pages that are no step of the way; the rail links to them at its end."""
BLOCKED = "rail_blocked"


@dataclass(frozen=True)
class Step:
    """One step on the rail; `choice` says what was chosen there, or invites to the step."""

    name: str
    state: Literal["done", "next", "later", "aside"]
    choice: str

    @property
    def title(self) -> str:
        """The name of the step as shown."""
        return TITLES.get(self.name, self.name.capitalize())


def page_files() -> dict[str, Path]:
    """Return the page files by name, in order: `pages/3_plan.py` is "plan"."""
    files = sorted(PAGES.glob("[0-9]*_*.py"))
    return {path.stem.split("_", 1)[1]: path for path in files}


def choices(session: Session) -> dict[str, str]:
    """Return what was chosen, by step; a step that is not done is missing."""
    chosen = {}
    if (dataset := sessions.open_dataset(session.dataset)) and not is_unlabelled(dataset):
        n = int(dataset.included.sum())
        chosen["data"] = f"{dataset.name} · {n:,} {noun(dataset.modality, n)}"
    if (spec := sessions.find_backbone(session.backbone)) and spec.ready:
        chosen["backbone"] = spec.title
    if session.plan:
        chosen["plan"] = strategy_title(session.plan.strategy) + (", edited" if session.edited else "")
    if session.run:
        chosen |= _run_choices(session.run)
    return chosen


def _run_choices(run: str) -> dict[str, str]:
    """Return what a finished run shows on the rail: its status and its score."""
    try:
        state = RunStore(sessions.workspace()).state(run)
    except RunError:
        return {}
    if state.kind != "train" or state.active:
        return {}
    score = score_text(state.numbers)
    return {"train": humanize(state.status), "results": score} if score else {}


def steps(session: Session) -> list[Step]:
    """Return the steps of a project, each done, next or later; the pages aside come last."""
    done = choices(session)
    names = _step_names()
    upcoming = next((name for name in names if name not in done), "")
    rail = [
        Step(name, "done" if name in done else "next" if name == upcoming else "later", done.get(name, ""))
        for name in names
    ]
    rail = [step if step.choice else Step(step.name, step.state, INVITATIONS.get(step.name, "")) for step in rail]
    return rail + [Step(name, "aside", "") for name in ASIDE]


def _step_names() -> list[str]:
    return [name for name in page_files() if name not in ASIDE]


def draw(session: Session, current: str) -> str | None:
    """Draw the rail; return the name of the step that was clicked, for one rerun. `current` is the page shown."""
    data = [vars(step) | {"title": step.title, "here": step.name == current} for step in steps(session)]
    return step_rail(data, key="rail")


def block(reason: str) -> None:
    """Disable Continue on this page; the footer shows `reason` beside the button."""
    st.session_state[BLOCKED] = reason


def go(name: str) -> None:
    """Switch to a page, keeping project and run in the URL."""
    st.switch_page(page_files()[name], query_params=sessions.query(sessions.current()))


def footer(current: str) -> None:
    """Draw Back and Continue; Continue is disabled if the page called `block`."""
    names = _step_names()
    if current not in names:
        return
    at, reason = names.index(current), st.session_state.get(BLOCKED, "")
    with st.bottom, st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if at and st.button("Back", icon=":material/arrow_back:", key="rail_back"):
            go(names[at - 1])
        st.caption(reason or " ", width="stretch", text_alignment="right")
        if at + 1 < len(names):
            title = Step(names[at + 1], "later", "").title
            pressed = st.button(
                f"Continue to {title.lower()}",
                type="primary",
                icon=":material/arrow_forward:",
                icon_position="right",
                disabled=bool(reason),
                key="rail_next",
            )
            if pressed:
                go(names[at + 1])
