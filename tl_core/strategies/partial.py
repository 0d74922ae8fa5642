"""Partial fine-tuning: a solved head, then the head and the last blocks together."""

from dataclasses import dataclass

from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import doubt, fine_tuning, kept
from tl_core.strategies.recipes import (
    KUMAR,
    YOSINSKI,
    Extras,
    epochs_option,
    everywhere,
    from_solved_head,
    patience_option,
    rate_reason,
    scale_option,
    top,
    tune,
)
from tl_core.types import Finding


@dataclass(frozen=True)
class Partial(Extras):
    """What can be chosen."""

    reach: str = option(
        "two", "Blocks to train", "How many of the last blocks learn with the head.", choices=("one", "two", "half")
    )
    epochs: int = epochs_option(12)
    scale: float = scale_option()
    patience: int = patience_option(3)


def plan(setting: TaskInfo, options: Partial) -> TransferPlan:
    """Return a head phase and a phase over the last blocks."""
    lr = everywhere(top(setting.groups, options.reach), setting, options.scale)
    tuning = tune("last blocks", options.epochs, lr, setting, options.patience)
    why = (
        Reason("Lower layers are general and stay; the upper, task-specific ones adapt.", YOSINSKI),
        rate_reason(setting),
    )
    return from_solved_head(setting, options, "partial", tuning, why)


def fits(setting: TaskInfo, options: Partial) -> tuple[Finding, ...]:
    """Return where there is too little data, or where the last blocks are not enough or are already everything."""
    found = None
    if len(top(setting.groups, options.reach)) == len(setting.groups):
        message = f"This backbone has only {len(setting.groups)} blocks, so all of it learns: nothing is partial."
        found = doubt("all-of-it", message, "Choose fewer blocks to keep some frozen.", YOSINSKI)
    elif setting.similarity == "very different":
        message = "Your data is very different from what the backbone has seen; its frozen layers may fit badly too."
        hint = "Fine-tuning all layers can follow further, if there is data enough."
        found = doubt("far", message, hint, YOSINSKI, "info")
    return (*fine_tuning(setting), *kept(found))


STRATEGIES.add(
    Strategy(
        "partial",
        "Partial fine-tuning",
        "Learn the head, then fine-tune it together with the last one or two blocks, or the last half.",
        "Some data (100 to 1,000 items a class) that is not too far from what the backbone has seen.",
        Partial,
        plan,
        (YOSINSKI, KUMAR),
        fits,
    ),
)
