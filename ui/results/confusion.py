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
    """Return the confusion matrix as a heat map: true classes down, predicted classes across, counts in the cells.

    Colours are shares of a row. Each cell is also a point (customdata: truth, predicted), because cells of a heat map
    cannot be selected.
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
            f"{report.confusion[t][p]} of {sum(report.confusion[t])} of class {report.classes[t]}"
            f"<br>were predicted as {report.classes[p]}"
            for t, p in cells
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 0.35}},
        unselected={"marker": {"opacity": 0}},
    )
    axis = {"tickmode": "array", "tickvals": list(range(size)), "ticktext": names, "showgrid": False, "zeroline": False}
    figure.update_xaxes(**axis, title="Predicted class", side="top", range=[-0.5, size - 0.5])
    figure.update_yaxes(**axis, title="True class", range=[size - 0.5, -0.5])
    figure.update_layout(height=min(900, 150 + 44 * max(5, size)), margin=MARGIN, showlegend=False, dragmode=False)
    return figure


def confusion_words(report: Report) -> str:
    """Return the confusion matrix in words."""
    right = sum(report.confusion[i][i] for i in range(len(report.classes)))
    return f"Confusion matrix of {len(report.classes)} classes: {right} of {sum(map(sum, report.confusion))} right"


def draw(report: Report) -> None:
    """Draw the matrix and the items of one cell, as the body of a fragment: a click redraws only this."""
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
    cell = event.selection.points[0]["customdata"] if event.selection.points else (None, None)
    with right:
        with st.container(horizontal=True, key="results_pick"):
            truth = _class_box("True class", report, cell[0], f"results_truth_{cell}")
            predicted = _class_box("Predicted class", report, cell[1], f"results_predicted_{cell}")
        if truth is None or predicted is None:
            st.caption("Click a cell to see its items, or choose both classes here.")
            return
        items = predictions.cell_items(report, truth, predicted)
        true_name, predicted_name = (words.escape(report.classes[label]) for label in (truth, predicted))
        st.markdown(f"**{words.plural(len(items), 'test item')}** of class {true_name}, predicted as {predicted_name}")
        dataset = session.open_dataset(report.fingerprint)
        predictions.show_predictions(report, dataset, items, f"results_cell_{truth}_{predicted}")


def _class_box(label: str, report: Report, chosen: int | None, key: str) -> int | None:
    return st.selectbox(
        label,
        range(len(report.classes)),
        index=chosen,
        format_func=report.classes.__getitem__,
        placeholder="any class",
        key=key,
    )
