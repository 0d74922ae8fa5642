"""Plotly figures for results that stand still: the confusion matrix and the data-efficiency curve."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tl_core.evaluation.results import Curve, CurveArm, LayerSweep, Report, Slices
from tl_core.training.lr_curve import RateCurve
from ui.theme import BACKGROUND, BRAND, GRID, INK, MUTED, SERIES, TRAINABLE, shade
from ui.words import capital

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LONGEST = 24
MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}
ARM_LOOKS = {"transfer": (0, "solid", "circle"), "scratch": (2, "dash", "square"), "classical": (1, "dot", "diamond")}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def confusion(report: Report) -> "Figure":
    """Return the confusion matrix as a heat map of row shares, counts in the cells, the truth going down.

    Each cell is also a point (customdata: truth, predicted), because a heat map cannot be selected from.
    """
    import plotly.graph_objects as go

    names = [_short(name) for name in report.classes]
    size = len(names)
    shares = [[count / max(1, sum(line)) for count in line] for line in report.confusion]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            colorscale=[[0, shade(BACKGROUND)], [1, shade(BRAND)]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
            text=[[str(count) if count or size <= 12 else "" for count in line] for line in report.confusion],
            texttemplate="%{text}",
            textfont={"size": 14 if size <= 12 else 10},
        )
    )
    cells = [(t, p) for t in range(size) for p in range(size)]
    figure.add_scatter(
        x=[p for _, p in cells],
        y=[t for t, _ in cells],
        mode="markers",
        marker={"symbol": "square", "size": max(14, min(44, 300 // max(1, size))), "opacity": 0},
        customdata=[[t, p] for t, p in cells],
        hovertext=[
            f"{report.confusion[t][p]} of {sum(report.confusion[t])} that are {report.classes[t]}"
            f"<br>were called {report.classes[p]}"
            for t, p in cells
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 0.35}},
        unselected={"marker": {"opacity": 0}},
    )
    axis = {"tickmode": "array", "tickvals": list(range(size)), "ticktext": names, "showgrid": False, "zeroline": False}
    figure.update_xaxes(**axis, title="The model says", side="top", range=[-0.5, size - 0.5])
    figure.update_yaxes(**axis, title="It is", range=[size - 0.5, -0.5])
    figure.update_layout(height=min(900, 150 + 44 * max(5, size)), margin=MARGIN, showlegend=False, dragmode=False)
    return figure


def curve(shown: Curve, labels: float | None = None, accuracy: float | None = None) -> "Figure":
    """Return the data-efficiency curve: an arm a line with its band, label counts on a log axis.

    `labels` draws the line that reads it down, `accuracy` the one that reads it across.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for arm in shown.arms:
        if arm.points:
            _arm(figure, arm)
    counts = sorted({point.labels for arm in shown.arms for point in arm.points})
    if labels is not None:
        figure.add_vline(x=labels, line={"color": shade(INK), "width": 1.5, "dash": "dash"})
    if accuracy is not None:
        figure.add_hline(y=accuracy, line={"color": shade(INK), "width": 1.5, "dash": "dash"})
    figure.update_xaxes(
        type="log",
        title="Labelled examples to learn from",
        tickmode="array",
        tickvals=counts,
        ticktext=[f"{count:,}" for count in counts],
        gridcolor=shade(GRID),
    )
    title = f"{capital(shown.metric)} on the test items"
    figure.update_yaxes(title=title, tickformat=".0%", gridcolor=shade(GRID), range=_span(shown))
    figure.update_layout(
        height=430,
        margin=MARGIN,
        hovermode="x unified",
        dragmode=False,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    )
    return figure


def given(shown: Curve) -> str:
    """Return what each arm of the curve was given, for the lines below it: beside the names it would not fit."""
    return "; ".join(f"{arm.title}: {arm.budget}" for arm in shown.arms if arm.points)


def _span(shown: Curve) -> Sequence[float]:
    values = [v for arm in shown.arms for p in arm.points for v in (p.accuracy.low, p.accuracy.high)] or [0, 1]
    return [max(0.0, min(values) - 0.05), min(1.02, max(values) + 0.05)]


def _arm(figure: "Figure", arm: CurveArm) -> None:
    number, dash, symbol = ARM_LOOKS[arm.name]
    colour = shade(SERIES)[number]
    x = [point.labels for point in arm.points]
    low, high = [p.accuracy.low for p in arm.points], [p.accuracy.high for p in arm.points]
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    figure.add_scatter(
        x=x + x[::-1],
        y=high + low[::-1],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.16)",
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=x,
        y=[point.accuracy.value for point in arm.points],
        mode="lines+markers",
        name=arm.title,
        line={"color": colour, "width": 2.5, "dash": dash},
        marker={"symbol": symbol, "size": 8},
        customdata=[[p.accuracy.low, p.accuracy.high] for p in arm.points],
        hovertemplate=f"{arm.title}: %{{y:.1%}} (%{{customdata[0]:.0%}} to %{{customdata[1]:.0%}})<extra></extra>",
    )


