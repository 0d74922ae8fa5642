"""WiSE-FT: fine-tune everything, then mix the weights before and after."""

from dataclasses import dataclass, replace

from tl_core.layers import HEAD
from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Setting, Strategy, option
from tl_core.strategies.recipes import (
    KUMAR,
    Extras,
    backbone_rate,
    batch_size,
    last_l2,
    rate_reason,
    scaled,
    size_reason,
    solve_head,
    solved_head_reason,
    tune,
    tuning_epochs,
)

WORTSMAN = "Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903"
IZMAILOV = "Izmailov et al. 2018, Averaging Weights Leads to Wider Optima and Better Generalization, arXiv:1803.05407"


@dataclass(frozen=True)
class WiseFt(Extras):
    """What can be chosen."""

    epochs: int = option(8, "Epochs at most", "Early stopping may end sooner.", (1, 200), usual=tuning_epochs)
    scale: float = option(1.0, "Learning rate, times the usual", "1 is the usual rate; less is safer.", (0.05, 20.0))
    patience: int = option(3, "Patience", "Stop after so many epochs without a better validation.", (1, 50))


def plan(setting: Setting, options: WiseFt) -> TransferPlan:
    """Return the solved head, then a phase over every group that ends in the best mix."""
    lr = dict.fromkeys([*setting.groups, HEAD], scaled(backbone_rate(setting), options.scale))
    tuning = replace(tune("everything, then mixed", options.epochs, lr, setting, options.patience), blend=True)
    why = (
        Reason("Weights between the probed and the tuned model often do better than either, most of all on new kinds "
               "of items; validation chooses how far between.", WORTSMAN),
        Reason("Normalisation statistics are estimated anew for each mix, because neither end's fit it.", IZMAILOV),
        solved_head_reason(),
        rate_reason(setting),
        size_reason(setting),
    )  # fmt: skip
    phases = (solve_head(last_l2(setting), final=False), tuning)
    return TransferPlan(
        setting.backbone, "wise_ft", phases, batch_size=batch_size(setting), why=why, **options.extras()
    )


STRATEGIES.add(
    "wise_ft",
    Strategy(
        "wise_ft",
        "Fine-tune, then mix with the start (WiSE-FT)",
        "Fine-tune the whole network, then take the best mix of the weights before and after.",
        "Some data, and new items that may differ from today's.",
        WiseFt,
        plan,
        (WORTSMAN, IZMAILOV, KUMAR),
    ),
)
