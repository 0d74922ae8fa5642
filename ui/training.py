"""The train page's parts: what will run, the run as it goes on, how it ended."""

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.runs.store import RunState
from ui import rail, running, session
from ui.components.plan_grid import plan_grid
from ui.live import draw_run, watch

SECONDS = 120


def summary() -> None:
    """Show what will run."""
    project, dataset, spec = session.current(), session.dataset(), session.backbone()
    if not (project.plan and dataset and spec):
        return
    cells = st.columns(4)
    counts = {name: len(dataset.rows(name)) for name in ("train", "validation", "test")}
    cells[0].metric("Data", dataset.name, border=True)
    cells[1].metric(
        "Learns from",
        f"{counts['train']:,} {rail.noun(dataset.modality, counts['train'])}",
        border=True,
        help=f"{counts['validation']:,} more steer the training; {counts['test']:,} are kept for the final measure.",
    )
    cells[2].metric("Backbone", spec.title, border=True)
    cells[3].metric("Strategy", running.strategy_title(project.plan.strategy), border=True)
    with st.container(border=True):
        st.subheader("What learns, and when", anchor=False)
        plan_grid(project.plan, [group.name for group in spec.groups], key="train_plan")


def setup() -> None:
    """Show the plan, its options and the one button."""
    project, dataset, spec = session.current(), session.dataset(), session.backbone()
    if not (project.plan and dataset and spec):
        return
    summary()
    scratch, seconds, seed = True, SECONDS, 0
    with st.container(border=True):
        from_scratch = project.plan.init == "random"
        if not from_scratch:
            scratch = st.toggle(
                "Then train the same network from scratch, to prove the gain",
                value=True,
                key="train_scratch",
                help="The same network without its earlier knowledge, on the same data. It runs after this one, "
                "in the background.",
            )
        left, right = st.columns(2)
        if scratch and not from_scratch:
            seconds = left.number_input(
                "Seconds for the training from scratch", 10, 36_000, SECONDS, 30, key="train_budget"
            )
        seed = right.number_input(
            "Seed", 0, 2**31 - 1, 0, key="train_seed", help="The same seed gives the same result on the same computer."
        )
    if st.button("Start training", type="primary", icon=":material/play_arrow:", key="train_start"):
        name = f"{dataset.name} · {spec.title}"
        running.start(dataset, project.plan, int(seed), name)
        state = running.chosen()
        if scratch and not from_scratch and state:
            running.start_scratch(state, float(seconds))
        st.rerun()


@st.dialog("Stop this training?")
def confirm_stop(run_id: str) -> None:
    """Ask before a run is stopped."""
    st.write("The best weights so far are kept and measured, so you can use the result. It cannot go on afterwards.")
    if st.button("Stop and keep the best", type="primary", icon=":material/stop:", key="train_stop_yes"):
        running.store().stop(run_id)
        st.toast("Stopping…", icon=":material/stop:")
        st.rerun()


def outcome(state: RunState) -> None:
    """Say how a run ended, and offer the next step."""
    if state.status in ("done", "stopped"):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            accuracy = state.numbers.get("accuracy")
            words = f" It gets {accuracy:.0%} of the test items right." if accuracy is not None else ""
            st.markdown(
                f"**{'The model is ready.' if state.status == 'done' else 'Stopped; the best is kept.'}**{words}"
            )
            st.space("stretch")
            if st.button("See the results", type="primary", icon=":material/insights:", key="train_results"):
                rail.go("results")
        return
    tone = st.error if state.status == "failed" else st.warning
    tone(f"**{state.reason or 'The training did not finish.'}**\n\n{state.hint}")
    if st.button("Start again", type="primary", icon=":material/replay:", key="train_again"):
        session.update(run=running.restart(state))
        st.rerun()


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
    return state.id, state.active, any(other.active for other in running.baselines(state.id))


def show(run_id: str) -> None:
    """Draw one run; the fragment's body, so it reads the run's state anew each time."""
    state = running.store().state(run_id)
    if watched(state) != st.session_state.get("train_watching"):
        st.rerun()
    if state.active:
        with st.container(horizontal=True, vertical_alignment="center", key="train_head"):
            running.badge(state)
            st.markdown(f"**{running.title(state)}**", width="content")
            st.space("stretch")
            if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="train_stop"):
                confirm_stop(run_id)
    modality = BACKBONES[state.task.backbone].modality if state.task.backbone in BACKBONES else "image"
    draw_run(running.store(), state, modality)
    queue_line(state)
