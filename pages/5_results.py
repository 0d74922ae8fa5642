"""Results: how good the model is, where it errs, and what transfer was worth."""

import streamlit as st

from tl_core.evaluation.report import errors
from tl_core.evaluation.results import Report
from tl_core.runs.store import RunState
from ui import (
    empty,
    figures,
    rail,
    results,
    results_compare,
    results_curve,
    results_several,
    results_slices,
    running,
    session,
    words,
)


def confusion(report: Report) -> None:
    """Draw the confusion matrix; a click on a cell opens its items. A fragment: a click redraws only this."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        event = st.plotly_chart(
            figures.confusion(report),
            width="stretch",
            key="results_confusion",
            on_select="rerun",
            selection_mode="points",
            config={"displayModeBar": False},
            alt=figures.confusion_words(report),
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
            found = results.cell_items(report, truth, said)
            is_, called = words.tell(report.classes[truth]), words.tell(report.classes[said])
            st.markdown(f"**{len(found)} test items** that are {is_}, called {called}")
            results.show_predictions(
                report, session.open_dataset(report.fingerprint), found, f"results_cell_{truth}_{said}"
            )


def mistakes(report: Report) -> None:
    """Draw the wrong items, the most confident first."""
    wrong = errors(report)
    if not wrong:
        st.success("Every test item was right.", icon=":material/check_circle:")
        return
    st.caption("The surest mistakes come first. They often show a wrong label, or two classes that overlap.")
    results.show_predictions(report, session.open_dataset(report.fingerprint), wrong, "results_wrong")


def draw(run: RunState, report: Report) -> None:
    """Draw the whole page for a run that was measured."""
    st.caption(f"{running.title(run)} · {running.strategy_title(report.plan.strategy)}")
    (results_several if report.multilabel else results).headline(report)
    if dataset := session.open_dataset(report.fingerprint):
        results.looks_caption(dataset, run.task.split)
    words.findings(report.findings)
    st.header("What transfer was worth", anchor=False)
    results_compare.draw(run, report)
    st.subheader(f"{words.capital(report.metric)} for every number of labels", anchor=False)
    results_curve.draw(run)
    st.header("Where it is right and wrong", anchor=False)
    results.show_classes(report)
    first = "What is said of each label" if report.multilabel else "Who is taken for whom"
    matrix, wrong = st.tabs([first, "Surest mistakes"], key="results_tabs")
    with matrix:
        st.fragment(results_several.show_answers if report.multilabel else confusion)(report)
    with wrong:
        st.fragment(mistakes)(report)
    results_slices.draw(report)


st.title("See what it is worth", anchor=False)
run = running.chosen()
if empty.need_run() and run:
    report = results.read_report(run)
    if report:
        draw(run, report)
    else:
        rail.block("The model has to be trained and measured first.")
        text = "The training is still going on." if run.active else f"{run.reason} {run.hint}".strip()
        empty.empty("hourglass_top", "No results yet", text or "Nothing was measured.", "Go to training", "train")
