"""Discriminative learning rates: the lower the layer, the smaller its rate."""

from dataclasses import dataclass

from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    DECAY,
    KUMAR,
    ULMFIT,
    YOSINSKI,
    CommonOptions,
    epochs_option,
    falling_rates,
    from_solved_head,
    patience_option,
    rate_reason,
    reached,
    scale_option,
    usable_patience,
)
from tl_core.strategies.towers import parts_that_learn
from tl_core.types import Finding


@dataclass(frozen=True)
class Discriminative(CommonOptions):
    """The options of the strategy."""

    reach: str = option("all", "Blocks to train", "The last half of the network, or all.", choices=("half", "all"))
    decay: float = option(
        0.4,
        "Rate of the block below (a)",
        "lr(l) = base * a^(L - l): times the rate of the block above.",
        (0.05, 1.0),
        source=f"1/2.6 in {ULMFIT}",
    )
    epochs: int = epochs_option(8)
    scale: float = scale_option()
    patience: int = patience_option(3)


def plan(task_info: TaskInfo, options: Discriminative) -> TransferPlan:
    """Return a head phase and a phase whose rates fall towards the input."""
    lr = falling_rates(reached(task_info, options.reach, options.towers), task_info, options.decay, options.scale)
    tuning = Phase(
        "falling rates",
        options.epochs,
        lr,
        schedule="slanted",
        weight_decay=DECAY,
        patience=usable_patience(options.patience, options.epochs),
        recalibrate_norm="image" in parts_that_learn(task_info, lr),
    )
    why = (
        Reason("Lower layers hold general features and need to move least.", YOSINSKI),
        Reason(
            f"Each block learns at {options.decay:g} times the rate of the block above; 1/2.6 is published.", ULMFIT
        ),
        rate_reason(task_info, lr),
    )
    return from_solved_head(task_info, options, "discriminative", tuning, why)


def caveats(task_info: TaskInfo, options: Discriminative) -> tuple[Finding, ...]:
    """Return where there is too little data, or where the rates do not fall."""
    finding = None
    if options.decay == 1 or all(len(tower) == 1 for tower in reached(task_info, options.reach, options.towers)):
        message = "With these choices every block that learns has the same rate, so the rates do not fall."
        hint = "This is the same as fine-tuning at one rate."
        finding = caveat("no-fall", message, hint, ULMFIT, "info")
    return (*fine_tuning_caveats(task_info), *without_none(finding))


STRATEGIES.add(
    Strategy(
        name="discriminative",
        title="Discriminative learning rates",
        summary="Learn the head, then fine-tune with rates that fall from the head to the input.",
        when="1,000 to 10,000 items a class (last half), or much data of a different domain (all).",
        options=Discriminative,
        plan=plan,
        sources=(ULMFIT, YOSINSKI, KUMAR),
        caveats_for=caveats,
    ),
)
