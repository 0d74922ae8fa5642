"""The penalties of a plan: terms added to the loss, switched on one by one."""

from dataclasses import replace

import streamlit as st

from tl_core.layers import HEAD
from tl_core.penalties import PENALTIES, PenaltyKind
from tl_core.plan import Penalty, TransferPlan
from tl_core.runnable import blocking
from ui import extra_data, forms, words
from ui.plan import draft
from ui.plan.context import PlanContext


def draw(plan: TransferPlan, context: PlanContext) -> None:
    """Draw the section. A plan whose penalties change counts as edited by hand."""
    chosen = {penalty.name: penalty for penalty in plan.penalties}
    with st.expander(
        "Penalties (extra loss terms)", icon=":material/shield:", key="plan_penalties", expanded=bool(chosen)
    ):
        st.write(
            "A penalty adds a term to the loss in every phase in which the backbone learns. Most keep the network from "
            "forgetting what it knows. One is usually enough; a frozen backbone needs none.",
        )
        for kind in PENALTIES.values():
            with st.container(border=True, key=f"plan_penalty_box_{kind.name}"):
                _toggle(kind, plan, context, chosen)
                if kind.name in chosen:
                    chosen[kind.name] = _settings(kind, chosen[kind.name])
    changed = tuple(chosen.values())
    if changed != plan.penalties:
        draft.save_edited(replace(plan, penalties=changed))
        st.rerun()


def why_not(kind: PenaltyKind, plan: TransferPlan, context: PlanContext) -> str:
    """Return why a penalty cannot be used here, in a sentence and a hint; "" if it can."""
    alone = replace(plan, penalties=(Penalty(kind.name, kind.strength),))
    stops = blocking(extra_data.findings(alone, context.spec, context.dataset, context.extra))
    if about_penalty := [stop for stop in stops if any(place.startswith("penalties/") for place in stop.items)]:
        return f"{about_penalty[0].message} {about_penalty[0].hint}"
    idle = not any(set(phase.lr) - {HEAD} for phase in plan.phases)
    return "The whole backbone is frozen in this plan, so a penalty has nothing to act on." if idle else ""


def _toggle(kind: PenaltyKind, plan: TransferPlan, context: PlanContext, chosen: dict[str, Penalty]) -> None:
    """Draw the toggle, and add the penalty to `chosen` or remove it."""
    reason, key = why_not(kind, plan, context), f"plan_penalty_{kind.name}_{kind.name in chosen}"
    on = st.toggle(
        kind.title, value=kind.name in chosen, key=key, help=" · ".join(kind.sources),
        disabled=bool(reason) and kind.name not in chosen,
    )  # fmt: skip
    st.caption(f"{words.escape(kind.summary)} *{words.escape(kind.when)}*")
    if reason:
        st.caption(f":material/block: {words.escape(reason)}")
    if not on:
        chosen.pop(kind.name, None)
    elif kind.name not in chosen:
        chosen[kind.name] = Penalty(kind.name, kind.strength)


def _settings(kind: PenaltyKind, penalty: Penalty) -> Penalty:
    """Draw the inputs for strength and options, and return the penalty with their values."""
    key = f"plan_penalty_{kind.name}_{penalty.strength:g}"
    strength = st.number_input(
        "Strength", min_value=0.0, value=float(penalty.strength), step=kind.strength / 2, format="%g", key=f"{key}_by",
        help=f"The factor of the term in the loss. {kind.strength:g} is usual, 0 switches it off. The Train page "
             "shows how "
        "large the term is.",
    )  # fmt: skip
    defaults = vars(kind.options())
    values = forms.form(kind.options, penalty.options, key)
    options = {name: value for name, value in values.items() if value != defaults[name] or name in penalty.options}
    return Penalty(kind.name, strength, options)
