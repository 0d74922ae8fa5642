"""Contrastive tuning: the backbone learns from pairs of labelled items, then a head is solved on what it has become."""

from dataclasses import dataclass

from tl_core.layers import HEAD
from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Setting, Strategy, option
from tl_core.strategies.recipes import DECAY, last_l2, scaled, solve_head, top

SETFIT = "Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts (SetFit), arXiv:2209.11055"
SENTENCE_BERT = "Reimers & Gurevych 2019, Sentence-BERT, arXiv:1908.10084"
ROUNDS = 4
"""Epochs that the draws are told in."""
BATCH = 16
RATE = {"text": 1e-4, "image": 1e-4}


@dataclass(frozen=True)
class Contrastive:
    """What can be chosen."""

    draws: int = option(
        1600, "Items drawn", "How many items pass through the backbone in all; time grows with it.", (16, 1_000_000)
    )
    reach: str = option(
        "all", "Blocks to train", "How many of the last blocks learn.", choices=("one", "two", "half", "all")
    )
    scale: float = option(1.0, "Learning rate, times the usual", "1 is the usual rate; less is safer.", (0.05, 20.0))


def plan(setting: Setting, options: Contrastive) -> TransferPlan:
    """Return a phase on pairs and a phase that solves the head."""
    rate = scaled(RATE[setting.modality], options.scale)
    draws = -(-options.draws // ROUNDS)
    blocks = top(setting.groups, options.reach)
    pairs = Phase(
        "pairs",
        ROUNDS,
        dict.fromkeys(blocks, rate),
        schedule="linear",
        warmup=0.1,
        weight_decay=DECAY,
        objective="contrastive",
        draws=draws,
    )
    return TransferPlan(
        setting.backbone, "contrastive", (pairs, solve_head(last_l2(setting), final=True)), batch_size=BATCH
    )
