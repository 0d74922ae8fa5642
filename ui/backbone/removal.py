"""Deleting a backbone that was fetched, after saying what it is used for."""

from collections.abc import Sequence

import streamlit as st

from tl_core.backbones import acquire
from tl_core.backbones.pair import JOIN
from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import GraftError
from tl_core.runs.store import RunState
from ui import errors, projects, session, words
from ui.runs import display, lookup

LISTED = 5
_PROBLEM = "backbone_delete_problem"


def button(spec: BackboneSpec) -> None:
    """Draw the button that deletes a fetched backbone."""
    if st.button("Delete from this computer", icon=":material/delete:", type="tertiary", key="backbone_delete"):
        confirm(spec)


@st.dialog("Delete this backbone?")
def confirm(spec: BackboneSpec) -> None:
    """Ask before a backbone is deleted, and say which projects and runs use it."""
    st.write(f"**{words.escape(spec.title)}**, {words.size(spec.weights.bytes)}, is shared by all projects.")
    other = acquire.other_part(spec, session.workspace())
    names = (spec.name, other) if other else (spec.name,)
    if other:
        st.write("Its part for pictures and its part for texts are deleted together.")
    using = [state for state in lookup.store().list() if state.kind != "speed" and _uses(state, names)]
    runs = [state for state in using if state.kind == "train"]
    if working := [state for state in using if state.active]:
        st.warning(f"**{display.title(working[0])}** is using it now. Wait until it ends, or stop it first.")
        return
    used = [projects.title(project) for project in session.projects() if _is_in(project.backbone, names)]
    if used:
        st.write(f"{words.plural(len(used), 'project')} built on it would need it again before the next training:")
        more = [f"and {len(used) - LISTED} more"] if len(used) > LISTED else []
        st.markdown("\n".join(f"- {title}" for title in [*used[:LISTED], *more]))
    if runs:
        st.write(f"{words.plural(len(runs), 'training')} used it. Their results and models stay.")
    if any(state.resumable for state in runs):
        st.write("An interrupted training can only be resumed once it is here again.")
    st.write("Finished bundles keep working: they hold everything they need.")
    if st.button(
        "Delete", type="primary", icon=":material/delete:", key="backbone_delete_yes", on_click=_delete, args=(spec,)
    ):
        if isinstance(problem := st.session_state.pop(_PROBLEM, None), GraftError):
            errors.show(problem)
            return
        st.toast(f"{spec.title} is deleted.", icon=":material/delete:")
        st.rerun()


def _is_in(backbone: str, names: Sequence[str]) -> bool:
    """Whether a backbone, or one of the two of a pair, has one of these names."""
    return not set(backbone.split(JOIN)).isdisjoint(names)


def _uses(state: RunState, names: Sequence[str]) -> bool:
    """Whether a run uses a backbone; a comparison that names none compares all that are ready."""
    task = state.task
    if task.kind == "rank" and not task.backbones:
        return True
    return any(_is_in(backbone, names) for backbone in (task.backbone, *task.backbones))


def _delete(spec: BackboneSpec) -> None:
    try:
        acquire.remove(session.workspace(), spec.name)
    except GraftError as error:
        st.session_state[_PROBLEM] = error  # a callback that draws would draw over the page
