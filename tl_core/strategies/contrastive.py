"""Contrastive tuning: the backbone learns from pairs of labelled items, then a head is solved on what it has become."""

from dataclasses import dataclass

from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Setting, Strategy, option
from tl_core.strategies.recipes import DECAY, last_l2, scaled, solve_head, top

SETFIT = "Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts (SetFit), arXiv:2209.11055"
KHOSLA = "Khosla et al. 2020, Supervised Contrastive Learning, arXiv:2004.11362"
RATE = 1e-4
"""AdamW's peak rate, five times SetFit's 2e-5: there are a quarter as many steps, and each sees all pairs of a batch."""
DRAWS = 640
BATCH = 16
ROUNDS = 4
"""Epochs that the draws are told in, so that a run can be watched, stopped and resumed."""


@dataclass(frozen=True)
class Contrastive:
    """What can be chosen."""

    draws: int = option(
        DRAWS,
        "Items drawn",
        "How many items pass through the backbone in all; the time grows with it.",
        (64, 1_000_000),
    )
    reach: str = option(
        "all", "Blocks to train", "How many of the last blocks learn.", choices=("one", "two", "half", "all")
    )
    scale: float = option(1.0, "Learning rate, times the usual", "1 is the usual rate; less is safer.", (0.05, 20.0))


def plan(setting: Setting, options: Contrastive) -> TransferPlan:
    """Return a phase on pairs and a phase that solves the head, both on all labelled items but the test items."""
    pairs = Phase(
        "pairs",
        ROUNDS,
        dict.fromkeys(top(setting.groups, options.reach), scaled(RATE, options.scale)),
        schedule="linear",
        warmup=0.1,
        weight_decay=DECAY,
        fit_on="train+validation",
        objective="contrastive",
        draws=-(-options.draws // ROUNDS),
    )
    cost = f"{options.draws} items are drawn, whatever the number of pairs, so the time is known beforehand."
    why = (
        Reason("n labelled items make n (n - 1) / 2 pairs: few labels teach the whole backbone.", SETFIT),
        Reason(f"Every pair within a batch counts. {cost}", KHOSLA),
    )
    phases = (pairs, solve_head(last_l2(setting), final=True))
    return TransferPlan(setting.backbone, "contrastive", phases, batch_size=BATCH, why=why)


STRATEGIES.add(
    "contrastive",
    Strategy(
        "contrastive",
        "Contrastive tuning",
        "Bring items of one label together and others apart in the backbone, then solve a head.",
        "Few labelled texts (8 to 100 a class).",
        Contrastive,
        plan,
        (SETFIT, KHOSLA),
    ),
)
