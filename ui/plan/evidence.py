"""The probe of the data: its progress, and what it measured."""

from collections.abc import Mapping

import plotly.graph_objects as go
import streamlit as st

from tl_core.advice.probe_report import ProbeReport
from tl_core.evaluation.result_files import read_curve
from tl_core.layers import plain_titles
from ui import charts, session, theme, words
from ui.plan.context import PlanContext
from ui.runs import labels, launch, lookup


def probe(known: PlanContext) -> bool:
    """See to the probe: begin it, show how far it is, or what came out. Returns whether it still goes on."""
    task = launch.probe_task(known.dataset, known.spec.name)
    if known.probe:
        run = lookup.find(task)  # the curve still grows after the depths are compared
        return run is not None and run.active
    run = launch.ensure(task)
    if run.active:
        share, doing = labels.progress(run)
        with st.container(border=True, key="plan_probe"):
            st.markdown(
                f"**Getting to know your data.** {words.tell(known.spec.title)} looks at every item once. "
                "The recommendation below rests on it. This takes some seconds; with many items, a few minutes."
            )
            st.progress(share, text=doing)
        return True
    if run.status != "done":
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="plan_probe_failed"):
            st.markdown(
                f":material/warning: **The look at your data did not finish.** {words.tell(run.reason)} "
                f"{words.tell(run.hint)}",
                width="stretch",
            )
            if st.button("Try again", key="plan_probe_again"):
                launch.again(task)
                st.rerun()
    return False


def evidence(known: PlanContext) -> None:
    """Draw what the probe measured: accuracy at every depth, and how it grows with the number of labels."""
    if not known.probe:
        return
    curve = read_curve(session.workspace(), launch.probe_task(known.dataset, known.spec.name))
    left, right = st.columns(2, gap="large") if curve else (st.container(), None)
    with left:
        st.subheader("How deep to cut", anchor=False)
        _depth(known.probe, plain_titles(known.groups))
        st.caption(
            "A simple head on the frozen features after each layer group, by cross-validation. The large dot is "
            "where to cut: the last group that is not clearly worse than the best."
        )
    if curve and right:
        with right:
            st.subheader("What more labels would bring", anchor=False)
            st.plotly_chart(
                charts.curve(curve), key="plan_curve", config={"displayModeBar": False}, alt=charts.curve_words(curve)
            )
            st.caption(f"Bands: 95 % intervals. How each line was made. {words.tell(charts.given(curve))}.")


def _depth(report: ProbeReport, told: Mapping[str, str]) -> None:
    best: dict[str, float] = {}
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for score in report.depth:
        if score.accuracy.value >= best.get(score.tap, -1.0):
            best[score.tap] = score.accuracy.value
            low[score.tap], high[score.tap] = score.accuracy.low, score.accuracy.high
    names = list(best)
    brand, muted = theme.shade(theme.BRAND), theme.shade(theme.MUTED)
    figure = go.Figure(
        go.Scatter(
            x=[told.get(name, name) for name in names],
            y=list(best.values()),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high[name] - best[name] for name in names],
                "arrayminus": [best[name] - low[name] for name in names],
                "color": muted,
                "thickness": 1,
            },
            mode="lines+markers",
            line={"color": muted, "width": 1.5},
            marker={"size": [13 if name == report.tap else 8 for name in names], "color": brand},
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
        )
    )
    figure.update_layout(
        height=300, margin={"l": 0, "r": 10, "t": 10, "b": 0}, dragmode=False, showlegend=False,
        yaxis={"tickformat": ".0%"}, xaxis={"type": "category"},
    )  # fmt: skip
    where = told.get(report.tap or names[-1], names[-1])
    alt = f"{words.capital(report.metric)} by depth: best {max(best.values()):.0%} after {where}."
    st.plotly_chart(figure, key="plan_depth", config={"displayModeBar": False}, alt=alt)
