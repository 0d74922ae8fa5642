"""Charts that several pages draw, as plotly figures. `..._words` says the same in words, for `alt`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tl_core.evaluation.results import Curve, CurveArm
from ui.theme import GRID, INK, SERIES, shade
from ui.words import capitalise

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}
LONGEST = 24
"""Characters of a name on an axis."""
ARM_LOOKS = {"transfer": (0, "solid", "circle"), "scratch": (2, "dash", "square"), "classical": (1, "dot", "diamond")}


def curve(shown: Curve, labels: float | None = None, accuracy: float | None = None) -> "Figure":
    """Return the data-efficiency curve: one line with its interval band for each arm, label counts on a log axis.

    `labels` draws a vertical reading line at this number of labels, `accuracy` a horizontal one at this score.
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
        title="Labelled training items",
        tickmode="array",
        tickvals=counts,
        ticktext=[f"{count:,}" for count in counts],
        gridcolor=shade(GRID),
    )
    title = f"{capitalise(shown.metric)} on the test items"
    figure.update_yaxes(title=title, tickformat=".0%", gridcolor=shade(GRID), range=_span(shown))
    figure.update_layout(
        height=430,
        margin=MARGIN,
        hovermode="x unified",
        dragmode=False,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    )
    return figure


def budgets(shown: Curve) -> str:
    """Return how each arm of the curve was measured and with which budget, for a line below the chart."""
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


def curve_words(shown: Curve) -> str:
    """Return the data-efficiency curve in words."""
    parts = [
        f"{arm.title} from {arm.points[0].accuracy.value:.0%} with {arm.points[0].labels} labels "
        f"to {arm.points[-1].accuracy.value:.0%} with {arm.points[-1].labels}"
        for arm in shown.arms
        if arm.points
    ]
    return f"{capitalise(shown.metric)} over labels. " + "; ".join(parts)
