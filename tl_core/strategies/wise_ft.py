"""WiSE-FT: fine-tune everything, then mix the weights before and after."""

from dataclasses import dataclass, replace

from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo
from tl_core.strategies.caveats import caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
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

WORTSMAN = "Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903"
IZMAILOV = "Izmailov et al. 2018, Averaging Weights Leads to Wider Optima and Better Generalization, arXiv:1803.05407"


@dataclass(frozen=True)
class WiseFt(CommonOptions):
    """The options of the strategy."""

    epochs: int = epochs_option(8)
    scale: float = scale_option()
    patience: int = patience_option(3)


def plan(task_info: TaskInfo, options: WiseFt) -> TransferPlan:
    """Return the solved head, then a phase over every group that ends in the best mix of weights."""
    lr = uniform_rates(groups_of(task_info, options.towers), task_info, options.scale)
    tuning = replace(
        tuning_phase("everything, then mixed", options.epochs, lr, task_info, options.patience),
        interpolate_weights=True,
    )
    why = (
        Reason("Weights between those before and after fine-tuning often do better than either, most of all on new "
               "kinds of items. The validation items choose the mix.", WORTSMAN),
        Reason("Normalisation statistics are estimated anew for each mix, as those of neither end suit it.", IZMAILOV),
        rate_reason(task_info, lr),
    )  # fmt: skip
    return from_solved_head(task_info, options, "wise_ft", tuning, why)


def caveats(task_info: TaskInfo, options: WiseFt) -> tuple[Finding, ...]:
    """Return where there is too little data, or where the weights before fine-tuning add nothing."""
    poor = None
    if task_info.similarity == "very different":
        message = (
            "Your data are very different from what the backbone has seen, so the weights before fine-tuning may have "
            "little to add to the mix."
        )
        poor = caveat("poor-start", message, "Full fine-tuning does the same without the mix.", WORTSMAN, "info")
    return (*fine_tuning_caveats(task_info), *without_none(poor))


STRATEGIES.add(
    Strategy(
        name="wise_ft",
        title="Fine-tune, then mix with the start (WiSE-FT)",
        summary="Fine-tune the whole network, then take the best mix of the weights before and after.",
        when="Some data, and new items that may differ from today's.",
        options=WiseFt,
        plan=plan,
        sources=(WORTSMAN, IZMAILOV, KUMAR),
        caveats_for=caveats,
    ),
)
