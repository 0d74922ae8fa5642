"""Results: how good the model is, where it errs, and what transfer was worth."""

import streamlit as st

from tl_core.evaluation.results import Report
from tl_core.runs.store import RunState
from ui import empty, rail, reports, session, words
from ui.results import classes, comparison, confusion, data_efficiency, headline, multilabel, predictions, slices
from ui.runs import labels, lookup


def draw(run: RunState, report: Report) -> None:
    """Draw the whole page for a run that was measured."""
    st.caption(f"{labels.title(run)} · {labels.strategy_title(report.plan.strategy)}")
    (multilabel if report.multilabel else headline).headline(report)
    if dataset := session.open_dataset(report.fingerprint):
        reports.looks_caption(dataset, run.task.split)
    words.findings(report.findings)
    st.header("What transfer was worth", anchor=False)
    comparison.draw(run, report)
    st.subheader(f"{words.capital(report.metric)} for every number of labels", anchor=False)
    data_efficiency.draw(run)
    st.header("Where it is right and wrong", anchor=False)
    classes.show_classes(report)
    first = "What is said of each label" if report.multilabel else "Who is taken for whom"
    matrix, wrong = st.tabs([first, "Surest mistakes"], key="results_tabs")
    with matrix:
        st.fragment(multilabel.show_answers if report.multilabel else confusion.draw)(report)
    with wrong:
        st.fragment(predictions.mistakes)(report)
    slices.draw(report)


st.title("See what it is worth", anchor=False)
run = lookup.chosen()
if empty.need_run() and run:
    report = reports.read_report(run)
    if report:
        draw(run, report)
    else:
        rail.block("The model has to be trained and measured first.")
        text = "The training is still going on." if run.active else f"{run.reason} {run.hint}".strip()
        empty.empty("hourglass_top", "No results yet", text or "Nothing was measured.", "Go to training", "train")
