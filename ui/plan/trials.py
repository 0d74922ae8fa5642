"""Trials before the training: a learning-rate range test and a layer sweep, each a short run in the background."""

from typing import Literal

import streamlit as st

from tl_core.errors import GraftError
from tl_core.evaluation.result_files import read_layers, read_rates
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.training.lr_curve import with_rate_of
from ui import errors, extra_data, glossary, words
from ui.plan import draft, trial_charts
from ui.plan.context import PlanContext
from ui.runs import display, launch, lookup

Kind = Literal["rates", "layers"]
BUTTONS: dict[Kind, tuple[str, str]] = {
    "rates": ("Try learning rates", ":material/speed:"),
    "layers": ("Try each layer group", ":material/layers:"),
}
NAMES: dict[Kind, str] = {"rates": "learning-rate trial", "layers": "layer trial"}


def draw(plan: TransferPlan, context: PlanContext) -> None:
    """Draw the section; it redraws itself while a trial is running."""
    with st.expander("Try learning rates and layers on your data", icon=":material/science:", key="plan_tuning"):
        active = _active(plan, context)
        st.fragment(_section, run_every=1.0 if active else None, key="plan_tuning_part")(plan, context, active)


def _section(plan: TransferPlan, context: PlanContext, active: bool) -> None:
    if active and not _active(plan, context):
        st.rerun()
    st.write(
        "A trial trains a copy for a few dozen steps and throws it away. The first raises the learning rate until "
        "training breaks. The second trains one layer group at a time, together with the head."
    )
    with st.container(horizontal=True, key="plan_tuning_buttons"):
        for kind in BUTTONS:
            _button(kind, plan, context)
    for kind in BUTTONS:
        state = _find(kind, plan, context)
        if state is not None:
            _show(kind, state, plan)


def _active(plan: TransferPlan, context: PlanContext) -> bool:
    return any((state := _find(kind, plan, context)) is not None and state.active for kind in BUTTONS)


def _find(kind: Kind, plan: TransferPlan, context: PlanContext) -> RunState | None:
    """Return the newest trial for a plan with the same groups in the same phases; learning rates may differ."""
    inputs = (context.spec.name, context.dataset.fingerprint, context.dataset.split, context.dataset.decisions_digest)
    for state in lookup.store().list():
        task = state.task
        if state.kind == kind and task.plan and lookup.measured_on(task) == inputs:
            same = task.plan.head == plan.head and (kind == "layers" or _shape(task.plan) == _shape(plan))
            if same:
                return state
    return None


def _shape(plan: TransferPlan) -> list[tuple[str, frozenset[str]]]:
    return [(phase.optimizer, frozenset(phase.lr)) for phase in plan.phases]


def _button(kind: Kind, plan: TransferPlan, context: PlanContext) -> None:
    state = _find(kind, plan, context)
    solved = kind == "rates" and all(phase.optimizer == "lbfgs" for phase in plan.phases)
    title, icon = BUTTONS[kind]
    pressed = st.button(
        title, icon=icon, key=f"plan_try_{kind}", disabled=solved or (state is not None and state.active),
        help=_button_tip(kind, solved),
    )  # fmt: skip
    if pressed:
        name = f"{context.dataset.name}, {NAMES[kind]}"
        dataset = context.dataset
        task = Task(
            kind,
            context.spec.name,
            dataset.fingerprint,
            dataset.split,
            plan,
            name=name,
            decisions=dataset.pin_decisions(),
        )
        try:
            launch.start_new(extra_data.with_extra_data(task, dataset))
        except GraftError as error:
            errors.show(error)
            return
        st.rerun()


def _button_tip(kind: Kind, solved: bool) -> str | None:
    if kind == "layers":
        return None
    if solved:
        return "This plan solves its head exactly, so there is no learning rate to find."
    return glossary.tip("learning-rate range test")


def _show(kind: Kind, state: RunState, plan: TransferPlan) -> None:
    """Show the progress of a trial, or its result."""
    if state.active:
        share, stage = display.progress(state)
        st.progress(share, text=stage)
        if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key=f"plan_stop_{kind}"):
            lookup.store().stop(state.id)
        return
    if state.status in ("failed", "interrupted"):
        st.warning(words.escape(f"{state.reason} {state.hint}".strip()), icon=":material/warning:")
        return
    if kind == "rates":
        _rates(state, plan)
    else:
        _layers(state, plan)


def _rates(state: RunState, plan: TransferPlan) -> None:
    curve = read_rates(lookup.store().folder(state.id))
    if curve is None:
        return
    st.plotly_chart(
        trial_charts.rates(curve), width="stretch", key="plan_rates", config={"displayModeBar": False},
        alt=trial_charts.rates_words(curve),
    )  # fmt: skip
    phase = f"phase {curve.phase + 1}, *{words.escape(curve.name)}*"
    if curve.suggestion is None:
        why = "The training items are already learned, or cannot be learned this way."
        st.markdown(f"In {phase}, no learning rate clearly reduced the loss, so none is suggested. {why}")
        return
    with st.container(horizontal=True, vertical_alignment="center", key="plan_rates_use"):
        st.markdown(
            f"Suggested for {phase}: **{curve.suggestion:g}** :gray[({curve.rule}; for its fastest layer group, the "
            "others in proportion)]",
            width="stretch",
        )
        changed = with_rate_of(plan, curve.phase, curve.suggestion)
        if st.button("Use this rate", icon=":material/check:", key="plan_use_rate", disabled=changed == plan):
            draft.save_edited(changed)
            st.rerun()


def _layers(state: RunState, plan: TransferPlan) -> None:
    sweep = read_layers(lookup.store().folder(state.id))
    if sweep is None:
        return
    titles = words.layer_names(plan.backbone, [])
    st.plotly_chart(
        trial_charts.layers(sweep, titles), width="stretch", key="plan_layers", config={"displayModeBar": False},
        alt=trial_charts.layers_words(sweep, titles),
    )  # fmt: skip
    tried = f" {len(sweep.groups)} of {sweep.total} layer groups were tried." if len(sweep.groups) < sweep.total else ""
    st.caption(
        f"{sweep.steps} steps with learning rate {sweep.rate:g} on {sweep.items:,} training items, scored on "
        f"{sweep.baseline.accuracy.n:,} validation items. Lines are 95% confidence intervals. Bars whose lines overlap "
        f"a lot may not differ.{tried}"
    )
