"""Partial fine-tuning: a solved head, then the head and the last blocks together."""

from dataclasses import dataclass

from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    KUMAR,
    YOSINSKI,
    CommonOptions,
    epochs_option,
    from_solved_head,
    patience_option,
    rate_reason,
    reached,
    scale_option,
    tuning_phase,
    uniform_rates,
)
from tl_core.strategies.towers import together
from tl_core.types import Finding


@dataclass(frozen=True)
class Partial(CommonOptions):
    """The options of the strategy."""

    reach: str = option(
        "two", "Blocks to train", "How many of the last blocks learn with the head.", choices=("one", "two", "half")
    )
    epochs: int = epochs_option(12)
    scale: float = scale_option()
    patience: int = patience_option(3)


def plan(task_info: TaskInfo, options: Partial) -> TransferPlan:
    """Return a head phase and a phase over the last blocks."""
    lr = uniform_rates(together(reached(task_info, options.reach, options.towers)), task_info, options.scale)
    tuning = tuning_phase("last blocks", options.epochs, lr, task_info, options.patience)
    why = (
        Reason("Lower layers are general and stay frozen; the upper ones, specific to the task, adapt.", YOSINSKI),
        rate_reason(task_info, lr),
    )
    return from_solved_head(task_info, options, "partial", tuning, why)


def caveats(task_info: TaskInfo, options: Partial) -> tuple[Finding, ...]:
    """Return where there is too little data, or where the last blocks are not enough or are already everything."""
    finding = None
    if together(reached(task_info, options.reach, options.towers)) == task_info.groups:
        message = f"This backbone has only {len(task_info.groups)} blocks, so all of it learns, none is frozen."
        finding = caveat("all-of-it", message, "Choose fewer blocks to keep some frozen.", YOSINSKI)
    elif task_info.similarity == "very different":
        message = "Your data are very different from what the backbone has seen; its frozen layers may fit badly too."
        hint = "Fine-tuning all layers can adapt further, if there is enough data."
        finding = caveat("far", message, hint, YOSINSKI, "info")
    return (*fine_tuning_caveats(task_info), *without_none(finding))


STRATEGIES.add(
    Strategy(
        name="partial",
        title="Partial fine-tuning",
        summary="Learn the head, then fine-tune it together with the last one or two blocks, or the last half.",
        when="Some data (100 to 1,000 items a class) that is not too far from what the backbone has seen.",
        options=Partial,
        plan=plan,
        sources=(YOSINSKI, KUMAR),
        caveats_for=caveats,
    ),
)
