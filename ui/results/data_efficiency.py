"""The data-efficiency curve: the chart, a reading line with its sentence, and the from-scratch arm."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import streamlit as st

from tl_core.errors import GraftError
from tl_core.evaluation.label_efficiency import accuracy_gained, labels_saved
from tl_core.evaluation.result_files import read_curve
from tl_core.evaluation.results import Curve, CurveArm
from tl_core.runs import supervisor
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from ui import charts, glossary, session, words
from ui.runs import display, lookup
from ui.runs.live_run import watch

SECONDS = 60
Direction = Literal["down", "across"]
Kind = Literal["probe", "curve"]
KINDS: tuple[Kind, ...] = ("probe", "curve")
DIRECTIONS: dict[Direction, str] = {"down": "The same number of labels", "across": "The same {metric}"}


def curve_runs(run: RunState, kind: Kind) -> list[RunState]:
    """Return the runs of a kind on the same data, split, decisions and backbone as this run, the newest first."""
    inputs = lookup.measured_on(run.task)
    runs = [state for state in lookup.store().list() if state.kind == kind]
    return [state for state in runs if lookup.measured_on(state.task) == inputs]


def queue(run: RunState, kind: Kind, budget: float | None = None) -> None:
    """Start the background run that measures the cheap arms ("probe") or the from-scratch arm ("curve")."""
    base = run.task
    task = Task(kind, base.backbone, base.fingerprint, base.split, seed=base.seed, budget=budget)
    names = {"probe": "probe", "curve": "data-efficiency curve"}
    supervisor.start(lookup.store(), replace(task, name=f"{run.name}, {names[kind]}", decisions=base.decisions))


def draw(run: RunState) -> None:
    """Draw the section; it redraws itself, point by point, while the curve is being measured."""
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
        f"Every point is measured on the same {shown.n_test:,} test items. Bands: 95% confidence intervals. "
        f"How each line was measured: {words.escape(charts.budgets(shown))}.",
        help=glossary.tip("data-efficiency curve", "confidence interval"),
    )
    _scratch_arm(run, shown)


def _reading(shown: Curve, names: Sequence[str]) -> tuple[float | None, float | None]:
    """Draw the controls of the reading line and its sentence; return its position as labels or as score."""
    titles = {arm.name: arm.title for arm in shown.arms}
    left, right = st.columns([3, 2])
    with left:
        direction = st.segmented_control(
            "Compare at", list(DIRECTIONS), default="down", required=True, key="results_way",
            format_func=lambda direction: DIRECTIONS[direction].format(metric=shown.metric),
        )  # fmt: skip
    with right:
        other = names[0]
        if len(names) > 1:
            other = st.segmented_control(
                "With", names, default=names[0], required=True, format_func=titles.__getitem__, key="results_arm"
            )
    transfer, rival = shown.arm("transfer"), shown.arm(other)
    assert transfer
    assert rival
    if direction == "down":
        low = max(transfer.points[0].labels, rival.points[0].labels)
        high = min(transfer.points[-1].labels, rival.points[-1].labels)
        if low >= high:
            st.caption("The two lines do not overlap in numbers of labels yet.")
            return None, None
        labels = st.slider("Labels", low, high, min(high, max(low, round((low * high) ** 0.5))), key="results_labels")
        _show_reading(accuracy_gained(shown, labels, other).sentence, rival)
        return float(labels), None
    values = [100 * point.accuracy.value for arm in (transfer, rival) for point in arm.points]
    low_p, high_p = int(min(values)), max(int(min(values)) + 1, int(max(values)))
    percent = st.slider(
        words.capitalise(shown.metric), low_p, high_p, (low_p + high_p) // 2, format="%d%%", key="results_goal"
    )
    _show_reading(labels_saved(shown, percent / 100, other).sentence, rival)
    return None, percent / 100


def _show_reading(sentence: str, arm: CurveArm) -> None:
    """Show a sentence; the title of an arm inside it becomes what one says of that model in a sentence."""
    spoken = {"classical": "the classical model", "scratch": "the same network from scratch"}
    text = sentence.replace(arm.title, spoken.get(arm.name, arm.title))
    st.markdown(f"**{words.escape(text[0].upper() + text[1:])}**")


def _offer_probe(run: RunState) -> None:
    """Show the progress of the probe that measures the curve, or offer to start it."""
    probes = [state for state in curve_runs(run, "probe") if state.active]
    if probes:
        _show_progress(probes[0].id)
        return
    st.write(
        "How many labels do your data need, and how many does transfer learning save? One probe of the data measures "
        "it."
    )
    if st.button("Measure the curve", icon=":material/show_chart:", key="results_probe"):
        _start(run, "probe", None)


def _scratch_arm(run: RunState, shown: Curve) -> None:
    """Offer to measure the from-scratch arm, or show its progress."""
    active = [state for state in curve_runs(run, "curve") if state.active]
    if active:
        _show_progress(active[0].id)
        return
    failed = [state for state in curve_runs(run, "curve")[:1] if state.status in ("failed", "interrupted")]
    for state in failed:
        st.warning(words.escape(f"{state.reason} {state.hint}".strip()))
    measured = shown.arm("scratch")
    with st.container(horizontal=True, vertical_alignment="bottom", key="results_scratch"):
        seconds = st.number_input(
            "Seconds for each training from scratch",
            min_value=5,
            max_value=36_000,
            value=SECONDS,
            step=15,
            key="results_budget",
            width=300,
            help="The most seconds for each number of labels. The budget is stated below the chart.",
        )
        label = "Measure from scratch again" if measured else "Add the same network from scratch"
        if st.button(label, icon=":material/add_chart:", key="results_scratch_start"):
            _start(run, "curve", float(seconds))


def _start(run: RunState, kind: Kind, budget: float | None) -> None:
    try:
        queue(run, kind, budget)
    except GraftError as error:
        st.error(words.escape(f"{error.message} {error.hint}".strip(), links=True))
        return
    st.rerun()


def _show_progress(run_id: str) -> None:
    """Show the progress of a background run, with a stop button."""
    store = lookup.store()
    state = store.state(run_id)
    live = watch(store, run_id)
    done, text = 0.0, "Waiting for another run to finish"
    if state.status == "running":
        text = "Starting"
        if live.progress:
            done = live.progress.done / max(1, live.progress.total)
            text = f"{words.humanize(live.progress.stage)}: {live.progress.done:,} of {live.progress.total:,}"
        elif live.step:
            done, text = live.position, f"About {words.seconds(live.step.seconds_left)} left for this training"
    st.progress(min(1.0, done), text=f"{display.title(state)}. {text}")
    if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key=f"results_stop_{run_id}"):
        store.stop(run_id)
        st.toast("Stopping…", icon=":material/stop:")
