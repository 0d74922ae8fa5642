"""Full fine-tuning: a solved head, then everything at one small rate."""

from dataclasses import dataclass

from tl_core.layers import HEAD
from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Setting, Strategy
from tl_core.strategies.fits import fine_tuning
from tl_core.strategies.recipes import (
    BERT,
    KORNBLITH,
    KUMAR,
    Extras,
    backbone_rate,
    batch_size,
    epochs_option,
    last_l2,
    patience_option,
    rate_reason,
    scale_option,
    scaled,
    size_reason,
    solve_head,
    solved_head_reason,
    tune,
)
from tl_core.types import Finding


@dataclass(frozen=True)
class Full(Extras):
    """What can be chosen."""

    epochs: int = epochs_option(8)
    scale: float = scale_option()
    patience: int = patience_option(3)


def plan(setting: Setting, options: Full) -> TransferPlan:
    """Return a head phase and a phase over every group at one rate."""
    rate = scaled(backbone_rate(setting), options.scale)
    lr = dict.fromkeys([*setting.groups, HEAD], rate)
    phases = (
        solve_head(last_l2(setting), final=False),
        tune("everything", options.epochs, lr, setting, options.patience),
    )
    why = (
        Reason("Enough data lets every layer adapt, which reaches furthest.", KORNBLITH),
        solved_head_reason(),
        rate_reason(setting),
        size_reason(setting),
    )
    return TransferPlan(setting.backbone, "full", phases, batch_size=batch_size(setting), why=why, **options.extras())


def fits(setting: Setting, options: Full) -> tuple[Finding, ...]:
    """Return where there is too little data for it."""
    return fine_tuning(setting)


STRATEGIES.add(
    "full",
    Strategy(
        "full",
        "Full fine-tuning",
        "Learn the head, then fine-tune the whole network at one small rate.",
        "Much data (more than 10,000 items a class), or texts when time allows.",
        Full,
        plan,
        (KORNBLITH, BERT, KUMAR),
        fits,
    ),
)
