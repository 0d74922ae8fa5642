"""The data-efficiency curve on the results page: the chart, read across and down, and its from-scratch arm."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import streamlit as st

from tl_core.errors import GraftError
from tl_core.evaluation.label_efficiency import accuracy_gained, labels_saved
from tl_core.evaluation.result_files import read_curve
from tl_core.evaluation.results import Curve
from tl_core.runs import supervisor
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from ui import charts, session, words
from ui.runs import labels, lookup
from ui.runs.live_run import watch

SECONDS = 60
Way = Literal["down", "across"]
Kind = Literal["probe", "curve"]
KINDS: tuple[Kind, ...] = ("probe", "curve")
WAYS: dict[Way, str] = {"down": "The same number of labels", "across": "The same {metric}"}


def curve_runs(run: RunState, kind: Kind) -> list[RunState]:
    """Return the runs of a kind that work on this run's data, split, decisions and backbone, newest first."""
    mine = lookup.about(run.task)
    return [s for s in lookup.store().list() if s.kind == kind and lookup.about(s.task) == mine]


def queue(run: RunState, kind: Kind, budget: float | None = None) -> None:
    """Start the background run that measures the cheap arms ("probe") or the from-scratch arm ("curve")."""
    mine = run.task
    task = Task(kind, mine.backbone, mine.fingerprint, mine.split, seed=mine.seed, budget=budget)
    names = {"probe": "probe", "curve": "data-efficiency curve"}
    supervisor.start(lookup.store(), replace(task, name=f"{run.name}, {names[kind]}", decisions=mine.decisions))


def draw(run: RunState) -> None:
    """Draw the section; while it is being measured it redraws itself, point by point."""
    active = any(state.active for kind in KINDS for state in curve_runs(run, kind))
    st.fragment(_section, run_every=2.0 if active else None, key="results_curve_part")(run, active)


def _section(run: RunState, active: bool) -> None:
    if active and not any(state.active for kind in KINDS for state in curve_runs(run, kind)):
        st.rerun()
    shown = read_curve(session.workspace(), run.task)
    if shown is None:
        _offer_probe(run)
        return
    names = [arm.name for arm in shown.arms if arm.points and arm.name != "transfer"]
    labels, accuracy = _reading(shown, names) if names and shown.arm("transfer") else (None, None)
    st.plotly_chart(
        charts.curve(shown, labels, accuracy),
        width="stretch",
        key="results_curve",
        config={"displayModeBar": False},
        alt=charts.curve_words(shown),
    )
    st.caption(
        f"Every point is measured on the same {shown.n_test:,} test items. Bands: 95 % intervals. "
        f"How each line was made. {words.tell(charts.given(shown))}."
    )
    _scratch_arm(run, shown)


def _reading(shown: Curve, names: Sequence[str]) -> tuple[float | None, float | None]:
    """Draw the reading line's controls and its sentence; return where the line stands."""
    titles = {arm.name: arm.title for arm in shown.arms}
    left, right = st.columns([3, 2])
    with left:
        way = st.segmented_control(
            "Compare at", list(WAYS), default="down", required=True, key="results_way",
            format_func=lambda each: WAYS[each].format(metric=shown.metric),
        )  # fmt: skip
    with right:
        other = names[0]
        if len(names) > 1:
            other = st.segmented_control(
                "With", names, default=names[0], required=True, format_func=titles.__getitem__, key="results_arm"
            )
    mine, rival = shown.arm("transfer"), shown.arm(other)
    assert mine
    assert rival
    if way == "down":
        low = max(mine.points[0].labels, rival.points[0].labels)
        high = min(mine.points[-1].labels, rival.points[-1].labels)
        if low >= high:
            st.caption("The two lines share no stretch of label counts yet.")
            return None, None
        labels = st.slider("Labels", low, high, min(high, max(low, round((low * high) ** 0.5))), key="results_labels")
        _say(accuracy_gained(shown, labels, other).sentence, rival.title)
        return float(labels), None
    values = [100 * point.accuracy.value for arm in (mine, rival) for point in arm.points]
    low_p, high_p = int(min(values)), max(int(min(values)) + 1, int(max(values)))
    percent = st.slider(
        words.capital(shown.metric), low_p, high_p, (low_p + high_p) // 2, format="%d%%", key="results_goal"
    )
    _say(labels_saved(shown, percent / 100, other).sentence, rival.title)
    return None, percent / 100


def _say(sentence: str, title: str) -> None:
    """Write a reading; a title inside a sentence is not capitalised."""
    text = sentence.replace(title, title[0].lower() + title[1:])
    st.markdown(f"**{words.tell(text[0].upper() + text[1:])}**")


def _offer_probe(run: RunState) -> None:
    """Say why there is no curve yet, and offer to measure it."""
    probes = [state for state in curve_runs(run, "probe") if state.active]
    if probes:
        _show_progress(probes[0].id)
        return
    st.write("How many labels does your data need, and how many does transfer save? One look at the data tells.")
    if st.button("Measure the curve", icon=":material/show_chart:", key="results_probe"):
        _start(run, "probe", None)


def _scratch_arm(run: RunState, shown: Curve) -> None:
    """Offer the from-scratch arm, or show how far it is."""
    active = [state for state in curve_runs(run, "curve") if state.active]
    if active:
        _show_progress(active[0].id)
        return
    failed = [state for state in curve_runs(run, "curve")[:1] if state.status in ("failed", "interrupted")]
    for state in failed:
        st.warning(words.tell(f"{state.reason} {state.hint}".strip()))
    known = shown.arm("scratch")
    with st.container(horizontal=True, vertical_alignment="bottom", key="results_scratch"):
        seconds = st.number_input(
            "Seconds for each training from scratch",
            min_value=5,
            max_value=36_000,
            value=SECONDS,
            step=15,
            key="results_budget",
            width=300,
            help="The from-scratch network trains anew for each label count, this long at most. The budget is written "
            "below the chart.",
        )
        word = "Measure from scratch again" if known else "Add the same network from scratch"
        if st.button(word, icon=":material/add_chart:", key="results_scratch_start"):
            _start(run, "curve", float(seconds))


def _start(run: RunState, kind: Kind, budget: float | None) -> None:
    try:
        queue(run, kind, budget)
    except GraftError as error:
        st.error(f"{error.message} {error.hint}".strip())
        return
    st.rerun()


def _show_progress(run_id: str) -> None:
    """Show how far a background run is, and let it be stopped."""
    store = lookup.store()
    state = store.state(run_id)
    live = watch(store, run_id)
    done, text = 0.0, "Waiting for its turn"
    if state.status == "running":
        text = "Starting"
        if live.progress:
            done = live.progress.done / max(1, live.progress.total)
            text = f"{words.sentence(live.progress.stage)}: {live.progress.done:,} of {live.progress.total:,}"
        elif live.step:
            done, text = live.position, f"About {words.seconds(live.step.seconds_left)} left for this training"
    st.progress(min(1.0, done), text=f"{labels.title(state)}. {text}")
    if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key=f"results_stop_{run_id}"):
        store.stop(run_id)
        st.toast("Stopping…", icon=":material/stop:")
