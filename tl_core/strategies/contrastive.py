"""Contrastive tuning: the backbone learns from pairs of labelled items, then a head is solved on its new features."""

from dataclasses import dataclass

from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import caveat, without_none
from tl_core.strategies.recipes import (
    DECAY,
    RULE_OF_THUMB,
    WARMUP,
    l2_of_last_group,
    reached,
    scale_option,
    scaled,
    solved_head_phase,
)
from tl_core.strategies.towers import together
from tl_core.types import Finding

SETFIT = "Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts (SetFit), arXiv:2209.11055"
KHOSLA = "Khosla et al. 2020, Supervised Contrastive Learning, arXiv:2004.11362"
RATE = 1e-4
"""AdamW's peak rate, five times the 2e-5 of Tunstall et al. 2022 (arXiv:2209.11055): with so few steps, 3e-5 did
worse (docs/LOG.md, 2026-11-21)."""
BATCHES = 40
"""A rule of thumb of this program: minutes on two processor cores."""
BATCH = 16
"""As in Tunstall et al. 2022 (arXiv:2209.11055), counted in items instead of pairs."""
FEW = 64
"""Below this many labelled items, batches hold twice as many items and the rate is halved: that is more accurate for so
few items, and less accurate for about 100 (docs/LOG.md, 2026-11-21)."""
ENOUGH = 500
"""Items a class from which plain fine-tuning catches up (a rule of thumb, after Tunstall et al. 2022)."""
ROUNDS = 4
"""Epochs that the batches are divided into, so that a run can be watched, stopped and resumed (a rule of thumb)."""


@dataclass(frozen=True)
class Contrastive:
    """The options of the strategy."""

    batches: int = option(
        BATCHES,
        "Batches",
        f"How many batches of items pass through the backbone in all: {BATCH} items each, {2 * BATCH} where fewer than "
        f"{FEW} are labelled. The time grows with it.",
        (ROUNDS, 60_000),
        source=f"{RULE_OF_THUMB}, so that it takes minutes on two processor cores",
    )
    reach: str = option(
        "all", "Blocks to train", "How many of the last blocks learn.", choices=("one", "two", "half", "all")
    )
    scale: float = scale_option(source=f"{RATE:g}, {RULE_OF_THUMB}, after {SETFIT}")


def _batch(task_info: TaskInfo) -> int:
    return BATCH if task_info.total >= FEW else 2 * BATCH


def _drawn(task_info: TaskInfo, options: Contrastive) -> int:
    """Return how many items pass in all; every round has the same number of batches."""
    return -(-options.batches // ROUNDS) * ROUNDS * _batch(task_info)


def plan(task_info: TaskInfo, options: Contrastive) -> TransferPlan:
    """Return a phase on pairs and a phase that solves the head, both on all labelled items but the test items."""
    size, drawn = _batch(task_info), _drawn(task_info, options)
    pairs = Phase(
        "pairs",
        ROUNDS,
        dict.fromkeys(together(reached(task_info, options.reach)), scaled(RATE * BATCH / size, options.scale)),
        schedule="linear",
        warmup=WARMUP,
        weight_decay=DECAY,
        fit_on="train+validation",
        objective="contrastive",
        draws=drawn // ROUNDS,
    )
    cost = f"{drawn:,} items are drawn in all, so the time is known beforehand, however many pairs they form."
    why = (
        Reason("n labelled items form n (n - 1) / 2 pairs, so even few labels can teach the whole backbone.", SETFIT),
        Reason(f"Every pair within a batch counts. {cost}", KHOSLA),
    )
    phases = (pairs, solved_head_phase(l2_of_last_group(task_info), final=True))
    return TransferPlan(task_info.backbone, "contrastive", phases, batch_size=size, why=why)


def caveats(task_info: TaskInfo, options: Contrastive) -> tuple[Finding, ...]:
    """Return where there are too few items for pairs, or so many that pairs no longer help."""
    alone = many = unseen = kind = None
    if task_info.multilabel:
        message = "This brings items of one label together and others apart, but your items may have several labels."
        return (caveat("several", message, "Choose another strategy: this one does not run with these items.", SETFIT),)
    if task_info.per_class_min < 2:
        message = "A class with a single training item has no pair of its own to learn from."
        alone = caveat("no-pair", message, "Label at least a second item of each class.", SETFIT)
    if task_info.per_class >= ENOUGH:
        message = (
            f"This is made for few labels; with about {task_info.per_class:.0f} a class, fine-tuning does as well."
        )
        many = caveat("many-labels", message, "Partial or full fine-tuning learns from the labels directly.", SETFIT)
    if task_info.total > (drawn := _drawn(task_info, options)):
        message = f"{drawn:,} items are drawn, so some of the {task_info.total:,} items are never drawn."
        unseen = caveat("unseen", message, "Draw more of them, which takes longer.", SETFIT, "info")
    if "image" in task_info.parts:
        message = "This is well tried for sentences; for pictures, in so few steps, it is not."
        kind = caveat("pictures", message, "Compare it with partial fine-tuning.", SETFIT, "info")
    return without_none(alone, many, unseen, kind)


STRATEGIES.add(
    Strategy(
        name="contrastive",
        title="Contrastive tuning",
        summary="Bring items of one label together and others apart in the backbone, then solve a head.",
        when="Few labelled texts (8 to 250 a class).",
        options=Contrastive,
        plan=plan,
        sources=(SETFIT, KHOSLA),
        caveats_for=caveats,
    ),
)
