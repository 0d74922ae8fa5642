"""The train page's parts: what will run, the run as it goes on, how it ended."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import streamlit as st

from tl_core.advice.cost import estimate
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.backbones.speed import read_speed
from tl_core.data.dataset import Dataset
from tl_core.errors import GraftError
from tl_core.plan import TransferPlan
from tl_core.runnable import blocking
from tl_core.runs import supervisor
from tl_core.runs.failure import LOG
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.types import Estimate
from ui import companions, plan_words, rail, running, session, steering, words
from ui.components.plan_grid import plan_grid
from ui.data_view import profile_of
from ui.live import draw_run, watch

SECONDS = 120


def setup() -> None:
    """Show what will run, its options and the one button."""
    project, dataset, spec = session.current(), session.dataset(), session.backbone()
    if not (project.plan and dataset and spec):
        return
    _facts(project.plan, dataset, spec)
    plan, options = st.columns([3, 2], gap="medium")
    with plan, st.container(border=True):
        st.subheader("What learns, and when", anchor=False)
        plan_grid(project.plan, [group.name for group in spec.groups], key="train_plan")
        plan_words.draw(project.plan)
    with options, st.container(border=True):
        seed, seconds = _options(project.plan)
        stops = blocking(companions.findings(project.plan, spec, dataset, companions.chosen(dataset)))
        words.findings(stops)
        if st.button(
            "Start training", type="primary", icon=":material/play_arrow:", key="train_start", disabled=bool(stops)
        ):
            name = f"{dataset.name} · {spec.title}"
            task = Task("train", spec.name, dataset.fingerprint, dataset.split, project.plan, seed, name=name)
            task = replace(task, decisions=dataset.pin())
            running.start(companions.complete(task, dataset))
            state = running.chosen()
            if seconds and state:
                running.start_scratch(state, seconds)
            st.rerun()


def same(task: Task, plan: TransferPlan) -> bool:
    """Whether the project as it is now would train the same as `task`."""
    dataset = session.dataset()
    if dataset is None:
        return False
    now = replace(task, plan=plan, fingerprint=dataset.fingerprint, split=dataset.split, decisions=dataset.decided)
    return companions.complete(now, dataset) == task


def _facts(plan: TransferPlan, dataset: Dataset, spec: BackboneSpec) -> None:
    counts = {name: len(dataset.rows(name)) for name in ("train", "validation", "test")}
    kept = f"{counts['validation']:,} more steer the training; {counts['test']:,} are kept for the final measure."
    with st.grid(4, min_column_width=180, key="train_facts"):
        st.metric("Data", dataset.name, border=True)
        learns = f"{counts['train']:,} {rail.noun(dataset.modality, counts['train'])}"
        st.metric("Learns from", learns, border=True, help=kept)
        title = running.strategy_title(plan.strategy)
        st.metric("Strategy", title, border=True, help=f"On the backbone {spec.title}.")
        if expected := _expected(plan, dataset, spec):
            st.metric("Expected time", words.span(expected), border=True, help=expected.method)
        else:
            st.metric("Backbone", spec.title, border=True)


def _expected(plan: TransferPlan, dataset: Dataset, spec: BackboneSpec) -> Estimate | None:
    """Return the seconds that the plan takes on this computer, None where its speed was not measured."""
    speed = read_speed(session.workspace(), spec.name)
    if speed is None:
        return None
    found = profile_of(dataset)
    tokens = next((spread.median for spread in found.sizes if spread.unit == "tokens"), 0)
    return estimate(plan, spec, speed, found.n_train, len(dataset.classes), tokens)[0]


def _options(plan: TransferPlan) -> tuple[int, float]:
    """Draw the options; return the seed and the seconds from scratch, 0 for none."""
    seconds = 0.0
    if plan.init == "pretrained":
        scratch = st.toggle(
            "Then train the same network from scratch, to prove the gain",
            value=True,
            key="train_scratch",
            help="The same network without its earlier knowledge, on the same data. It runs after this one, in the "
            "background.",
        )
        if scratch:
            label = "Seconds for the training from scratch"
            seconds = float(st.number_input(label, 10, 36_000, SECONDS, 30, key="train_budget"))
    same = "The same seed gives the same result on the same computer."
    seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="train_seed", help=same)
    return int(seed), seconds


@st.dialog("Stop this training?")
def confirm_stop(run_id: str) -> None:
    """Ask before a run is stopped."""
    st.write("The best weights so far are kept and measured, so you can use the result. It can go on from there later.")
    if st.button("Stop and keep the best", type="primary", icon=":material/stop:", key="train_stop_yes"):
        supervisor.stop(running.store(), run_id)
        st.toast("Stopping…", icon=":material/stop:")
        st.rerun()


def outcome(state: RunState) -> None:
    """Say how a run ended, and offer the next step."""
    if state.status in ("done", "stopped"):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            accuracy = state.numbers.get("accuracy")
            told = f" It gets {accuracy:.0%} of the test items right." if accuracy is not None else ""
            if "exact" in state.numbers:  # items with several labels
                told = f" On the test items: {words.score(state.numbers)}."
            st.markdown(
                f"**{'The model is ready.' if state.status == 'done' else 'Stopped; the best is kept.'}**{told}"
            )
            st.space("stretch")
            if state.resumable:
                go_on(state.id, "secondary")
            if st.button("See the results", type="primary", icon=":material/insights:", key="train_results"):
                rail.go("results")
        return
    tone = st.error if state.status == "failed" else st.warning
    reason = words.tell(state.reason or "The training did not finish.")
    tone(f"**{reason}**\n\n{words.tell(state.hint)}")
    details = last_lines(running.store().folder(state.id) / LOG)
    if "Traceback" in details:
        with st.expander("Details for whoever looks into it", icon=":material/bug_report:", key="train_details"):
            st.code(details, language=None, wrap_lines=True)
    with st.container(horizontal=True, key="train_recover"):
        if state.resumable:
            go_on(state.id, "primary")
        if st.button(
            "Start again",
            type="secondary" if state.resumable else "primary",
            icon=":material/replay:",
            key="train_again",
        ):
            session.update(run=running.restart(state))
            st.rerun()


def go_on(run_id: str, kind: Literal["primary", "secondary"]) -> None:
    """Draw the button that goes on with a run that ended early."""
    tip = "What was learned up to the last saved state is kept; only the rest is done."
    if st.button("Go on", type=kind, icon=":material/play_arrow:", help=tip, key="train_go_on"):
        steering.go_on(run_id)
        st.rerun()


def last_lines(path: Path, size: int = 3000) -> str:
    """Return the end of a log, "" where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def queue_line(state: RunState) -> None:
    """Show the from-scratch run that belongs to this one."""
    for other in running.baselines(state.id)[:1]:
        with st.container(horizontal=True, vertical_alignment="center", key="train_scratch_line"):
            running.badge(other)
            live = watch(running.store(), other.id)
            done = f", {live.position:.0%}" if other.status == "running" else ""
            st.caption(f"The same network from scratch, at most {other.task.budget or 0:.0f} s{done}", width="content")


def watched(state: RunState) -> tuple[str, bool, bool]:
    """Return what the page around the live part depends on: it is drawn anew when this changes."""
    return state.id, state.open, any(other.active for other in running.baselines(state.id))


def show(run_id: str) -> None:
    """Draw one run; the fragment's body, so it reads the run's state anew each time."""
    try:
        state = running.store().state(run_id)
    except GraftError:  # deleted meanwhile, here or on disk
        st.rerun()
    if watched(state) != st.session_state.get("train_watching"):
        st.rerun()
    if state.open:
        with st.container(horizontal=True, vertical_alignment="center", key="train_head"):
            running.badge(state)
            st.markdown(f"**{running.title(state)}**", width="content")
            st.space("stretch")
            steering.pause_button(state, key="train_pause")
            if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="train_stop"):
                confirm_stop(run_id)
    modality = BACKBONES[state.task.backbone].modality if state.task.backbone in BACKBONES else "image"
    draw_run(running.store(), state, modality)
    queue_line(state)
