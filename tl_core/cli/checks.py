"""Mistakes in a plan that show only beside a backbone and the second data sets, told before anything is started."""

import argparse

from tl_core.backbones.spec import BACKBONES
from tl_core.cli.console import Console
from tl_core.errors import PlanError, UsageError
from tl_core.layers import HEAD
from tl_core.penalties import PENALTIES, Need, at_hand, check_multilabel, check_penalties, used
from tl_core.plan import TransferPlan

OPTIONS: dict[Need, str] = {"source": "--source", "target": "--target", "teacher": "--teacher"}


def check_plan(plan: TransferPlan, arguments: argparse.Namespace, console: Console, multilabel: bool) -> None:
    """Raise PlanError where the penalties or the adapter cannot work, UsageError where they lack an option.

    `several`: whether an item may have several labels, which not every plan can learn.

    Says which option the plan makes no use of.
    """
    spec = BACKBONES[plan.backbone]
    have = at_hand(plan, spec, arguments.source, arguments.target, arguments.teacher)
    if unfit := check_multilabel(plan, multilabel):
        raise PlanError(unfit[0].message, unfit[0].hint)
    if wrong := [found for found in check_penalties(plan, (*OPTIONS, *have), spec.modality) if found.level == "stop"]:
        raise PlanError(wrong[0].message, wrong[0].hint)
    if wrong := [found for found in check_penalties(plan, have, spec.modality) if found.level == "stop"]:
        missing = next(need for penalty in plan.penalties for need in PENALTIES[penalty.name].needs if need not in have)
        raise UsageError(wrong[0].message, f"Give it as {OPTIONS[missing]}, or take another plan.")
    _check_adapter(plan)
    for name in (need for need in have if need in OPTIONS and need not in used(plan)):
        console.note(f"warn: Nothing in this plan makes use of {OPTIONS[name]}, so it changes nothing.")


def _check_adapter(plan: TransferPlan) -> None:
    from tl_core.advice.adapters import matrices

    if plan.adapter is None:
        return
    layers = matrices(BACKBONES[plan.backbone])
    named = {group for phase in plan.phases for group in phase.lr} - {HEAD}
    if without := [group for group, found in layers.items() if group in named and not found]:
        raise PlanError(
            f"An adapter fits no layer of {', '.join(without)}, so nothing could learn there.",
            "Leave these groups out of the phases.",
        )
