"""Probe, then fine-tune (LP-FT): solve the linear head first, then fine-tune everything at a small rate."""

from dataclasses import dataclass

from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    KUMAR,
    RULE_OF_THUMB,
    CommonOptions,
    epochs_option,
    from_solved_head,
    patience_option,
    rate_reason,
    tuning_phase,
    uniform_rates,
)
from tl_core.strategies.towers import groups_of
from tl_core.types import Finding


@dataclass(frozen=True)
class LpFt(CommonOptions):
    """The options of the strategy."""

    epochs: int = epochs_option(8)
    scale: float = option(
        0.3, "Learning rate, times the usual", "After a solved head a smaller rate is enough.", (0.01, 10.0),
        source=f"{RULE_OF_THUMB}, after {KUMAR}",
    )  # fmt: skip
    patience: int = patience_option(3)


def plan(task_info: TaskInfo, options: LpFt) -> TransferPlan:
    """Return the solved head, then every group at a rate below that of full fine-tuning."""
    lr = uniform_rates(groups_of(task_info, options.towers), task_info, options.scale)
    tuning = tuning_phase("everything, gently", options.epochs, lr, task_info, options.patience)
    why = (
        Reason("It keeps more of the pretrained features than plain fine-tuning, most of all on shifted data.", KUMAR),
        rate_reason(task_info, lr),
    )
    return from_solved_head(task_info, options, "lp_ft", tuning, why)


def caveats(task_info: TaskInfo, options: LpFt) -> tuple[Finding, ...]:
    """Return where there is too little data, or where the pretrained features are a poor start."""
    finding = None
    if task_info.similarity == "very different":
        message = (
            "Your data are very different from what the backbone has seen. This strategy keeps the backbone's "
            "features, which pays only where they are good."
        )
        finding = caveat("poor-features", message, "Full fine-tuning moves further from them.", KUMAR, "info")
    return (*fine_tuning_caveats(task_info), *without_none(finding))


STRATEGIES.add(
    Strategy(
        name="lp_ft",
        title="Probe, then fine-tune",
        summary="Solve the head exactly, then fine-tune everything gently from there.",
        when="Some data, and new items that may differ from today's.",
        options=LpFt,
        plan=plan,
        sources=(KUMAR,),
        caveats_for=caveats,
    ),
)
