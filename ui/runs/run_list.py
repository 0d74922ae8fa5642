"""The list of runs: one card each, with its actions."""

from datetime import datetime

import streamlit as st

from tl_core.errors import GraftError
from tl_core.runs import supervisor
from tl_core.runs.store import RunState
from ui import errors, rail, session, words
from ui.reports import interval, read_report
from ui.runs import display, lookup, requests

KINDS = {
    "train": "Training",
    "probe": "Probe",
    "curve": "Data-efficiency curve",
    "speed": "Speed test",
    "rates": "Learning-rate trial",
    "layers": "Layer trial",
    "check": "Data check",
    "zeroshot": "Sorting without labels",
    "rank": "Comparison of backbones",
}
PER_PAGE = 12


@st.dialog("Delete this run?")
def confirm_delete(state: RunState) -> None:
    """Ask before a run is deleted."""
    st.write(f"**{display.title(state)}**: its model, results and curves are deleted for good. The data set stays.")
    if st.button("Delete for good", type="primary", icon=":material/delete:", key="runs_delete_yes"):
        try:
            lookup.store().delete(state.id)
        except GraftError as error:
            errors.show(error)
            return
        if session.current().run == state.id:
            session.update(run="")
        st.toast("Deleted", icon=":material/delete:")
        st.rerun()


def score(state: RunState) -> tuple[str, str]:
    """Return a run's accuracy or mean AUC in words, and its interval; empty if it was not measured."""
    report = read_report(state) if state.kind == "train" else None
    if report and (value := report.score):
        return f"**{value.value:.1%}** {report.metric}", f"{interval(value)}, n = {value.n:,}"
    return "", ""


def card(state: RunState) -> None:
    """Draw one run."""
    dataset = session.open_dataset(state.task.fingerprint)
    backbone = session.backbone_title(state.task.backbone)
    with st.container(border=True, key=f"runs_card_{state.id}"):
        what, number, actions = st.columns([5, 3, 3], vertical_alignment="center")
        with what:
            with st.container(horizontal=True, vertical_alignment="center"):
                display.badge(state)
                st.markdown(f"**{display.title(state)}**", width="content")
            strategy = display.strategy_title(state.task.plan.strategy) if state.task.plan else ""
            shown = [dataset.name if dataset else "", backbone]
            parts = [KINDS[state.kind], *(part for part in shown if part not in state.name), strategy]
            when = datetime.fromtimestamp(state.created).strftime("%d %b %Y, %H:%M")
            st.caption(words.escape(" · ".join([*filter(None, parts), when])))
            if state.status in ("failed", "interrupted"):
                st.markdown(f":red[{words.escape(state.reason)}]")
        with number:
            value, span = score(state)
            if value:
                st.markdown(value)
                st.caption(span)
        with actions, st.container(horizontal=True, horizontal_alignment="right"):
            act(state)


def act(state: RunState) -> None:
    """Draw the buttons of a run: open, resume, stop or delete."""
    if state.kind == "train" and st.button("Open", icon=":material/open_in_new:", key=f"runs_open_{state.id}"):
        session.update(run=state.id)
        rail.go("results" if read_report(state) else "train")
    if (state.resumable or state.paused) and st.button(
        "Resume",
        icon=":material/play_arrow:",
        help="Continues from the last saved state.",
        key=f"runs_go_on_{state.id}",
    ):
        requests.resume(state.id)
        st.rerun()
    if state.active:
        if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key=f"runs_stop_{state.id}"):
            supervisor.stop(lookup.store(), state.id)
            st.toast("Stopping…", icon=":material/stop:")
            st.rerun()
    elif st.button(
        "Delete", icon=":material/delete:", key=f"runs_delete_{state.id}", help="Delete this run and its model"
    ):
        confirm_delete(state)


def show(everything: bool, page: int) -> None:
    """Draw one page of the list, as the body of a fragment. `everything` includes probes, curves and trials."""
    states = lookup.store().list()
    shown = [state for state in states if everything or state.kind == "train"]
    for state in shown[(page - 1) * PER_PAGE : page * PER_PAGE]:
        card(state)
