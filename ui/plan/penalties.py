"""The penalties of a plan: what may be added to the loss, switched on one by one."""

from dataclasses import replace

import streamlit as st

from tl_core.layers import HEAD
from tl_core.penalties import PENALTIES, PenaltyKind
from tl_core.plan import Penalty, TransferPlan
from tl_core.runnable import blocking
from ui import extra_data, forms, words
from ui.plan import draft
from ui.plan.context import PlanContext


def draw(plan: TransferPlan, known: PlanContext) -> None:
    """Draw the section; a plan whose penalties change counts as edited by hand."""
    chosen = {penalty.name: penalty for penalty in plan.penalties}
    with st.expander("Guards against forgetting", icon=":material/shield:", key="plan_guards", expanded=bool(chosen)):
        st.write(
            "Each adds a term to the loss in every phase in which the backbone learns. "
            "One is usually enough; none is needed where the backbone stays frozen."
        )
        for kind in PENALTIES.values():
            with st.container(border=True, key=f"plan_guard_box_{kind.name}"):
                _switch(kind, plan, known, chosen)
                if kind.name in chosen:
                    chosen[kind.name] = _settings(kind, chosen[kind.name])
    changed = tuple(chosen.values())
    if changed != plan.penalties:
        draft.edited(replace(plan, penalties=changed))
        st.rerun()


def missing(kind: PenaltyKind, plan: TransferPlan, known: PlanContext) -> str:
    """Return why a penalty cannot be had here, in a sentence and a hint; empty where it can."""
    alone = replace(plan, penalties=(Penalty(kind.name, kind.strength),))
    found = blocking(extra_data.findings(alone, known.spec, known.dataset, known.beside))
    if stops := [finding for finding in found if finding.items[0].startswith("penalties/")]:
        return f"{stops[0].message} {stops[0].hint}"
    idle = not any(set(phase.lr) - {HEAD} for phase in plan.phases)
    return "The whole backbone is frozen in this plan, so there is nothing to guard." if idle else ""


def _switch(kind: PenaltyKind, plan: TransferPlan, known: PlanContext, chosen: dict[str, Penalty]) -> None:
    """Draw the switch, and take the penalty in or out of `chosen`."""
    reason, key = missing(kind, plan, known), f"plan_guard_{kind.name}_{kind.name in chosen}"
    on = st.toggle(
        kind.title, value=kind.name in chosen, key=key, help=" · ".join(kind.sources),
        disabled=bool(reason) and kind.name not in chosen,
    )  # fmt: skip
    st.caption(f"{words.tell(kind.summary)} *{words.tell(kind.when)}*")
    if reason:
        st.caption(f":material/block: {words.tell(reason)}")
    if not on:
        chosen.pop(kind.name, None)
    elif kind.name not in chosen:
        chosen[kind.name] = Penalty(kind.name, kind.strength)


def _settings(kind: PenaltyKind, penalty: Penalty) -> Penalty:
    """Draw strength and options, and return the penalty with what they hold."""
    key = f"plan_guard_{kind.name}_{penalty.strength:g}"
    strength = st.number_input(
        "Strength", min_value=0.0, value=float(penalty.strength), step=kind.strength / 2, format="%g", key=f"{key}_by",
        help=f"{kind.strength:g} is usual; 0 is off. The Train page shows how large the term is.",
    )  # fmt: skip
    usual = vars(kind.options())
    found = forms.form(kind.options, penalty.options, key)
    options = {name: value for name, value in found.items() if value != usual[name] or name in penalty.options}
    return Penalty(kind.name, strength, options)
