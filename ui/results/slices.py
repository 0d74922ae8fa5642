"""Results by subgroup (slice): the score of each, beside the rest."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tl_core.evaluation.results import Report, Slices
from ui import words
from ui.charts import LONGEST, MARGIN
from ui.theme import GRID, MUTED, SERIES, shade
from ui.words import capital

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def slices(shown: Slices) -> "Figure":
    """Return the score of each slice with its interval, the first on top; too few test items are grey."""
    import plotly.graph_objects as go

    known = [(one, one.score) for one in shown.slices if one.score is not None]
    figure = go.Figure(
        go.Scatter(
            x=[score.value for _, score in known],
            y=[words.shorten(one.name, LONGEST) for one, _ in known],
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


def draw(report: Report) -> None:
    """Draw the section; nothing where the data name no subgroups."""
    found = report.slices
    if found is None:
        return
    st.header("Is it as good for everyone?", anchor=False)
    st.markdown(_sentence(found))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.dataframe(
            table(found),
            hide_index=True,
            width="stretch",
            key="results_slices",
            alt=f"Test items and {found.metric} for each {found.column}",
        )
    with right:
        st.plotly_chart(
            slices(found),
            width="stretch",
            key="results_slices_chart",
            config={"displayModeBar": False},
            alt=slices_words(found),
        )
    note = "Lines and ranges: 95 % intervals; those against the rest are wider, because several are looked at at once."
    if found.without:
        note += (
            f" {words.plural(found.without, 'test item')} without a value in {words.tell(found.column)} are left out."
        )
    if whole := above(report, found):
        note += f" {whole}"
    st.caption(note)


def above(report: Report, found: Slices) -> str:
    """Return why the mean AUC of all lies above that of every slice, "" where it does not."""
    scores = [one.score.value for one in found.slices if one.score]
    if not (report.auc and scores and report.auc.value > max(scores)):
        return ""
    return (
        f"Over all test items it is {report.auc.value:.1%}, more than for any of these. That can be: a label that no "
        "item of one of them has, or every item, is left out of its mean, and items of different ones are compared "
        "only over all."
    )


def _sentence(found: Slices) -> str:
    worse = [one.name for one in found.slices if one.gap and one.gap.high < 0]
    column = words.tell(found.column)
    if worse:
        return f"**Clearly worse where {column} is {words.tell(', '.join(worse))}.**"
    if found.worst:
        name = words.tell(found.worst)
        return f"It does least well where {column} is **{name}**; that this is more than chance is not shown."
    if any(one.gap for one in found.slices):
        return f"It does equally well for every {column} that has enough test items to say."
    return f"Too few test items for each {column} to compare them."


def table(found: Slices) -> pd.DataFrame:
    """Return one row a slice: its test items, score and interval, and the difference from the rest."""
    rows = []
    for one in found.slices:
        score, gap = one.score, one.gap
        rows.append(
            {
                found.column: one.name,
                "Test items": one.n,
                words.capital(found.metric): f"{score.value:.1%}" if score else "not known",
                "between": f"{score.low:.0%} – {score.high:.0%}" if score else "",
                "Against the rest, in points": (
                    f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
                    if gap
                    else "too few items"
                ),
            }
        )
    return pd.DataFrame(rows)