def rates(shown: RateCurve) -> "Figure":
    """Return a range test: the loss over the rate, as it was and smoothed, with the plan's rate and the suggestion."""
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
            figure.add_annotation(  # on a logarithmic axis a label stands at the exponent
                x=math.log10(rate), y=(0.08, 0.98)[place], yref="paper", text=name, showarrow=False,
                xanchor="left", xshift=4, font={"color": ink},
            )  # fmt: skip
    figure.update_xaxes(type="log", title="Learning rate", gridcolor=shade(GRID), exponentformat="power")
    worst = 1.5 * max(shown.smoothed[0], min(shown.smoothed))
    figure.update_yaxes(title="Loss", gridcolor=shade(GRID), range=[0, worst])
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.08, "x": 0}
    figure.update_layout(height=340, margin={**MARGIN, "t": 28}, dragmode=False, legend=legend)
    return figure


def layers(shown: LayerSweep, told: Mapping[str, str]) -> "Figure":
    """Return a layer-wise sweep: one bar a group with its 95 % interval, and the frozen probe's before them.

    `told` says what a group is called on the page.
    """
    import plotly.graph_objects as go

    scores = [shown.baseline, *shown.groups]
    names = ["head alone", *(told.get(score.group, score.group) for score in shown.groups)]
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
        title=f"{capital(shown.score)}, validation items", tickformat=".0%", gridcolor=shade(GRID), range=[0, 1.02]
    )
    figure.update_layout(height=340, margin=MARGIN, dragmode=False)
    return figure


def slices(shown: Slices) -> "Figure":
    """Return the score of each slice with its interval, the first on top; too few test items are grey."""
    import plotly.graph_objects as go

    known = [(one, one.score) for one in shown.slices if one.score is not None]
    figure = go.Figure(
        go.Scatter(
            x=[score.value for _, score in known],
            y=[_short(one.name) for one, _ in known],
            mode="markers",
            marker={"size": 10, "color": [shade(SERIES)[0] if one.gap else shade(MUTED) for one, _ in known]},
            error_x={
                "type": "data", "symmetric": False, "array": [score.high - score.value for _, score in known],
                "arrayminus": [score.value - score.low for _, score in known], "color": shade(MUTED), "thickness": 1.5,
            },
            customdata=[[one.n, score.low, score.high] for one, score in known],
            hovertemplate="%{y}: %{x:.1%} (%{customdata[1]:.0%} to %{customdata[2]:.0%}), %{customdata[0]} items"
            "<extra></extra>",
        )
    )  # fmt: skip
    title = capital(shown.metric)
    figure.update_xaxes(title=title, tickformat=".0%", gridcolor=shade(GRID), range=[0, 1.02])
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(height=min(700, 110 + 34 * max(2, len(known))), margin=MARGIN, dragmode=False)
    return figure


def slices_words(shown: Slices) -> str:
    """Return the slices in words."""
    parts = [f"{one.name} {one.score.value:.0%}" for one in shown.slices if one.score]
    return f"{capital(shown.metric)} by {shown.column}: {', '.join(parts)}"


def rates_words(shown: RateCurve) -> str:
    """Return a range test in words."""
    best = min(shown.smoothed)
    said = "no rate is suggested" if shown.suggestion is None else f"{shown.suggestion:g} is suggested"
    return f"Loss over a growing learning rate, from {shown.smoothed[0]:.2f} down to {best:.2f}; {said}"


def layers_words(shown: LayerSweep, told: Mapping[str, str]) -> str:
    """Return a layer-wise sweep in words."""
    groups = ((told.get(score.group, score.group), score) for score in shown.groups)
    scores = [("the head alone", shown.baseline), *groups]
    said = ", ".join(f"{name} {score.accuracy.value:.0%}" for name, score in scores)
    return f"{capital(shown.score)}, with one layer group trained: {said}"


def confusion_words(report: Report) -> str:
    """Return the confusion matrix in words."""
    right = sum(report.confusion[i][i] for i in range(len(report.classes)))
    return f"Confusion matrix of {len(report.classes)} classes: {right} of {sum(map(sum, report.confusion))} right"


def curve_words(shown: Curve) -> str:
    """Return the curve in words."""
    parts = [
        f"{arm.title} from {arm.points[0].accuracy.value:.0%} with {arm.points[0].labels} labels "
        f"to {arm.points[-1].accuracy.value:.0%} with {arm.points[-1].labels}"
        for arm in shown.arms
        if arm.points
    ]
    return f"{capital(shown.metric)} over labels. " + "; ".join(parts)
