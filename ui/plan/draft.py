"""The project's plan as a draft: recommended, of a chosen strategy, or edited by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from tl_core.plan import TransferPlan, with_rate
from tl_core.strategies import STRATEGIES
from tl_core.types import Finding, load
from ui import session
from ui.plan.context import PlanContext


def settle(context: PlanContext) -> TransferPlan:
    """Return the project's plan and save it: as edited, else of the chosen strategy, else as recommended.

    If the plan changed, the page is run again, because the rail above was drawn with the old plan.
    """
    project = session.current()
    if project.plan and project.edited and project.plan.backbone == context.spec.name:
        return project.plan
    plan = context.advice.plan if not project.strategy else make(context, project.strategy, project.options)
    if plan != project.plan:
        session.update(plan=plan, edited=False)
        st.rerun()
    return plan


def make(context: PlanContext, strategy: str, options: Mapping[str, Any]) -> TransferPlan:
    """Return the plan of a strategy; `options` override the advised ones."""
    if not options:
        return context.advice.card(strategy).plan
    return STRATEGIES[strategy].make(context.task_info, options)


def current_strategy(context: PlanContext) -> str:
    """Return the name of the chosen strategy, else of the recommended one."""
    return session.current().strategy or context.advice.strategy


def choose(strategy: str, context: PlanContext) -> None:
    """Choose a strategy with its default options.

    Choosing the recommended one clears the choice, so that the plan follows the advice as evidence comes in.
    """
    chosen = "" if strategy == context.advice.strategy else strategy
    session.update(strategy=chosen, options={}, plan=None, edited=False)


def caveats(context: PlanContext, strategy: str) -> tuple[Finding, ...]:
    """Return why a strategy with its present options makes little sense for this data; empty if it makes sense."""
    options = dict(context.advice.card(strategy).options) | dict(session.current().options)
    return STRATEGIES[strategy].caveats(context.task_info, options)


def set_options(context: PlanContext, strategy: str, values: Mapping[str, Any]) -> None:
    """Save the options that differ from the defaults for this data."""
    defaults = vars(STRATEGIES[strategy].defaults(context.task_info)) | dict(context.advice.card(strategy).options)
    changed = {name: value for name, value in values.items() if value != defaults.get(name)}
    if changed != dict(session.current().options):
        session.update(strategy=strategy if changed else session.current().strategy, options=changed, edited=False)
        st.rerun()


def edit_rate(plan: TransferPlan, phase: int, group: str, rate: float | None) -> None:
    """Change the learning rate of one layer group in one phase; None freezes it."""
    save_edited(with_rate(plan, phase, group, rate))


def edit_phase(plan: TransferPlan, index: int, changes: Mapping[str, Any]) -> None:
    """Change epochs, schedule, warm-up or patience of a phase."""
    phases = [replace(phase, **changes) if at == index else phase for at, phase in enumerate(plan.phases)]
    save_edited(replace(plan, phases=tuple(phases)))


def save_edited(plan: TransferPlan) -> None:
    """Save a plan that was edited by hand and no longer follows from its strategy."""
    session.update(plan=load(TransferPlan, plan), edited=True)


def undo_edits() -> None:
    """Drop all edits by hand."""
    session.update(plan=None, edited=False)
