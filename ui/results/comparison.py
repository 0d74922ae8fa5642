"""Transfer gain: this model against each baseline, on the same test items."""

from typing import Literal

import streamlit as st

from tl_core.errors import GraftError
from tl_core.evaluation.results import Comparison, Report
from tl_core.runs.store import RunState
from ui import errors, glossary, words
from ui.reports import interval
from ui.runs import display, launch, lookup
from ui.runs.live_run import watch

SECONDS = 120
_WAITING = "results_waiting"


def draw(run: RunState, report: Report) -> None:
    """Draw the section; it redraws itself while a baseline is running."""
    waiting = any(other.active for other in lookup.baselines(run.id))
    if waiting:
        st.session_state[_WAITING] = run.id
    st.fragment(_watch, run_every=2.0 if waiting else None)(run, report)


def comparisons(run: RunState, report: Report) -> None:
    """Draw the comparison with each baseline; for one that is missing, its progress or a button to start it."""
    cards = {card.baseline: card for card in report.comparisons}
    baselines = lookup.baselines(run.id)
    columns = st.columns(2)
    for column, name in zip(columns, ("scratch", "classical"), strict=True):
        with column:
            if name in cards:
                comparison_card(cards[name])
            elif name == "scratch" and run.task.plan and run.task.plan.init == "pretrained":
                missing_scratch(run, baselines[0] if baselines else None)


def missing_scratch(run: RunState, other: RunState | None) -> None:
    """Show the progress of the from-scratch baseline, or offer to start it."""
    with st.container(border=True, height="stretch"):
        st.markdown("**Against: the same network from scratch**")
        if other and other.active:
            display.badge(other)
            live = watch(lookup.store(), other.id)
            st.progress(live.position, text=f"At most {other.task.budget or 0:.0f} s of training")
            return
        if other:
            st.warning(words.escape(f"{other.reason} {other.hint}".strip()))
        st.write("Would the network be as good without its earlier knowledge? Train it from scratch and compare.")
        seconds = st.number_input("Seconds of training", 10, 36_000, SECONDS, 30, key="results_seconds", width=220)
        if st.button("Train from scratch", icon=":material/play_arrow:", key="results_baseline"):
            try:
                launch.start_scratch(run, float(seconds))
            except GraftError as error:
                errors.show(error)
            else:
                st.rerun()


def _watch(run: RunState, report: Report) -> None:
    """Draw the comparisons, as the body of a fragment; redraw the page when the last baseline ends."""
    comparisons(run, report)
    if st.session_state.get(_WAITING) == run.id and not any(other.active for other in lookup.baselines(run.id)):
        del st.session_state[_WAITING]
        st.rerun()


VERDICTS: dict[str, tuple[Literal["green", "gray", "red", "orange"], str, str]] = {
    "helps": ("green", ":material/trending_up:", "Transfer helps"),
    "no difference shown": ("gray", ":material/drag_handle:", "No difference shown"),
    "hurts": ("red", ":material/trending_down:", "The baseline is better here"),
    "cannot tell": ("orange", ":material/help:", "Too few test items to tell"),
}


def verdict_sentence(comparison: Comparison) -> str:
    """Return the verdict in one or two plain sentences."""
    points = abs(100 * comparison.gain.value)
    unit = "right answers" if comparison.metric == "accuracy" else "pairs in the right order"
    span = interval(comparison.gain, points=True)
    if comparison.verdict == "helps":
        return f"{points:.1f} more {unit} in a hundred than the baseline, {span}."
    if comparison.verdict == "hurts":
        return f"{points:.1f} fewer {unit} in a hundred than the baseline, {span}."
    if comparison.verdict == "no difference shown":
        return f"Both are about equally good: the difference is {span}."
    items = words.plural(comparison.gain.n, "test item")
    if comparison.gain.low > 0 or comparison.gain.high < 0:
        return (
            f"The difference seems to be {span}, but {items} are too few to be sure. More test items would settle it."
        )
    return f"The difference may be anything {span}. More test items would settle it."


def comparison_card(comparison: Comparison) -> None:
    """Draw one comparison: gain, interval, verdict, and the budget of the baseline."""
    colour, icon, verdict = VERDICTS[comparison.verdict]
    with st.container(border=True, height="stretch"):
        st.markdown(f"**Against: {comparison.title[0].lower()}{comparison.title[1:]}**")
        st.badge(verdict, icon=icon, color=colour)
        cells = st.columns([4, 3, 3])
        cells[0].metric(
            "Gain in points",
            f"{100 * comparison.gain.value:+.1f}",
            help=glossary.tip(
                "baseline",
                note="The gain is the difference in "
                + (
                    "right answers in a hundred."
                    if comparison.metric == "accuracy"
                    else "mean AUC, in percentage points."
                ),
            ),
        )
        cells[1].metric("This model", f"{comparison.transfer.value:.1%}")
        cells[2].metric("Baseline", f"{comparison.other.value:.1%}")
        st.write(verdict_sentence(comparison))
        same = f"{words.capitalise(comparison.metric)} on the same {comparison.gain.n:,} test items."
        st.caption(f"{same} Budget of the baseline: {words.escape(comparison.budget)}.")
