"""What transfer was worth: this model against each baseline, on the same test items."""

from typing import Literal

import streamlit as st

from tl_core.errors import GraftError
from tl_core.evaluation.results import Comparison, Report
from tl_core.runs.store import RunState
from ui import errors, words
from ui.reports import interval
from ui.runs import labels, launch, lookup
from ui.runs.live_run import watch

SECONDS = 120
_WAITING = "results_waiting"


def draw(run: RunState, report: Report) -> None:
    """Draw the section; while a baseline runs it redraws itself."""
    waiting = any(other.active for other in lookup.baselines(run.id))
    if waiting:
        st.session_state[_WAITING] = run.id
    st.fragment(_watch, run_every=2.0 if waiting else None)(run, report)


def comparisons(run: RunState, report: Report) -> None:
    """Draw what transfer was worth against each baseline, and how far a baseline is that still runs."""
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
    """Show how far the from-scratch baseline is, or offer to start it."""
    with st.container(border=True, height="stretch"):
        st.markdown("**Against: the same network from scratch**")
        if other and other.active:
            labels.badge(other)
            live = watch(lookup.store(), other.id)
            st.progress(live.position, text=f"At most {other.task.budget or 0:.0f} s of training")
            return
        if other:
            st.warning(words.tell(f"{other.reason} {other.hint}".strip()))
        st.write("Would the network have been as good without its earlier knowledge? Train it anew and compare.")
        seconds = st.number_input("Seconds of training", 10, 36_000, SECONDS, 30, key="results_seconds", width=220)
        if st.button("Train from scratch", icon=":material/play_arrow:", key="results_baseline"):
            try:
                launch.start_scratch(run, float(seconds))
            except GraftError as error:
                errors.show(error)
            else:
                st.rerun()


def _watch(run: RunState, report: Report) -> None:
    """Redraw the comparisons while a baseline runs; a fragment's body."""
    comparisons(run, report)
    if st.session_state.get(_WAITING) == run.id and not any(o.active for o in lookup.baselines(run.id)):
        del st.session_state[_WAITING]
        st.rerun()


WORDS: dict[str, tuple[Literal["green", "gray", "red", "orange"], str, str]] = {
    "helps": ("green", ":material/trending_up:", "Transfer helps"),
    "no difference shown": ("gray", ":material/drag_handle:", "No difference shown"),
    "hurts": ("red", ":material/trending_down:", "The other is better here"),
    "cannot tell": ("orange", ":material/help:", "Too few test items to tell"),
}


def verdict_sentence(comparison: Comparison) -> str:
    """Return the verdict in one plain sentence."""
    points = abs(100 * comparison.gain.value)
    what = "right answers" if comparison.metric == "accuracy" else "pairs in the right order"
    span = interval(comparison.gain, points=True)
    if comparison.verdict == "helps":
        return f"{points:.1f} more {what} in a hundred than the other, {span}."
    if comparison.verdict == "hurts":
        return f"{points:.1f} fewer {what} in a hundred than the other, {span}."
    if comparison.verdict == "no difference shown":
        return f"Both are about equally good: the difference lies {span}."
    if comparison.gain.low > 0 or comparison.gain.high < 0:
        few = f"with {words.plural(comparison.gain.n, 'test item')} that is not certain"
        return f"The difference seems to lie {span}; {few}. More test items would settle it."
    return f"The difference may lie {span}. More test items would settle it."


def comparison_card(comparison: Comparison) -> None:
    """Draw one comparison: gain, interval, verdict, and what the baseline was given."""
    colour, icon, word = WORDS[comparison.verdict]
    with st.container(border=True, height="stretch"):
        st.markdown(f"**Against: {comparison.title[0].lower()}{comparison.title[1:]}**")
        st.badge(word, icon=icon, color=colour)
        cells = st.columns([4, 3, 3])
        cells[0].metric(
            "Gain in points",
            f"{100 * comparison.gain.value:+.1f}",
            help="How many more right answers in a hundred this model gives than the other."
            if comparison.metric == "accuracy"
            else "How much higher its mean AUC is, in points of a hundred.",
        )
        cells[1].metric("This model", f"{comparison.transfer.value:.1%}")
        cells[2].metric("The other", f"{comparison.other.value:.1%}")
        st.write(verdict_sentence(comparison))
        same = f"{words.capital(comparison.metric)} on the same {comparison.gain.n:,} test items."
        st.caption(f"{same} The other was given: {words.tell(comparison.budget)}.")
