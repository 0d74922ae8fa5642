"""The guided rail: the steps with what was chosen at each, and a link to every page."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ui.components.palette import asset

_component = st.components.v2.component(
    "graft_rail",
    html="<nav class='rail' aria-label='Steps'><ol></ol></nav>",
    css=asset("step_rail.css"),
    js=asset("step_rail.js"),
)


def step_rail(steps: Sequence[Mapping[str, Any]], *, key: str) -> str | None:
    """Draw the rail; return the name of the step that was clicked, for one rerun.

    `steps` hold {name, title, state, choice, here}; the states are those of `ui.rail.Step`.
    """
    return _component(key=key, data={"steps": list(steps)}, on_go_change=lambda: None).go
