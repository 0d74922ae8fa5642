"""Charts of the trials: loss against learning rate, and score by layer group."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tl_core.evaluation.results import LayerSweep
from tl_core.training.lr_curve import RateCurve
from ui.charts import MARGIN
from ui.theme import GRID, INK, MUTED, SERIES, TRAINABLE, shade
from ui.words import capitalise

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def rates(shown: RateCurve) -> "Figure":
    """Return the chart of a learning-rate range test: raw and smoothed loss, the plan's rate and the suggested one."""
    import plotly.graph_objects as go

    figure = go.Figure()
    colour = shade(SERIES)[0]
    for name, values, width, opacity in (("each step", shown.losses, 1, 0.35), ("smoothed", shown.smoothed, 2.5, 1.0)):
        figure.add_scatter(
            x=shown.rates, y=values, name=name, mode="lines", opacity=opacity, line={"color": colour, "width": width},
            hovertemplate="%{x:.1e}: %{y:.3f}<extra></extra>",
        )  # fmt: skip
    marks = [(shown.present, "in the plan", shade(MUTED)), (shown.suggestion, "suggested", shade(INK))]
    for place, (rate, name, ink) in enumerate(marks):
        if rate is not None:
            figure.add_vline(x=rate, line={"color": ink, "width": 1.5, "dash": ("dot", "dash")[place]})
            figure.add_annotation(  # on a logarithmic axis positions are exponents
                x=math.log10(rate), y=(0.08, 0.98)[place], yref="paper", text=name, showarrow=False,
                xanchor="left", xshift=4, font={"color": ink},
            )  # fmt: skip
    figure.update_xaxes(type="log", title="Learning rate", gridcolor=shade(GRID), exponentformat="power")
    worst = 1.5 * max(shown.smoothed[0], min(shown.smoothed))
    figure.update_yaxes(title="Loss", gridcolor=shade(GRID), range=[0, worst])
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.08, "x": 0}
    figure.update_layout(height=340, margin={**MARGIN, "t": 28}, dragmode=False, legend=legend)
    return figure


def layers(shown: LayerSweep, titles: Mapping[str, str]) -> "Figure":
    """Return the chart of a layer sweep: a bar for the head alone, then one a layer group, with 95% intervals.

    `titles` holds the title of each group on the page.
    """
    import plotly.graph_objects as go

    scores = [shown.baseline, *shown.groups]
    names = ["head alone", *(titles.get(score.group, score.group) for score in shown.groups)]
    values = [score.accuracy for score in scores]
    spread = {
        "type": "data", "symmetric": False, "array": [v.high - v.value for v in values],
        "arrayminus": [v.value - v.low for v in values], "color": shade(INK), "thickness": 1,
    }  # fmt: skip
    colours = [shade(MUTED), *[TRAINABLE.now] * len(shown.groups)]
    figure = go.Figure(
        go.Bar(
            x=names,
            y=[v.value for v in values],
            marker={"color": colours},
            error_y=spread,
            customdata=[[v.low, v.high] for v in values],
            hovertemplate="%{x}: %{y:.1%} (%{customdata[0]:.0%} to %{customdata[1]:.0%})<extra></extra>",
        )
    )
    figure.add_hline(y=shown.baseline.accuracy.value, line={"color": shade(MUTED), "width": 1.5, "dash": "dash"})
    figure.update_yaxes(
        title=f"{capitalise(shown.score)}, validation items", tickformat=".0%", gridcolor=shade(GRID), range=[0, 1.02]
    )
    figure.update_layout(height=340, margin=MARGIN, dragmode=False)
    return figure


def rates_words(shown: RateCurve) -> str:
    """Return the chart of a range test in words."""
    best = min(shown.smoothed)
    suggestion = "no rate is suggested" if shown.suggestion is None else f"{shown.suggestion:g} is suggested"
    return f"Loss over a growing learning rate, from {shown.smoothed[0]:.2f} down to {best:.2f}; {suggestion}"


def layers_words(shown: LayerSweep, titles: Mapping[str, str]) -> str:
    """Return the chart of a layer sweep in words."""
    groups = ((titles.get(score.group, score.group), score) for score in shown.groups)
    scores = [("the head alone", shown.baseline), *groups]
    values = ", ".join(f"{name} {score.accuracy.value:.0%}" for name, score in scores)
    return f"{capitalise(shown.score)}, with one layer group trained: {values}"
