"""Adapters (LoRA and similar): the backbone stays frozen, small layers beside it learn and are merged in at the end."""

from dataclasses import dataclass, replace

from tl_core.plan import Reason, TransferPlan
from tl_core.plan.transfer_plan import Adapter
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    KUMAR,
    CommonOptions,
    epochs_option,
    from_solved_head,
    patience_option,
    scale_option,
    tuning_phase,
    uniform_rates,
)
from tl_core.strategies.towers import together, towers_of
from tl_core.types import Finding

HU = "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685"
DORA = "Liu et al. 2024, DoRA: Weight-Decomposed Low-Rank Adaptation, arXiv:2402.09353"
LOHA = "Hyeon-Woo et al. 2021, FedPara (LoHa), arXiv:2108.06098"
LOKR = "Yeh et al. 2023, LyCORIS (LoKr), arXiv:2309.14859"
IA3 = "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning (IA3), arXiv:2205.05638"
RATE = 10.0
"""Rate of an adapter, times that of full fine-tuning. For texts this makes 3e-4; Hu et al. 2021 take 4e-4 and 5e-4
(arXiv:2106.09685, table 9, RoBERTa base with rank 8), where full fine-tuning of such models takes 1e-5 to 5e-5."""
SMALL = 50_000_000
"""Parameters below which a whole network is cheap to fine-tune (a rule of thumb); the networks of Hu et al. 2021
(arXiv:2106.09685) have more than 100 million."""
ALPHA = 2.0
"""alpha / rank: the weight of an adapter, whatever its rank (a rule of thumb; Hu et al. 2021, arXiv:2106.09685, take
1 or 2 for RoBERTa)."""


@dataclass(frozen=True)
class Lora(CommonOptions):
    """The options of the strategy."""

    kind: str = option(
        "lora",
        "Kind",
        "lora: two thin matrices beside each layer. dora: those, and the length of each weight. loha, lokr: products "
        "of small matrices. ia3: one factor for each channel, the smallest.",
        choices=("lora", "dora", "loha", "lokr", "ia3"),
    )
    rank: int = option(8, "Rank", "Width of the thin matrices: more can learn more (ia3 has none).", (1, 64), source=HU)
    epochs: int = epochs_option(8)
    scale: float = scale_option(source=f"{RATE:g} times that of full fine-tuning, {HU}, table 9")
    dropout: float = option(0.0, "Dropout", "Share of an adapter's input left out at each step.", (0.0, 0.9), source=HU)
    patience: int = patience_option(3)


def plan(task_info: TaskInfo, options: Lora) -> TransferPlan:
    """Return the solved head, then adapters in every group but the first, with the head."""
    # the first group of a tower holds the embeddings, which take no adapter, or edge detectors, which suit any picture
    towers = towers_of(task_info, options.towers)
    lr = uniform_rates(together([tower[1:] or tower for tower in towers]), task_info, RATE * options.scale)
    tuning = tuning_phase("adapters", options.epochs, lr, task_info, options.patience)
    tuning = replace(tuning, recalibrate_norm=False)  # adapted groups keep their statistics
    why = (
        Reason("The backbone's own weights stay; a small change to each layer is learned.", HU),
        Reason(f"Adapters start without any change and learn at {RATE:g} times the rate of full fine-tuning.", HU),
    )
    adapter = Adapter(options.kind, options.rank, ALPHA * options.rank, options.dropout)  # type: ignore[arg-type]
    return from_solved_head(task_info, options, "lora", tuning, why, adapter=adapter)


def caveats(task_info: TaskInfo, options: Lora) -> tuple[Finding, ...]:
    """Return where there is too little data, or a network so small that adapters save nothing."""
    small = None
    if 0 < task_info.parameters < SMALL:
        picture = "image" in task_info.parts
        message = (
            f"Adapters save memory on large networks; this one has {task_info.parameters / 1e6:.0f} million parameters"
            + (", and its thin convolutions leave adapters little to add." if picture else ".")
        )
        hint = "Fine-tuning its last blocks, or all of it, is cheap too."
        small = caveat("small-network", message, hint, HU, "warn" if picture else "info")
    return (*fine_tuning_caveats(task_info), *without_none(small))


STRATEGIES.add(
    Strategy(
        name="lora",
        title="Adapters (LoRA)",
        summary="Keep the backbone and learn small layers beside it, which are merged in at the end.",
        when="Some data and little memory, or a risk that the network forgets what it knows.",
        options=Lora,
        plan=plan,
        sources=(HU, DORA, LOHA, LOKR, IA3, KUMAR),
        caveats_for=caveats,
    ),
)
