"""The guided rail: where one is, what is done and with which choice, and the one next thing to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from ui import session as sessions
from ui.session import Session

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

_CSS = """
.rail { container-type: inline-size; font-family: var(--st-font); color: var(--st-text-color); }
ol { list-style: none; display: flex; margin: 0; padding: 2px 0 0; }
li { flex: 1 1 0; min-width: 0; position: relative; }
li.aside { flex: 0 0 auto; margin-left: 10px; padding-left: 14px; border-left: 1px solid var(--st-border-color); }
button { all: unset; box-sizing: border-box; cursor: pointer; display: block; width: 100%; padding: 0 10px 6px 2px;
  border-radius: 6px; }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.node { width: 16px; height: 16px; border-radius: 50%; border: 2px solid var(--st-border-color); box-sizing: border-box;
  background: var(--st-background-color); display: grid; place-items: center; position: relative; z-index: 1; }
li::before { content: ""; position: absolute; top: 7px; left: 2px; right: 0; height: 2px;
  background: var(--st-border-color); }
li:nth-last-child(2)::before { right: 40%; }
li.aside::before { display: none; }
li.done::before { background: color-mix(in srgb, var(--st-primary-color) 55%, var(--st-background-color)); }
li.done .node { background: var(--st-primary-color); border-color: var(--st-primary-color); }
li.done .node::after { content: ""; width: 4px; height: 7px; border: solid var(--st-background-color);
  border-width: 0 2px 2px 0; transform: translateY(-1px) rotate(45deg); }
li.here .node { border-color: var(--st-primary-color); box-shadow: 0 0 0 4px
  color-mix(in srgb, var(--st-primary-color) 18%, transparent); }
.title { display: block; font-size: .9rem; margin-top: 7px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
li.later .title { opacity: .72; }
li.here .title { font-weight: 650; color: var(--st-link-color); }
.choice { display: block; font-size: .78rem; opacity: .72; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; min-height: 1.1em; }
button:hover .title { text-decoration: underline; text-underline-offset: 3px; }
.aside .node { border: 0; background: none; border-radius: 2px; opacity: .7; }
.aside .node::after { content: ""; width: 14px; height: 2px; background: currentColor;
  box-shadow: 0 -5px currentColor, 0 5px currentColor; }
@container (max-width: 820px) { .choice { display: none; } .title { font-size: .8rem; } }
@container (max-width: 560px) { li:not(.here) .title { display: none; } }
"""
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector('ol');
  while (list.children.length > data.steps.length) list.lastChild.remove();
  data.steps.forEach((step, i) => {
    let item = list.children[i];
    if (!item) {
      item = document.createElement('li');
      item.innerHTML = "<button type='button'><span class='node' aria-hidden='true'></span>"
        + "<span class='title'></span><span class='choice'></span></button>";
      list.appendChild(item);
    }
    item.className = step.state + (step.here ? ' here' : '');
    const button = item.firstChild;
    button.title = step.choice ? `${step.title}: ${step.choice}` : step.title;
    if (step.here) button.setAttribute('aria-current', 'step'); else button.removeAttribute('aria-current');
    button.setAttribute('aria-label', `${step.title}${step.state === 'done' ? ', done' : ''}${
      step.choice ? ', ' + step.choice : ''}`);
    item.querySelector('.title').textContent = step.title;
    item.querySelector('.choice').textContent = step.choice;
    button.onclick = () => setTriggerValue('go', step.name);
  });
}
"""
_rail = st.components.v2.component(
    "graft_rail", html="<nav class='rail' aria-label='Steps'><ol></ol></nav>", css=_CSS, js=_JS
)


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
        found["data"] = f"{dataset.name} · {dataset.receipt.taken:,} {noun(dataset.modality, dataset.receipt.taken)}"
    if session.backbone in BACKBONES:
        found["backbone"] = BACKBONES[session.backbone].title
    if session.plan:
        found["plan"] = session.plan.strategy.replace("_", " ").capitalize() + (", edited" if session.edited else "")
    return found


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
    return _rail(key="rail", data={"steps": data}, on_go_change=lambda: None).go


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
