"""Full fine-tuning: a solved head, then everything at one small rate."""

from dataclasses import dataclass

from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo
from tl_core.strategies.caveats import fine_tuning_caveats
from tl_core.strategies.recipes import (
    BERT,
    KORNBLITH,
    KUMAR,
    CommonOptions,
    epochs_option,
    from_solved_head,
    patience_option,
    rate_reason,
    scale_option,
    tuning_phase,
    uniform_rates,
)
from tl_core.strategies.towers import groups_of
from tl_core.types import Finding


@dataclass(frozen=True)
class Full(CommonOptions):
    """The options of the strategy."""

    epochs: int = epochs_option(8)
    scale: float = scale_option()
    patience: int = patience_option(3)


def plan(task_info: TaskInfo, options: Full) -> TransferPlan:
    """Return a head phase and a phase over every group at one rate."""
    lr = uniform_rates(groups_of(task_info, options.towers), task_info, options.scale)
    why = (Reason("Enough data lets every layer adapt, which reaches furthest.", KORNBLITH), rate_reason(task_info, lr))
    return from_solved_head(
        task_info,
        options,
        "full",
        tuning_phase("everything", options.epochs, lr, task_info, options.patience),
        why,
    )


def caveats(task_info: TaskInfo, options: Full) -> tuple[Finding, ...]:
    """Return where there is too little data for it."""
    return fine_tuning_caveats(task_info)


STRATEGIES.add(
    Strategy(
        name="full",
        title="Full fine-tuning",
        summary="Learn the head, then fine-tune the whole network at one small rate.",
        when="Much data (more than 10,000 items a class), or texts when time allows.",
        options=Full,
        plan=plan,
        sources=(KORNBLITH, BERT, KUMAR),
        caveats_for=caveats,
    ),
)
