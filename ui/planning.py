"""How a project comes to its plan: the advice, a strategy chosen instead, options, edits by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from tl_core.advice.advice import Advice, ProbeReport, read_report
from tl_core.advice.rules import advise, setting_for
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.speed import Speed, read_speed
from tl_core.data.dataset import Dataset
from tl_core.data.profile import Profile
from tl_core.errors import PlanError
from tl_core.plan import TransferPlan, with_rate
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import Finding, load
from ui import companions, data_view, session


@dataclass(frozen=True)
class PlanContext:
    """Everything that a plan rests on."""

    dataset: Dataset
    spec: BackboneSpec
    profile: Profile
    probe: ProbeReport | None
    speed: Speed | None
    advice: Advice
    setting: TaskInfo
    beside: companions.ExtraData = field(default_factory=companions.ExtraData)

    @property
    def groups(self) -> tuple[str, ...]:
        """The backbone's layer groups, input side first."""
        return tuple(group.name for group in self.spec.groups)

    @property
    def tokens(self) -> int:
        """The usual length of a text, 0 for pictures or where it is not known."""
        return next((spread.median for spread in self.profile.sizes if spread.unit == "tokens"), 0)


def ground() -> PlanContext:
    """Return what is known now; more of it after the probe and the speed test."""
    dataset, spec = session.dataset(), session.backbone()
    if dataset is None or spec is None:
        raise PlanError("A plan needs data and a backbone.", "Choose them on the pages before.")
    found = data_view.profile_of(dataset)
    probe = read_report(session.workspace(), dataset, spec.name)
    speed = read_speed(session.workspace(), spec.name)
    domain = session.current().domain or None
    advice = advise(found, spec, probe, speed, domain)
    beside = companions.chosen(dataset)
    setting = setting_for(found, spec, probe, speed, domain)
    setting = replace(setting, has_source=bool(beside.source), has_target=bool(beside.target))
    return PlanContext(dataset, spec, found, probe, speed, advice, setting, beside)


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
    return STRATEGIES[strategy].make(known.setting, options)


def strategy_of(known: PlanContext) -> str:
    """Return the strategy in force: the chosen one, else the recommended one."""
    return session.current().strategy or known.advice.strategy


def choose(strategy: str, known: PlanContext) -> None:
    """Take a strategy with its usual options; the recommended one is followed as it improves."""
    followed = "" if strategy == known.advice.strategy else strategy
    session.update(strategy=followed, options={}, plan=None, edited=False)


def doubts(known: PlanContext, strategy: str) -> tuple[Finding, ...]:
    """Return why a strategy with its present options makes little sense for this data, if it does not."""
    options = dict(known.advice.card(strategy).options) | dict(session.current().options)
    return STRATEGIES[strategy].doubts(known.setting, options)


def set_options(known: PlanContext, strategy: str, values: Mapping[str, Any]) -> None:
    """Keep the options that differ from what is usual here."""
    usual = vars(STRATEGIES[strategy].defaults(known.setting)) | dict(known.advice.card(strategy).options)
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
