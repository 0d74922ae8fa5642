"""One colour per meaning, everywhere: frozen blue, trainable amber, head green.

`.streamlit/config.toml` gives Streamlit's blue, orange and green the same values, so that badges, coloured
Markdown and components (`var(--st-blue-color)` and its kin) agree with charts drawn from these constants.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import streamlit as st

Level = Literal["info", "warn", "stop"]
T = TypeVar("T")


@dataclass(frozen=True)
class Tone:
    """The colour of a meaning: `light` and `dark` for lines and text, `*_fill` for areas behind text.

    `name` is Streamlit's colour name (badges, Markdown), and `--st-<name>-color` in components.
    """

    title: str
    name: Literal["blue", "orange", "green"]
    icon: str
    light: str
    dark: str
    light_fill: str
    dark_fill: str

    @property
    def now(self) -> str:
        """The line colour in the viewer's theme."""
        return self.dark if is_dark() else self.light

    @property
    def fill(self) -> str:
        """The area colour in the viewer's theme."""
        return self.dark_fill if is_dark() else self.light_fill

    @property
    def css(self) -> str:
        """The line colour as a CSS variable, for components."""
        return f"var(--st-{self.name}-color)"


FROZEN = Tone("Frozen", "blue", ":material/ac_unit:", "#2a6db0", "#6fb1ee", "#dceaf8", "#1b344d")
TRAINABLE = Tone("Trainable", "orange", ":material/bolt:", "#9a5d00", "#e3a93f", "#fbe8c4", "#473512")
HEAD = Tone("Head", "green", ":material/eco:", "#2c7a43", "#6cc585", "#d9f0de", "#1a3f26")

BACKGROUND = ("#fdfcf9", "#171a17")
BRAND = ("#6b3a63", "#d6a3cd")
INK = ("#24211c", "#e9e6df")
MUTED = ("#6b655b", "#a8a396")
GRID = ("#e4dfd3", "#353b34")
SERIES = (
    ("#6b3a63", "#2f7f8c", "#b0562c", "#5b6b2f", "#4a5a9c", "#8a6d3b"),
    ("#d6a3cd", "#6fc0cc", "#e79a72", "#b3c46f", "#9fadea", "#d1b27a"),
)
"""Colours for data (classes, metrics), light and dark; none of them is that of frozen, trainable or head."""
SPLITS = (("#6b3a63", "#a97ba1", "#dcc7d8"), ("#d6a3cd", "#94698c", "#5a4056"))
"""Train, validation and test."""


def is_dark() -> bool:
    """Return whether the viewer's theme is dark; False while it is unknown."""
    return getattr(st.context.theme, "type", None) == "dark"


def shade(pair: tuple[T, T]) -> T:
    """Return the light or the dark colour of a pair, for the viewer's theme."""
    return pair[is_dark()]
