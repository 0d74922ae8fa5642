"""The guided rail: where one is, what is done and with which choice, and the one next thing to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import RunError
from tl_core.runs.store import RunStore
from ui import session as sessions
from ui.components.step_rail import step_rail
from ui.session import Session
from ui.words import plural, score, sentence

PAGES = Path(__file__).parents[1] / "pages"
TITLES = {"try": "Try & take away"}
INVITATIONS = {
    "data": "Bring your data",
    "backbone": "Choose what to build on",
    "plan": "Decide what learns",
    "train": "Watch it learn",
    "results": "See what it is worth",
    "try": "Use it anywhere",
    "runs": "All runs",
}
BLOCKED = "rail_blocked"


@dataclass(frozen=True)
class Step:
    """One stop on the rail; `choice` says what was chosen there, or invites to it."""

    name: str
    state: Literal["done", "next", "later", "aside"]
    choice: str

    @property
    def title(self) -> str:
        """What the person reads."""
        return TITLES.get(self.name, self.name.capitalize())


def page_files() -> dict[str, Path]:
    """Return the pages in their order, by name: `pages/3_plan.py` is "plan"."""
    files = sorted(PAGES.glob("[0-9]*_*.py"))
    return {path.stem.split("_", 1)[1]: path for path in files}


def choices(session: Session) -> dict[str, str]:
    """Return what was chosen at each step that is done."""
    found = {}
    if dataset := sessions.open_dataset(session.dataset):
        found["data"] = f"{dataset.name} · {plural(int(dataset.included.sum()), dataset.modality)}"
    if session.backbone in BACKBONES:
        found["backbone"] = BACKBONES[session.backbone].title
    if session.plan:
        found["plan"] = sentence(session.plan.strategy) + (", edited" if session.edited else "")
    if session.run:
        found |= _of_run(session.run)
    return found


def _of_run(run: str) -> dict[str, str]:
    """Return what a run adds to the rail: it is trained, and then it is measured."""
    try:
        state = RunStore(sessions.workspace()).state(run)
    except RunError:
        return {}
    if state.kind != "train" or state.active:
        return {}
    told = score(state.numbers)
    return {"train": sentence(state.status), "results": told} if told else {}


def steps(session: Session) -> list[Step]:
    """Return the rail for a project: the steps that are done, the next one, and those after it."""
    done = choices(session)
    names = [name for name in page_files() if name != "runs"]
    upcoming = next((name for name in names if name not in done), "")
    rail = [
        Step(name, "done" if name in done else "next" if name == upcoming else "later", done.get(name, ""))
        for name in names
    ]
    rail = [step if step.choice else Step(step.name, step.state, INVITATIONS.get(step.name, "")) for step in rail]
    return rail + ([Step("runs", "aside", "")] if "runs" in page_files() else [])


def draw(session: Session, here: str) -> str | None:
    """Draw the rail; return the name of the step that was clicked, for one run."""
    data = [vars(step) | {"title": step.title, "here": step.name == here} for step in steps(session)]
    return step_rail(data, key="rail")


def block(reason: str) -> None:
    """Say why one cannot go on from this page yet; the footer shows it beside the disabled button."""
    st.session_state[BLOCKED] = reason


def go(name: str) -> None:
    """Switch to a step, keeping project and run in the URL."""
    st.switch_page(page_files()[name], query_params=sessions.query(sessions.current()))


def footer(here: str) -> None:
    """Draw Back and Continue; Continue is disabled where the page blocked it."""
    names = [name for name in page_files() if name != "runs"]
    if here not in names:
        return
    at, reason = names.index(here), st.session_state.get(BLOCKED, "")
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


def noun(modality: str, count: int) -> str:
    """Return "image", "images", "text" or "texts"."""
    return modality if count == 1 else f"{modality}s"
