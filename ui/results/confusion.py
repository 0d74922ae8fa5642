"""The confusion matrix: true class against predicted class."""

from typing import TYPE_CHECKING

import streamlit as st

from tl_core.evaluation.results import Report
from ui import session, words
from ui.charts import LONGEST, MARGIN
from ui.results import predictions
from ui.theme import BACKGROUND, BRAND, shade
from ui.words import shorten

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def confusion(report: Report) -> "Figure":
    """Return the confusion matrix as a heat map of row shares, counts in the cells, the truth going down.

    Each cell is also a point (customdata: truth, predicted), because a heat map cannot be selected from.
    """
    import plotly.graph_objects as go

    names = [shorten(name, LONGEST) for name in report.classes]
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


def confusion_words(report: Report) -> str:
    """Return the confusion matrix in words."""
    right = sum(report.confusion[i][i] for i in range(len(report.classes)))
    return f"Confusion matrix of {len(report.classes)} classes: {right} of {sum(map(sum, report.confusion))} right"


def draw(report: Report) -> None:
    """Draw the confusion matrix; a click on a cell opens its items. A fragment: a click redraws only this."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        event = st.plotly_chart(
            confusion(report),
            width="stretch",
            key="results_confusion",
            on_select="rerun",
            selection_mode="points",
            config={"displayModeBar": False},
            alt=confusion_words(report),
        )
    picked = event.selection.points[0]["customdata"] if event.selection.points else None
    with right:
        with st.container(horizontal=True, key="results_pick"):
            names = list(range(len(report.classes)))
            truth = st.selectbox(
                "It is",
                names,
                index=picked[0] if picked else None,
                format_func=report.classes.__getitem__,
                placeholder="any class",
                key=f"results_truth_{picked}",
            )
            said = st.selectbox(
                "The model says",
                names,
                index=picked[1] if picked else None,
                format_func=report.classes.__getitem__,
                placeholder="any class",
                key=f"results_said_{picked}",
            )
        if truth is None or said is None:
            st.caption("Click a cell to see its items, or choose both classes here.")
        else:
            found = predictions.cell_items(report, truth, said)
            is_, called = words.tell(report.classes[truth]), words.tell(report.classes[said])
            st.markdown(f"**{len(found)} test items** that are {is_}, called {called}")
            predictions.show_predictions(
                report, session.open_dataset(report.fingerprint), found, f"results_cell_{truth}_{said}"
            )
