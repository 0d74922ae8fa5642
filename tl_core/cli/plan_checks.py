"""Check before a run starts that a plan fits its backbone, its data and its extra inputs."""

import argparse

from tl_core.backbones.catalogue import find_backbone
from tl_core.cli.console import Console
from tl_core.errors import PlanError, UsageError
from tl_core.penalties import PENALTIES, Need, available_needs, needs_of
from tl_core.plan import TransferPlan
from tl_core.runnable import Items, blocking, require_runnable, runnable

OPTIONS: dict[Need, str] = {"source": "--source", "target": "--target", "teacher": "--teacher"}


def check_plan(plan: TransferPlan, arguments: argparse.Namespace, console: Console, data: Items) -> None:
    """Raise PlanError if the plan cannot run on the data, or UsageError if only an option is missing.

    Warns about each option that the plan does not use.
    """
    spec = find_backbone(plan.backbone)
    have = available_needs(plan, spec, arguments.source, arguments.target, arguments.teacher)
    require_runnable(plan, spec, data, (*OPTIONS, *have))
    if stops := blocking(runnable(plan, spec, data, have)):
        needed = [need for penalty in plan.penalties for need in PENALTIES[penalty.name].needs]
        if missing := [OPTIONS[need] for need in needed if need in OPTIONS and need not in have]:
            raise UsageError(stops[0].message, f"Give it as {missing[0]}, or take another plan.")
        raise PlanError(stops[0].message, stops[0].hint)
    for option in (OPTIONS[need] for need in have if need in OPTIONS and need not in needs_of(plan)):
        console.note(f"warn: Nothing in this plan makes use of {option}, so it changes nothing.")
