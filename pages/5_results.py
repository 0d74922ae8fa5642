"""Results: how good the model is, where it errs, and what transfer learning gained."""

import streamlit as st

from tl_core.evaluation.results import Report
from tl_core.runs.store import RunState
from ui import empty, glossary, rail, reports, session, words
from ui.results import classes, comparison, confusion, data_efficiency, headline, predictions, slices
from ui.runs import display, lookup


def draw(run: RunState, report: Report) -> None:
    """Draw the whole page for a run that was measured."""
    st.caption(f"{display.title(run)} · {display.strategy_title(report.plan.strategy)}")
    (headline.multilabel if report.multilabel else headline.headline)(report)
    if dataset := session.open_dataset(report.fingerprint):
        reports.holdout_caption(dataset, run.task.split)
    words.show_findings(report.findings)
    st.header("Transfer gain: what transfer learning was worth", anchor=False, help=glossary.tip("transfer gain"))
    comparison.draw(run, report)
    title = f"Data-efficiency curve: {report.metric} for each number of labels"
    st.subheader(title, anchor=False, help=glossary.tip("data-efficiency curve"))
    data_efficiency.draw(run)
    st.header("Where it is right and wrong", anchor=False)
    classes.show_classes(report)
    first = "Right and wrong by label" if report.multilabel else "Confusion matrix"
    matrix, wrong = st.tabs([first, "Most confident mistakes"], key="results_tabs")
    with matrix:
        if not report.multilabel:
            st.caption(glossary.TERMS["confusion matrix"])
        st.fragment(classes.show_answers if report.multilabel else confusion.draw)(report)
    with wrong:
        st.fragment(predictions.mistakes)(report)
    slices.draw(report)


st.title("See what it is worth", anchor=False)
run = lookup.project_run()
if empty.need_run() and run:
    report = reports.read_report(run)
    if report:
        draw(run, report)
    else:
        rail.block("This needs a finished training.")
        text = "The training is still running." if run.active else f"{run.reason} {run.hint}".strip()
        empty.empty("hourglass_top", "No results yet", text or "This run was not measured.", "Go to training", "train")
