"""Gradual unfreezing: each phase thaws one more block, until one brings no better validation score."""

from dataclasses import dataclass

from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import GUIDE, caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    BERT,
    DECAY,
    KUMAR,
    PRECHELT,
    RULE_OF_THUMB,
    ULMFIT,
    CommonOptions,
    batch_size,
    batch_size_reason,
    falling_rates,
    l2_of_last_group,
    rate_reason,
    recalibration_reason,
    scale_option,
    solved_head_phase,
    solved_head_reason,
    usable_patience,
)
from tl_core.strategies.towers import parts_that_learn, towers_of
from tl_core.types import Finding


@dataclass(frozen=True)
class Gradual(CommonOptions):
    """The options of the strategy."""

    steps: int = option(
        3, "Blocks to thaw at most",
        "From the head down, one more in each phase, until one brings no better validation score.",
        (1, 14),
        source=f"as many as the network of {ULMFIT} has",
    )  # fmt: skip
    epochs: int = option(
        5,
        "Epochs a phase at most",
        "A phase ends sooner at a plateau.",
        (1, 100),
        usual=lambda task_info: 5 if "image" in task_info.parts else 3,
        source=f"5 in {GUIDE}; for texts {BERT}, A.3",
    )
    decay: float = option(
        0.4,
        "Rate of the block below",
        "Times the rate of the block above it.",
        (0.05, 1.0),
        source=f"1/2.6 in {ULMFIT}",
    )
    scale: float = scale_option()
    patience: int = option(
        2, "Patience", "A plateau: this many epochs without a better validation score.", (1, 50),
        source=f"below the 3 to 6 of {PRECHELT}, as the next phase goes on",
    )  # fmt: skip


def plan(task_info: TaskInfo, options: Gradual) -> TransferPlan:
    """Return a head phase, then phases over the last block, the last two, and so on.

    From the second block on, a phase is trained only if the last one improved the best validation score.
    """
    towers = towers_of(task_info, options.towers)
    phases = [solved_head_phase(l2_of_last_group(task_info), final=False)]
    for count in range(1, min(options.steps, max(map(len, towers))) + 1):
        lr = falling_rates([tower[-count:] for tower in towers], task_info, options.decay, options.scale)
        phases.append(
            Phase(
                "last block" if count == 1 else f"last {count} blocks",
                options.epochs,
                lr,
                schedule="slanted",
                weight_decay=DECAY,
                patience=usable_patience(options.patience, options.epochs),
                recalibrate_norm="image" in parts_that_learn(task_info, lr),
                only_if_better=count > 1,
            )
        )
    why = (
        Reason("Thawing from the top down lets the upper layers settle before the lower ones move.", ULMFIT),
        solved_head_reason(),
        Reason("A phase is trained only if the last one improved the best validation score.", RULE_OF_THUMB),
        *recalibration_reason(phases[-1]),
        rate_reason(task_info, phases[-1].lr),
        batch_size_reason(task_info),
    )
    return TransferPlan(
        task_info.backbone, "gradual", tuple(phases), batch_size=batch_size(task_info), why=why, **options.plan_fields()
    )


def caveats(task_info: TaskInfo, options: Gradual) -> tuple[Finding, ...]:
    """Return where there is too little data, or too few blocks to thaw one after another."""
    finding = None
    if len(task_info.groups) <= 2:
        message = f"This backbone has only {len(task_info.groups)} blocks, too few to thaw one after another."
        finding = caveat("few-blocks", message, "Partial or full fine-tuning does the same in less time.", ULMFIT)
    elif options.steps == 1:
        message = "Only one block thaws: this is partial fine-tuning."
        finding = caveat("one-step", message, "Thaw more blocks to make it gradual.", ULMFIT, "info")
    return (*fine_tuning_caveats(task_info), *without_none(finding))


STRATEGIES.add(
    Strategy(
        name="gradual",
        title="Gradual unfreezing",
        summary="Learn the head, then thaw one more block in each phase, until one brings no better validation score.",
        when="Some data, and a risk that the network forgets what it knows.",
        options=Gradual,
        plan=plan,
        sources=(ULMFIT, KUMAR),
        caveats_for=caveats,
    ),
)
