"""The probe: its progress, and what it measured."""

from collections.abc import Mapping

import plotly.graph_objects as go
import streamlit as st

from tl_core.advice.probe_report import ProbeReport
from tl_core.evaluation.result_files import read_curve
from tl_core.layers import plain_titles
from tl_core.types import Estimate
from ui import charts, glossary, session, theme, words
from ui.plan.context import PlanContext
from ui.runs import display, launch, lookup


def probe(context: PlanContext) -> bool:
    """Start the probe if needed, and show its progress or why it failed. Returns whether it is still running."""
    task = launch.probe_task(context.dataset, context.spec.name)
    if context.probe:
        run = lookup.find(task)  # the curve continues after the depths are compared
        return run is not None and run.active
    run = launch.find_or_start(task)
    if run.active:
        share, stage = display.progress(run)
        with st.container(border=True, key="plan_probe"):
            st.markdown(
                f"**Probing your data.** {words.escape(context.spec.title)} looks at every item once. "
                "The recommendation below is based on it. This takes seconds, or a few minutes with many items."
            )
            st.progress(share, text=stage)
        return True
    if run.status != "done":
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="plan_probe_failed"):
            st.markdown(
                f":material/warning: **The probe of your data did not finish.** {words.escape(run.reason)} "
                f"{words.escape(run.hint)}",
                width="stretch",
            )
            if st.button("Try again", key="plan_probe_again"):
                launch.start_new(task)
                st.rerun()
    return False


def evidence(context: PlanContext) -> None:
    """Draw what the probe measured: the score at every depth, and how it grows with the number of labels."""
    if not context.probe:
        return
    curve = read_curve(session.workspace(), launch.probe_task(context.dataset, context.spec.name))
    left, right = st.columns(2, gap="large") if curve else (st.container(), None)
    with left:
        st.subheader("How much of the backbone to use", anchor=False)
        none = context.advice.zero_shot
        _depth(context.probe, plain_titles(context.groups), none)
        st.caption(
            "The score of a simple head on the frozen features after each layer group, by cross-validation. The large "
            "dot marks where to cut: the last layer group that is not clearly worse than the best.",
            help=glossary.tip("probe", "cross-validation"),
        )
        if none:
            st.caption(
                f"Dotted line: no training at all, only the names of the classes: **{none.value:.0%}** "
                f"({none.low:.0%} to {none.high:.0%}, {words.plural(none.n, 'item')}).",
                help=glossary.tip("zero-shot"),
            )
    if curve and right:
        with right:
            st.subheader("What more labels would bring", anchor=False)
            st.plotly_chart(
                charts.curve(curve), key="plan_curve", config={"displayModeBar": False}, alt=charts.curve_words(curve)
            )
            st.caption(
                f"Bands: 95% confidence intervals. How each line was measured: {words.escape(charts.budgets(curve))}."
            )


def _depth(report: ProbeReport, titles: Mapping[str, str], none: Estimate | None) -> None:
    best: dict[str, float] = {}
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for score in report.depth:
        if score.accuracy.value >= best.get(score.tap, -1.0):
            best[score.tap] = score.accuracy.value
            low[score.tap], high[score.tap] = score.accuracy.low, score.accuracy.high
    names = list(best)
    cut = report.tap or names[-1]
    brand, muted = theme.shade(theme.BRAND), theme.shade(theme.MUTED)
    figure = go.Figure(
        go.Scatter(
            x=[titles.get(name, name) for name in names],
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
            marker={"size": [13 if name == cut else 8 for name in names], "color": brand},
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
        )
    )
    if none:
        figure.add_hline(y=none.value, line={"color": muted, "dash": "dot"}, annotation_text="no training")
    figure.update_layout(
        height=300, margin={"l": 0, "r": 10, "t": 10, "b": 0}, dragmode=False, showlegend=False,
        yaxis={"tickformat": ".0%"}, xaxis={"type": "category"},
    )  # fmt: skip
    alt = (
        f"{words.capitalise(report.metric)} by depth: at best {max(best.values()):.0%}; cut after "
        f"{titles.get(cut, cut)}.{f' Without training: {none.value:.0%}.' if none else ''}"
    )
    st.plotly_chart(figure, key="plan_depth", config={"displayModeBar": False}, alt=alt)
