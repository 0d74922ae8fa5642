"""Distillation: a smaller network learns the labels, and the class scores that a trained, larger network gives."""

from dataclasses import dataclass

from tl_core.plan import Penalty, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import fine_tuning_caveats
from tl_core.strategies.recipes import (
    RULE_OF_THUMB,
    CommonOptions,
    from_solved_head,
    patience_option,
    rate_reason,
    scale_option,
    tuning_epochs,
    tuning_phase,
    uniform_rates,
)
from tl_core.strategies.towers import groups_of
from tl_core.types import Finding

HINTON = "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531"
BEYER = "Beyer et al. 2022, Knowledge distillation: A good teacher is patient and consistent, arXiv:2106.05237"


@dataclass(frozen=True)
class Distil(CommonOptions):
    """The options of the strategy."""

    epochs: int = option(
        16, "Epochs at most", "A student keeps improving for more epochs than with labels alone.", (1, 500),
        usual=lambda task_info: 2 * tuning_epochs(task_info),
        source=f"twice those of fine-tuning, {RULE_OF_THUMB}, after {BEYER}",
    )  # fmt: skip
    strength: float = option(
        1.0,
        "Weight of the teacher",
        "Times the loss on the labels.",
        (0.01, 100.0),
        source=f"{RULE_OF_THUMB}, after {HINTON}",
    )
    scale: float = scale_option()
    patience: int = patience_option(5)


def plan(task_info: TaskInfo, options: Distil) -> TransferPlan:
    """Return the solved head, then a phase over every group that learns the labels and the teacher's scores."""
    lr = uniform_rates(groups_of(task_info, options.towers), task_info, options.scale)
    tuning = tuning_phase("learn from the teacher", options.epochs, lr, task_info, options.patience)
    why = (
        Reason("A teacher's scores show how similar the classes are; labels do not. The plan needs a finished run.",
               HINTON),
        Reason("A student keeps improving for more epochs than with labels alone.", BEYER),
        rate_reason(task_info, lr),
    )  # fmt: skip
    teaching = (Penalty("distill", options.strength),)
    return from_solved_head(task_info, options, "distil", tuning, why, penalties=teaching)


def caveats(task_info: TaskInfo, options: Distil) -> tuple[Finding, ...]:
    """Return where there is too little data to fine-tune on."""
    return fine_tuning_caveats(task_info)


STRATEGIES.add(
    Strategy(
        name="distil",
        title="Learn from a trained model (distillation)",
        summary="Fine-tune this network on the labels and on the class scores of a finished run, the teacher.",
        when="When a larger trained model is too slow to use, and a smaller one is to replace it.",
        options=Distil,
        plan=plan,
        sources=(HINTON, BEYER),
        caveats_for=caveats,
    ),
)
