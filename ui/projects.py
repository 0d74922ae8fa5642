"""The projects of this workspace: open another one, or start a new one."""

import streamlit as st

from ui import rail, session, words
from ui.session import Session

LISTED = 12


def begin() -> None:
    """Start a new project on the data page; a project without data is used again."""
    st.session_state.pop("data_choosing", None)
    if session.current().dataset:
        session.start_over()
    rail.go("data")


def begin_button(key: str) -> None:
    """Draw the button that starts a new project."""
    if st.button(
        "New project", icon=":material/add:", key=key, help="This project stays as it is. You find its runs under Runs."
    ):
        begin()


def title(project: Session) -> str:
    """Return a project's title: its data, its backbone and the score of its model."""
    dataset = session.open_dataset(project.dataset)
    parts = [dataset.name if dataset else "Deleted data set"]
    if project.backbone:
        parts.append(session.backbone_title(project.backbone))
    choices = rail.choices(project)
    if "results" in choices:
        parts.append(choices["results"])
    return words.escape(" · ".join(parts))


def switcher() -> None:
    """Draw the list of projects, the most recently used first; nothing if this is the only one."""
    projects = session.projects()[:LISTED]
    current = session.current().project
    if not any(project.project != current for project in projects):
        return
    with st.popover("Other projects", icon=":material/folder_open:", key="projects"):
        for project in projects:
            is_open = project.project == current
            icon = ":material/check:" if is_open else ":material/arrow_forward:"
            key = f"projects_open_{project.project}"
            if st.button(title(project), icon=icon, disabled=is_open, type="tertiary", key=key):
                session.open_project(project.project)
                rail.go("data")
