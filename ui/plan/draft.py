"""The project's plan: recommended, of a chosen strategy, or edited by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from tl_core.plan import TransferPlan, with_rate
from tl_core.strategies import STRATEGIES
from tl_core.types import Finding, load
from ui import session
from ui.plan.context import PlanContext


def settle(known: PlanContext) -> TransferPlan:
    """Return the project's plan, and keep it: as edited, else of the chosen strategy, else as recommended.

    The page runs again where that changed it, because the rail was drawn before.
    """
    now = session.current()
    if now.plan and now.edited and now.plan.backbone == known.spec.name:
        return now.plan
    plan = known.advice.plan if not now.strategy else make(known, now.strategy, now.options)
    if plan != now.plan:
        session.update(plan=plan, edited=False)
        st.rerun()
    return plan


def make(known: PlanContext, strategy: str, options: Mapping[str, Any]) -> TransferPlan:
    """Return the plan of a strategy with some of its options changed."""
    if not options:
        return known.advice.card(strategy).plan
    return STRATEGIES[strategy].make(known.task_info, options)


def strategy_of(known: PlanContext) -> str:
    """Return the strategy in force: the chosen one, else the recommended one."""
    return session.current().strategy or known.advice.strategy


def choose(strategy: str, known: PlanContext) -> None:
    """Take a strategy with its usual options; the recommended one is followed as it improves."""
    followed = "" if strategy == known.advice.strategy else strategy
    session.update(strategy=followed, options={}, plan=None, edited=False)


def caveats(known: PlanContext, strategy: str) -> tuple[Finding, ...]:
    """Return why a strategy with its present options makes little sense for this data, if it does not."""
    options = dict(known.advice.card(strategy).options) | dict(session.current().options)
    return STRATEGIES[strategy].caveats(known.task_info, options)


def set_options(known: PlanContext, strategy: str, values: Mapping[str, Any]) -> None:
    """Keep the options that differ from what is usual here."""
    usual = vars(STRATEGIES[strategy].defaults(known.task_info)) | dict(known.advice.card(strategy).options)
    changed = {name: value for name, value in values.items() if value != usual.get(name)}
    if changed != dict(session.current().options):
        session.update(strategy=strategy if changed else session.current().strategy, options=changed, edited=False)
        st.rerun()


def edit_rate(plan: TransferPlan, phase: int, group: str, rate: float | None) -> None:
    """Change one cell by hand."""
    edited(with_rate(plan, phase, group, rate))


def edit_phase(plan: TransferPlan, index: int, changes: Mapping[str, Any]) -> None:
    """Change a phase by hand: its epochs, schedule, warm-up or patience."""
    phases = [replace(each, **changes) if at == index else each for at, each in enumerate(plan.phases)]
    edited(replace(plan, phases=tuple(phases)))


def edited(plan: TransferPlan) -> None:
    """Keep a plan that no longer follows from its strategy."""
    session.update(plan=load(TransferPlan, plan), edited=True)


def back_to_strategy() -> None:
    """Drop the edits by hand."""
    session.update(plan=None, edited=False)
