"""Trying rates and layers before the training: two small runs in the background, and what they found."""

from typing import Literal

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.errors import GraftError
from tl_core.evaluation.result_files import read_layers, read_rates
from tl_core.layers import plain_titles
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.training.lr_curve import with_rate_of
from ui import errors, extra_data, words
from ui.plan import draft, trial_charts
from ui.plan.context import PlanContext
from ui.runs import labels, launch, lookup

Kind = Literal["rates", "layers"]
BUTTONS: dict[Kind, tuple[str, str]] = {
    "rates": ("Try learning rates", ":material/speed:"),
    "layers": ("Try each layer group", ":material/layers:"),
}
NAMES: dict[Kind, str] = {"rates": "trial of rates", "layers": "trial of layers"}


def draw(plan: TransferPlan, known: PlanContext) -> None:
    """Draw the section; while something is tried it redraws itself."""
    with st.expander("Try rates and layers on your data", icon=":material/science:", key="plan_tuning"):
        active = _active(plan, known)
        st.fragment(_section, run_every=1.0 if active else None, key="plan_tuning_part")(plan, known, active)


def _section(plan: TransferPlan, known: PlanContext, active: bool) -> None:
    if active and not _active(plan, known):
        st.rerun()
    st.write(
        "A trial takes a few dozen steps on a copy; nothing is kept of what it learns. The first one raises the "
        "learning rate until training breaks, the second one trains each layer group alone beside the head."
    )
    with st.container(horizontal=True, key="plan_tuning_buttons"):
        for kind in BUTTONS:
            _button(kind, plan, known)
    for kind in BUTTONS:
        state = _find(kind, plan, known)
        if state is not None:
            _show(kind, state, plan)


def _active(plan: TransferPlan, known: PlanContext) -> bool:
    return any((state := _find(kind, plan, known)) is not None and state.active for kind in BUTTONS)


def _find(kind: Kind, plan: TransferPlan, known: PlanContext) -> RunState | None:
    """Return the newest trial for a plan of this shape: the same groups in the same phases; rates may differ."""
    mine = (known.spec.name, known.dataset.fingerprint, known.dataset.split, known.dataset.decisions_digest)
    for state in lookup.store().list():
        asked = state.task
        if state.kind == kind and asked.plan and lookup.about(asked) == mine:
            same = asked.plan.head == plan.head and (kind == "layers" or _shape(asked.plan) == _shape(plan))
            if same:
                return state
    return None


def _shape(plan: TransferPlan) -> list[tuple[str, frozenset[str]]]:
    return [(phase.optimizer, frozenset(phase.lr)) for phase in plan.phases]


def _button(kind: Kind, plan: TransferPlan, known: PlanContext) -> None:
    state = _find(kind, plan, known)
    solved = kind == "rates" and all(phase.optimizer == "lbfgs" for phase in plan.phases)
    title, icon = BUTTONS[kind]
    pressed = st.button(
        title, icon=icon, key=f"plan_try_{kind}", disabled=solved or (state is not None and state.active),
        help="This plan solves its head exactly: it has no learning rate to find." if solved else None,
    )  # fmt: skip
    if pressed:
        name = f"{known.dataset.name}, {NAMES[kind]}"
        data = known.dataset
        task = Task(
            kind, known.spec.name, data.fingerprint, data.split, plan, name=name, decisions=data.pin_decisions()
        )
        try:
            launch.again(extra_data.complete(task, data))
        except GraftError as error:
            errors.show(error)
            return
        st.rerun()


def _show(kind: Kind, state: RunState, plan: TransferPlan) -> None:
    """Show how far a trial is, or what it found."""
    if state.active:
        share, doing = labels.progress(state)
        st.progress(share, text=f"{BUTTONS[kind][0]}. {doing}")
        if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key=f"plan_stop_{kind}"):
            lookup.store().stop(state.id)
        return
    if state.status in ("failed", "interrupted"):
        st.warning(words.tell(f"{state.reason} {state.hint}".strip()), icon=":material/warning:")
        return
    if kind == "rates":
        _rates(state, plan)
    else:
        _layers(state, plan)


def _rates(state: RunState, plan: TransferPlan) -> None:
    found = read_rates(lookup.store().folder(state.id))
    if found is None:
        return
    st.plotly_chart(
        trial_charts.rates(found), width="stretch", key="plan_rates", config={"displayModeBar": False},
        alt=trial_charts.rates_words(found),
    )  # fmt: skip
    phase = f"phase {found.phase + 1}, *{words.tell(found.name)}*"
    if found.suggestion is None:
        why = "the training items are learned already, or cannot be learned this way"
        st.markdown(f"In {phase}, no rate made the loss fall clearly, so none is suggested: {why}.")
        return
    with st.container(horizontal=True, vertical_alignment="center", key="plan_rates_use"):
        st.markdown(
            f"Suggested for {phase}: **{found.suggestion:g}** :gray[({found.rule}; for its fastest layer group, the "
            "others in proportion)]",
            width="stretch",
        )
        changed = with_rate_of(plan, found.phase, found.suggestion)
        if st.button("Use this rate", icon=":material/check:", key="plan_use_rate", disabled=changed == plan):
            draft.edited(changed)
            st.rerun()


def _layers(state: RunState, plan: TransferPlan) -> None:
    found = read_layers(lookup.store().folder(state.id))
    if found is None:
        return
    told = plain_titles(group.name for group in BACKBONES[plan.backbone].groups)
    st.plotly_chart(
        trial_charts.layers(found, told), width="stretch", key="plan_layers", config={"displayModeBar": False},
        alt=trial_charts.layers_words(found, told),
    )  # fmt: skip
    rest = f" {len(found.groups)} of {found.total} were tried." if len(found.groups) < found.total else ""
    st.caption(
        f"{found.steps} steps at {found.rate:g} on {found.items:,} training items, scored on "
        f"{found.baseline.accuracy.n:,} validation items. Lines: 95 % intervals; bars whose lines overlap much are not "
        f"shown to differ.{rest}"
    )
