"""The backbone tree: modality, field, model. A click opens a branch or picks a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ui.components.palette import asset

_tree = st.components.v2.component(
    "graft_tree",
    html="<div class='tree'><svg aria-hidden='true'></svg><div class='columns'></div><ul class='legend'></ul></div>",
    css=asset("backbone_tree.css"),
    js=asset("backbone_tree.js"),
)


def backbone_tree(
    branches: Sequence[Mapping[str, Any]],
    legend: Sequence[Mapping[str, str]],
    selected: str,
    chosen: str,
    key: str,
) -> str | None:
    """Draw the tree; return the name of the model that was clicked, for one rerun.

    `branches` hold {id, title, note, fits, children}: modalities, their fields, and models {id, title, note, state,
    word, share}; `share` in [0, 1] is how much of a download is here. `legend` lists {state, word}. `selected` is the
    model whose card is shown, `chosen` the project's backbone.
    """
    data = {"branches": list(branches), "legend": list(legend), "selected": selected, "chosen": chosen}
    return _tree(key=key, data=data, on_picked_change=lambda: None).picked
