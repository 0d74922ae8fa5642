"""An element that nobody sees: it draws the page anew where the viewer's theme is no longer the one it was drawn for.

Streamlit colours its own parts at once, but figures and charts carry the colours of the run that made them.
"""

import streamlit as st

from ui.components.palette import asset
from ui.theme import is_dark

_component = st.components.v2.component(
    "graft_theme_watch",
    html="<i class='watch' aria-hidden='true'></i>",
    css=asset("theme_watch.css"),
    js=asset("theme_watch.js"),
)


def theme_watch() -> None:
    """Watch the theme, for the page that is drawn in this run."""
    _component(key="theme_watch", data={"dark": is_dark()}, height=1, on_changed_change=lambda: None)
