"""Distillation: a smaller network learns the labels and what a trained, larger one makes of every item."""

from dataclasses import dataclass

from tl_core.plan import Penalty, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import fine_tuning_caveats
from tl_core.strategies.recipes import (
    OWN,
    CommonOptions,
    everywhere,
    from_solved_head,
    patience_option,
    rate_reason,
    scale_option,
    tune,
    tuning_epochs,
)
from tl_core.types import Finding

HINTON = "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531"
BEYER = "Beyer et al. 2022, Knowledge distillation: A good teacher is patient and consistent, arXiv:2106.05237"


@dataclass(frozen=True)
class Distil(CommonOptions):
    """What can be chosen."""

    epochs: int = option(
        16, "Epochs at most", "A student gains from more epochs than labels alone would pay.", (1, 500),
        usual=lambda task_info: 2 * tuning_epochs(task_info),
        source=f"twice those of fine-tuning, {OWN}, after {BEYER}",
    )  # fmt: skip
    strength: float = option(
        1.0, "Weight of the teacher", "Times the loss on the labels.", (0.01, 100.0), source=f"{OWN}, after {HINTON}"
    )
    scale: float = scale_option()
    patience: int = patience_option(5)


def plan(task_info: TaskInfo, options: Distil) -> TransferPlan:
    """Return the solved head, then every group with the teacher's scores beside the labels."""
    lr = everywhere(task_info.groups, task_info, options.scale)
    tuning = tune("learn from the teacher", options.epochs, lr, task_info, options.patience)
    why = (
        Reason("A teacher's scores tell how like the classes are, which labels do not; the plan needs such a run.",
               HINTON),
        Reason("A student gains from more epochs than labels alone would pay.", BEYER),
        rate_reason(task_info),
    )  # fmt: skip
    teaching = (Penalty("distill", options.strength),)
    return from_solved_head(task_info, options, "distil", tuning, why, penalties=teaching)


def caveats(task_info: TaskInfo, options: Distil) -> tuple[Finding, ...]:
    """Return where there is too little data to teach with."""
    return fine_tuning_caveats(task_info)


STRATEGIES.add(
    Strategy(
        name="distil",
        title="Learn from a trained model (distillation)",
        summary="Fine-tune this network on the labels and on what a finished run, the teacher, makes of each item.",
        when="When a larger trained model is too slow to use, and a smaller one is to stand in for it.",
        options=Distil,
        plan=plan,
        sources=(HINTON, BEYER),
        caveats_for=caveats,
    ),
)
