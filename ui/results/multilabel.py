"""Results where an item may have several labels: the figures that say most, and the answers to each label."""

import pandas as pd
import streamlit as st

from tl_core.evaluation.report import true_and_predicted
from tl_core.evaluation.results import HALF, Report
from ui import words
from ui.reports import interval
from ui.results.headline import AREA, figure


def headline(report: Report) -> None:
    """Show the mean AUC, the share of right answers and that of items with every label right, with intervals."""
    cells = st.columns(3)
    if report.auc:
        figure(cells[0], "Mean AUC", report.auc, "every label counts the same", AREA)
    else:
        with cells[0], st.container(border=True, height="stretch"):
            st.metric("Mean AUC", "–", help=AREA)
            st.caption("No label is there on some test items and absent from others, so it cannot be measured.")
    help_ = "Each label is a yes or no for each item, and above one half is a yes: the share of right answers."
    figure(cells[1], "Right answers", report.accuracy, "rare labels make this easy", help_)
    if report.exact:
        right = sum(prediction.right for prediction in report.predictions)
        help_ = "The share of items for which every single label is right."
        figure(cells[2], "All labels right", report.exact, words.plural(right, "item"), help_)
    both = [("counts the same (macro-F1)", "label", report.macro_f1), ("does (micro-F1)", "answer", report.micro_f1)]
    said = [f"{value.value:.1%}, {interval(value)}, where every {one} {how}" for how, one, value in both if value]
    st.caption(f"Found, and right when said, in one figure: {'; '.join(said)}.")


def answers(report: Report) -> pd.DataFrame:
    """Return one row a label: how many test items have it or not, by what the model said."""
    truth, said = (found > HALF for found in true_and_predicted(report))
    return pd.DataFrame(
        {
            "Label": list(report.classes),
            "Has it, and said": (truth & said).sum(axis=0),
            "Has it, not said": (truth & ~said).sum(axis=0),
            "Has it not, but said": (~truth & said).sum(axis=0),
            "Has it not, not said": (~truth & ~said).sum(axis=0),
        }
    )


def show_answers(report: Report) -> None:
    """Draw the answers to each label as counts."""
    st.caption("Each label is a question of its own; a probability above one half counts as said.")
    st.dataframe(
        answers(report),
        hide_index=True,
        width="stretch",
        key="results_answers",
        alt="For each label, how many test items have it and were given it",
    )
