"""From scratch: the same architecture from random weights, the baseline that transfer must beat."""

from dataclasses import dataclass

import numpy as np

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.layers import HEAD
from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import GUIDE, MUCH, caveat, hard_to_judge, without_none
from tl_core.strategies.recipes import (
    DEIT,
    HE,
    KINGMA,
    PRECHELT,
    RULE_OF_THUMB,
    SMITH,
    CommonOptions,
    batch_size,
    batch_size_reason,
    scale_option,
    scaled,
    scratch_epochs,
    scratch_rate,
    usable_patience,
)
from tl_core.strategies.towers import part_of
from tl_core.types import Finding

CHARACTERS = "Zhang, Zhao & LeCun 2015, Character-level Convolutional Networks, arXiv:1509.01626"
ENOUGH = {"image": 100_000, "text": 1_000_000}
"""Items from which training from scratch can be worth it: 100,000 (BloomWiki, Transfer Learning, strategy selection
guide); for texts several millions in Zhang, Zhao & LeCun 2015 (arXiv:1509.01626)."""


@dataclass(frozen=True)
class FromScratch(CommonOptions):
    """The options of the strategy."""

    epochs: int = option(
        30, "Epochs at most", "Random weights need many.", (1, 500), usual=scratch_epochs,
        source=f"about 2,000 steps, {RULE_OF_THUMB}; one cycle needs few, {SMITH}",
    )  # fmt: skip
    scale: float = scale_option(source=f"for pictures the default of {KINGMA}; for texts {RULE_OF_THUMB}")
    decay: float = option(0.05, "Weight decay", "Pulls the weights towards zero.", (0.0, 1.0), source=DEIT)
    patience: int = option(
        20, "Patience", "Stop after this many epochs without a better validation score.", (1, 500),
        source=f"above the 3 to 6 of {PRECHELT}, as the score falls before it rises within one cycle",
    )  # fmt: skip


def scratch_plan(dataset: Dataset, spec: BackboneSpec, rows: np.ndarray) -> TransferPlan:
    """Return the plan that trains the whole network of a backbone from random weights on the items at `rows`."""
    counts = dataset.targets[rows].sum(axis=0)
    task_info = TaskInfo(
        backbone=spec.name,
        modality=spec.modality,
        groups=tuple(group.name for group in spec.groups),
        n_train=len(rows),
        n_classes=len(dataset.classes),
        per_class_min=int(counts[counts > 0].min()),
        multilabel=dataset.multilabel,
    )
    return STRATEGIES["from_scratch"].make(task_info)


def plan(task_info: TaskInfo, options: FromScratch) -> TransferPlan:
    """Return one phase over every group, from random weights."""
    rates = {group: scaled(scratch_rate(task_info, group), options.scale) for group in (*task_info.groups, HEAD)}
    phase = Phase(
        "everything",
        options.epochs,
        rates,
        schedule="one_cycle",
        weight_decay=options.decay,
        patience=usable_patience(options.patience, options.epochs),
    )
    why = (
        Reason("With very much data, a network needs no transfer; with less, this is the baseline.", HE),
        Reason("One cycle of the rate, up and down, trains random weights in few epochs.", SMITH),
        batch_size_reason(task_info),
    )
    return TransferPlan(
        task_info.backbone,
        "from_scratch",
        (phase,),
        init="random",
        batch_size=batch_size(task_info),
        why=why,
        **options.plan_fields(),
    )


def caveats(task_info: TaskInfo, options: FromScratch) -> tuple[Finding, ...]:
    """Return where there is too little data for random weights."""
    short = None
    source = CHARACTERS if part_of(task_info) == "text" else GUIDE
    if task_info.total < MUCH:
        message = (
            f"{task_info.total:,} labelled items are too few to learn everything from scratch; a pretrained backbone "
            "is nearly always better."
        )
        short = caveat("scratch", message, "It is still a fair baseline to compare with.", HE)
    elif task_info.total < ENOUGH[part_of(task_info)]:
        kind = "texts" if task_info.modality == "text" else "pictures"
        message = f"Networks that start from random weights usually need {ENOUGH[part_of(task_info)]:,} {kind} or more."
        short = caveat("scratch", message, "It is still a fair baseline to compare with.", source, "info")
    return without_none(short, hard_to_judge(task_info))


STRATEGIES.add(
    Strategy(
        name="from_scratch",
        title="From scratch",
        summary="Start the same network from random weights and train all of it.",
        when="As a baseline, or with very much data (100,000 items) of a very different domain.",
        options=FromScratch,
        plan=plan,
        sources=(HE, SMITH),
        caveats_for=caveats,
    ),
)
