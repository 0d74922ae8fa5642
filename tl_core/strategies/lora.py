"""Adapters (LoRA and its kin): the backbone stays, small layers beside it learn, and are merged in at the end."""

from dataclasses import dataclass

from tl_core.layers import HEAD
from tl_core.plan import Reason, TransferPlan
from tl_core.plan.values import Adapter
from tl_core.strategies import STRATEGIES, Setting, Strategy, option
from tl_core.strategies.recipes import (
    KUMAR,
    Extras,
    backbone_rate,
    batch_size,
    last_l2,
    scaled,
    size_reason,
    solve_head,
    solved_head_reason,
    tune,
    tuning_epochs,
)

HU = "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685"
DORA = "Liu et al. 2024, DoRA: Weight-Decomposed Low-Rank Adaptation, arXiv:2402.09353"
LOHA = "Hyeon-Woo et al. 2021, FedPara (LoHa), arXiv:2108.06098"
LOKR = "Yeh et al. 2023, LyCORIS (LoKr), arXiv:2309.14859"
IA3 = "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning (IA3), arXiv:2205.05638"
RATE = 10.0
"""Rate of an adapter over that of full fine-tuning. It makes 3e-4 for texts, beside the 4e-4 and 5e-4 of Hu et al. 2021
(arXiv:2106.09685, table 9, RoBERTa base with rank 8), whose full fine-tuning takes 1e-5 to 5e-5."""
ALPHA = 2.0
"""alpha over rank: how strongly an adapter counts, whatever its rank. The rates above go with it."""


@dataclass(frozen=True)
class Lora(Extras):
    """What can be chosen."""

    kind: str = option(
        "lora",
        "Kind",
        "lora: two thin matrices beside each layer. dora: those, and the length of each weight. loha, lokr: products "
        "of small matrices. ia3: one factor for each channel, the smallest.",
        choices=("lora", "dora", "loha", "lokr", "ia3"),
    )
    rank: int = option(8, "Rank", "Width of the thin matrices: more can learn more (ia3 has none).", (1, 64))
    epochs: int = option(8, "Epochs at most", "Early stopping may end sooner.", (1, 200), usual=tuning_epochs)
    scale: float = option(1.0, "Learning rate, times the usual", "1 is the usual rate; less is safer.", (0.05, 20.0))
    dropout: float = option(0.0, "Dropout", "Share of an adapter's input left out at each step.", (0.0, 0.9))
    patience: int = option(3, "Patience", "Stop after so many epochs without a better validation.", (1, 50))


def plan(setting: Setting, options: Lora) -> TransferPlan:
    """Return the solved head, then adapters in every group but the first, with the head."""
    # the first group is the embeddings, which no adapter fits, or a picture's edges, which serve everywhere
    groups = setting.groups[1:] or setting.groups
    rate = scaled(backbone_rate(setting), RATE * options.scale)
    phases = (
        solve_head(last_l2(setting), final=False),
        tune("adapters", options.epochs, dict.fromkeys([*groups, HEAD], rate), setting, options.patience),
    )
    why = (
        Reason("The backbone's own weights stay; what is learned is a small change to each layer.", HU),
        Reason(f"Adapters start at no change and learn at {RATE:g} times the rate of full fine-tuning.", HU),
        solved_head_reason(),
        size_reason(setting),
    )
    adapter = Adapter(options.kind, options.rank, ALPHA * options.rank, options.dropout)  # type: ignore[arg-type]
    return TransferPlan(
        setting.backbone,
        "lora",
        phases,
        batch_size=batch_size(setting),
        adapter=adapter,
        why=why,
        **options.extras(),
    )


STRATEGIES.add(
    "lora",
    Strategy(
        "lora",
        "Adapters (LoRA)",
        "Keep the backbone and learn small layers beside it, which are merged in at the end.",
        "Some data and little memory, or a fear that the network forgets what it knows.",
        Lora,
        plan,
        (HU, DORA, LOHA, LOKR, IA3, KUMAR),
    ),
)
