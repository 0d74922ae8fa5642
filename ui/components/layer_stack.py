"""The live layer stack, input at the bottom and head on top: what is frozen and what learns now."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import streamlit as st

from tl_core.layers import plain_titles
from ui.components.palette import WORDS, State, asset, count_text, rate_text, state_of

_FLOOR = 3.0  # the bar is empty this many orders of magnitude below the highest rate


@dataclass(frozen=True)
class Layer:
    """A layer group as drawn; `level` in [0, 1] is the length of its rate bar, on a logarithmic scale."""

    name: str
    title: str
    state: State
    word: str
    parameters: str
    rate: str
    level: float


def layers(
    groups: Mapping[str, int],
    rates: Mapping[str, float],
    top_rate: float,
    solved: bool = False,
    titles: Mapping[str, str] | None = None,
) -> list[Layer]:
    """Return the groups as drawn, head first. `rates` holds the current rate of what learns; the rest is frozen.

    `top_rate` is the highest base rate of the plan. `solved` is true if the phase solves the head, without a rate.
    """
    drawn, titles = [], titles or plain_titles(groups)
    for name, count in reversed(list(groups.items())):
        state = state_of(name, name in rates)
        rate = rates.get(name, 0.0)
        level = 0.0
        if name in rates:
            level = 1.0 if solved else 1 + math.log10(max(rate, 1e-12) / max(top_rate, 1e-12)) / _FLOOR
        text = "" if name not in rates else "solved exactly" if solved else f"rate {rate_text(rate)}"
        size = count_text(count) if count else ""
        drawn.append(Layer(name, titles[name], state, WORDS[state], size, text, min(1.0, max(0.0, level))))
    return drawn


_component = st.components.v2.component(
    "graft_layer_stack",
    html=(
        "<div class='graft stack'><div class='end top quiet'></div><ol></ol><div class='end bottom quiet'></div></div>"
    ),
    css=asset("palette.css") + asset("layer_stack.css"),
    js=asset("layer_stack.js"),
)


BOTTOM = {"image": "Image", "text": "Text", "multimodal": "Image and text"}


def layer_stack(drawn: list[Layer], *, learning: bool, modality: str, key: str) -> None:
    """Draw the stack. With `learning`, trainable groups pulse (unless the reader asked for reduced motion)."""
    _component(
        key=key,
        data={
            "layers": [asdict(layer) for layer in drawn],
            "learning": learning,
            "top": "Answer",
            "bottom": BOTTOM[modality],
        },
    )
