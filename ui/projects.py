"""The projects of this workspace: open another one, or begin a new one."""

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from ui import rail, session, words
from ui.session import Session

LISTED = 12


def begin() -> None:
    """Begin a new project on the data page; one that has no data yet is new enough."""
    st.session_state.pop("data_choosing", None)
    if session.current().dataset:
        session.start_over()
    rail.go("data")


def begin_button(key: str) -> None:
    """Draw the button that begins a new project."""
    if st.button("New project", icon=":material/add:", key=key, help="This one stays as it is; find it under Runs."):
        begin()


def title(project: Session) -> str:
    """Return what a project is known by: its data, its backbone and how good its model is."""
    data = session.open_dataset(project.dataset)
    parts = [data.name if data else "Data that is gone"]
    if project.backbone in BACKBONES:
        parts.append(BACKBONES[project.backbone].title)
    chosen = rail.choices(project)
    if "results" in chosen:
        parts.append(chosen["results"])
    return words.tell(" · ".join(parts))


def switcher() -> None:
    """Draw the projects to choose from, the last used first; nothing where there is only this one."""
    found = session.projects()[:LISTED]
    now = session.current().project
    if not any(each.project != now for each in found):
        return
    with st.popover("Other projects", icon=":material/folder_open:", key="projects"):
        for each in found:
            here = each.project == now
            icon = ":material/check:" if here else ":material/arrow_forward:"
            if st.button(title(each), icon=icon, disabled=here, type="tertiary", key=f"projects_open_{each.project}"):
                session.open_project(each.project)
                rail.go("data")
