"""The picture of a ranking: accuracy over time, a mark for each backbone, as large as its weights."""

import math
from typing import TYPE_CHECKING

from tl_core.advice.ranking import Ranked, Ranking
from tl_core.types import noun
from ui import words
from ui.charts import MARGIN
from ui.theme import BACKGROUND, GRID, INK, SERIES, shade
from ui.words import capitalise

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MARKS = (22.0, 44.0)
"""Smallest and largest diameter of a mark, in pixels: a number fits into the smallest."""
ROOM = 1.6
"""The time axis ends at this multiple of the slowest, and begins at the inverse of it of the quickest."""
LABEL = 40
"""Most characters of a name in the legend."""
HEIGHT = 330
LINE = 24
"""Height of the picture without its legend, and of a line of the legend, in pixels."""


def chart(ranking: Ranking) -> "Figure":
    """Return the picture: the advised backbone as a filled diamond, the others as open circles, with 95% intervals.

    Marks are numbered in the order of the rows; the legend has the names.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    largest = max(row.megabytes for row in ranking.rows)
    for number, row in enumerate(ranking.rows, start=1):
        _mark(figure, number, row, row.backbone == ranking.advised, math.sqrt(row.megabytes / largest))
    seconds = [row.seconds for row in ranking.rows]
    ends = min(seconds) / ROOM, max(seconds) * ROOM
    ticks = [step * 10.0**power for power in range(-4, 6) for step in (1, 2, 5)]
    shown = [tick for tick in ticks if ends[0] <= tick <= ends[1]]
    figure.update_xaxes(
        type="log",
        title=f"Seconds for 1,000 {noun(ranking.modality)} on this computer",
        range=[math.log10(end) for end in ends],
        gridcolor=shade(GRID),
        tickvals=shown,
        ticktext=[f"{tick:,g}" for tick in shown],
    )
    figure.update_yaxes(
        title=capitalise(ranking.metric), tickformat=".0%", gridcolor=shade(GRID), range=_span(ranking.rows)
    )
    legend = {"orientation": "h", "yanchor": "top", "y": -0.28, "x": 0, "itemsizing": "constant", "itemclick": False}
    figure.update_layout(
        height=HEIGHT + LINE * len(ranking.rows),
        margin=MARGIN,
        dragmode=False,
        legend={**legend, "itemdoubleclick": False},
    )
    return figure


def _mark(figure: "Figure", number: int, row: Ranked, advised: bool, size: float) -> None:
    colour = shade(SERIES)[0 if advised else 1]
    behind = "" if row.behind is None else f"<br>{100 * row.behind.value:+.1f} points to the best"
    figure.add_scatter(
        x=[row.seconds],
        y=[row.accuracy.value],
        name=f"{number}  {words.shorten(row.title, LABEL)}",
        showlegend=True,
        mode="markers+text",
        text=[str(number)],
        textposition="middle center",
        textfont={"color": shade(BACKGROUND) if advised else shade(INK), "size": 13},
        marker={
            "size": MARKS[0] + (MARKS[1] - MARKS[0]) * size,
            "symbol": "diamond" if advised else "circle",
            "color": colour if advised else shade(BACKGROUND),
            "line": {"width": 2.5, "color": colour},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [row.accuracy.high - row.accuracy.value],
            "arrayminus": [row.accuracy.value - row.accuracy.low],
            "color": colour,
            "thickness": 1.5,
        },
        hovertemplate=(
            f"{row.title}<br>{row.accuracy.value:.1%} ({row.accuracy.low:.1%} to {row.accuracy.high:.1%}){behind}"
            f"<br>{words.seconds(row.seconds)}, {row.megabytes:,.0f} MB<extra></extra>"
        ),
        cliponaxis=False,
    )


def _span(rows: tuple[Ranked, ...]) -> list[float]:
    values = [value for row in rows for value in (row.accuracy.low, row.accuracy.high)]
    return [max(0.0, min(values) - 0.03), min(1.03, max(values) + 0.05)]


def in_words(ranking: Ranking) -> str:
    """Return the picture in words."""
    parts = [
        f"{row.title} {row.accuracy.value:.0%} in {words.seconds(row.seconds)} with {row.megabytes:,.0f} MB"
        for row in ranking.rows
    ]
    return f"{capitalise(ranking.metric)} over the time for 1,000 {noun(ranking.modality)}: {'; '.join(parts)}"
