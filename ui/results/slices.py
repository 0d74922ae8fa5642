"""Results by subgroup (slice): the score of each, and its difference from the rest."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tl_core.evaluation.results import Report, Slices
from ui import glossary, words
from ui.charts import LONGEST, MARGIN
from ui.theme import GRID, MUTED, SERIES, shade
from ui.words import capitalise

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def slices(shown: Slices) -> "Figure":
    """Return the chart of slice scores with intervals, the first on top; slices too small to compare are grey."""
    import plotly.graph_objects as go

    scored = [(slice_, slice_.score) for slice_ in shown.slices if slice_.score is not None]
    figure = go.Figure(
        go.Scatter(
            x=[score.value for _, score in scored],
            y=[words.shorten(slice_.name, LONGEST) for slice_, _ in scored],
            mode="markers",
            marker={"size": 10, "color": [shade(SERIES)[0] if slice_.gap else shade(MUTED) for slice_, _ in scored]},
            error_x={
                "type": "data", "symmetric": False, "array": [score.high - score.value for _, score in scored],
                "arrayminus": [score.value - score.low for _, score in scored], "color": shade(MUTED), "thickness": 1.5,
            },
            customdata=[[slice_.n, score.low, score.high] for slice_, score in scored],
            hovertemplate="%{y}: %{x:.1%} (%{customdata[1]:.0%} to %{customdata[2]:.0%}), %{customdata[0]} items"
            "<extra></extra>",
        )
    )  # fmt: skip
    title = capitalise(shown.metric)
    figure.update_xaxes(title=title, tickformat=".0%", gridcolor=shade(GRID), range=[0, 1.02])
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(height=min(700, 110 + 34 * max(2, len(scored))), margin=MARGIN, dragmode=False)
    return figure


def slices_words(shown: Slices) -> str:
    """Return the chart of slice scores in words."""
    parts = [f"{slice_.name} {slice_.score.value:.0%}" for slice_ in shown.slices if slice_.score]
    return f"{capitalise(shown.metric)} by {shown.column}: {', '.join(parts)}"


def draw(report: Report) -> None:
    """Draw the section; nothing if the data have no subgroups."""
    measured = report.slices
    if measured is None:
        return
    st.header("Results by subgroup: is it as good for everyone?", anchor=False, help=glossary.tip("subgroup"))
    st.markdown(_sentence(measured))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.dataframe(
            table(measured),
            hide_index=True,
            width="stretch",
            key="results_slices",
            alt=f"Test items and {measured.metric} for each {measured.column}",
        )
    with right:
        st.plotly_chart(
            slices(measured),
            width="stretch",
            key="results_slices_chart",
            config={"displayModeBar": False},
            alt=slices_words(measured),
        )
    note = (
        "Lines and ranges: 95% confidence intervals. Those against the rest are wider, to allow for several "
        "comparisons."
    )
    if measured.without:
        missing = words.plural(measured.without, "test item")
        note += f" Left out: {missing} without a value in {words.escape(measured.column)}."
    if reason := why_above_all(report, measured):
        note += f" {reason}"
    st.caption(note)


def why_above_all(report: Report, measured: Slices) -> str:
    """Return why the mean AUC over all items is higher than that of every slice; "" if it is not."""
    scores = [slice_.score.value for slice_ in measured.slices if slice_.score]
    if not (report.auc and scores and report.auc.value > max(scores)):
        return ""
    return (
        f"Over all test items the mean AUC is {report.auc.value:.1%}, higher than for any subgroup. This is possible "
        "for "
        "two reasons. A subgroup leaves out every label that none or all of its items have. And only the overall "
        "figure "
        "compares items of different subgroups."
    )


def _sentence(measured: Slices) -> str:
    worse = [slice_.name for slice_ in measured.slices if slice_.gap and slice_.gap.high < 0]
    column = words.escape(measured.column)
    if worse:
        return f"**Clearly worse where {column} is {words.escape(', '.join(worse))}.**"
    if measured.worst:
        name = words.escape(measured.worst)
        return f"The lowest score is where {column} is **{name}**, but the difference may be chance."
    if any(slice_.gap for slice_ in measured.slices):
        return f"No difference shown between the values of {column} that have enough test items."
    return f"There are too few test items for each {column} to compare them."


def table(measured: Slices) -> pd.DataFrame:
    """Return one row a slice: its test items, score and interval, and its difference from the rest."""
    rows = []
    for slice_ in measured.slices:
        score, gap = slice_.score, slice_.gap
        rows.append(
            {
                measured.column: slice_.name,
                "Test items": slice_.n,
                words.capitalise(measured.metric): f"{score.value:.1%}" if score else "not known",
                "between": f"{score.low:.0%} – {score.high:.0%}" if score else "",
                "Against the rest, in points": (
                    f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
                    if gap
                    else "too few items"
                ),
            }
        )
    return pd.DataFrame(rows)
