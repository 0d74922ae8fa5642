"""Domain-adaptive pretraining: the backbone first learns to fill in masked items of the new domain, without labels."""

from dataclasses import dataclass

from tl_core.layers import HEAD
from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import FEW_PER_CLASS, caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    BERT,
    DECAY,
    RULE_OF_THUMB,
    WARMUP,
    backbone_rate,
    batch_size,
    batch_size_reason,
    epochs_option,
    l2_of_last_group,
    rate_reason,
    scale_option,
    scaled,
    solved_head_phase,
    solved_head_reason,
    top_groups,
    tuning_phase,
)
from tl_core.types import Finding

GURURANGAN = "Gururangan et al. 2020, Don't Stop Pretraining, arXiv:2004.10964"
SIMMIM = "Xie et al. 2022, SimMIM, arXiv:2111.09886"
CONVNEXT_V2 = "Woo et al. 2023, ConvNeXt V2, arXiv:2301.00808"
MEASURED = "Measured by this project, docs/LOG.md, 2026-11-21"
MASKED_RATE = 1e-4
"""AdamW's peak rate for masked items, the lower of the two in Gururangan et al. 2020 (arXiv:2004.10964, appendix)."""


@dataclass(frozen=True)
class DomainAdaptive:
    """The options of the strategy."""

    passes: int = option(
        10, "Passes over the items", "How often each item is masked anew and filled in.", (1, 500),
        source=f"{RULE_OF_THUMB}; {GURURANGAN} take 100 over a task's own texts, for hours on a GPU",
    )  # fmt: skip
    adapt: str = option(
        "all", "Blocks to adapt", "How many of the last blocks learn to fill in.", choices=("one", "two", "half", "all")
    )
    reach: str = option(
        "two",
        "Blocks to fine-tune",
        "How many of the last blocks learn the labels afterwards; with none, only the head does.",
        choices=("none", "one", "two", "half", "all"),
    )
    epochs: int = epochs_option(6, "Epochs of fine-tuning; it may end sooner.")
    scale: float = scale_option()


def plan(task_info: TaskInfo, options: DomainAdaptive) -> TransferPlan:
    """Return a phase that fills in masked items, a solved head, and (if wanted) a phase over the last blocks."""
    masked = Phase(
        "fill in",
        options.passes,
        dict.fromkeys(top_groups(task_info.groups, options.adapt), scaled(MASKED_RATE, options.scale)),
        schedule="linear",
        warmup=WARMUP,
        weight_decay=DECAY,
        objective="masked",
    )
    filled = (
        "Filling in masked parts teaches the backbone the words or looks of the new domain without a single label. It "
        "takes much unlabelled data to be worth its time."
    )
    source = GURURANGAN if "text" in task_info.parts else SIMMIM
    why = [Reason(filled, source), solved_head_reason(), batch_size_reason(task_info)]
    phases = [masked, solved_head_phase(l2_of_last_group(task_info), final=options.reach == "none")]
    if options.reach != "none":
        lr = dict.fromkeys(
            [*top_groups(task_info.groups, options.reach), HEAD], scaled(backbone_rate(task_info), options.scale)
        )
        phases.append(tuning_phase("last blocks", options.epochs, lr, task_info, patience=3))
        why.append(rate_reason(task_info, lr))
    return TransferPlan(
        task_info.backbone, "domain_adaptive", tuple(phases), batch_size=batch_size(task_info), why=tuple(why)
    )


def caveats(task_info: TaskInfo, options: DomainAdaptive) -> tuple[Finding, ...]:
    """Return where there is no unlabelled data, or no new domain, and where the labels are too few to fine-tune on."""
    alone = near = kind = tried = None
    if not task_info.has_target:
        message = "There is no second data set, so only the labelled items are filled in, which teaches little."
        hint = "Give thousands of unlabelled items of your domain as a second data set."
        alone = caveat("no-target", message, hint, GURURANGAN)
    if task_info.similarity == "similar":
        message = "Your data are similar to what the backbone has seen; the gain grows with the difference."
        near = caveat("near", message, "It may not be worth its time.", GURURANGAN, "info")
    if "image" in task_info.parts:
        message = "Filling in pictures was made for transformers; plain convolutional networks gain little from it."
        kind = caveat("masked-pictures", message, "Compare with the same plan without that phase.", CONVNEXT_V2, "info")
    elif task_info.per_class < FEW_PER_CLASS:
        message = (
            "Where it was tried, it gained little: with MiniLM and 1,000 texts, a head was right 55% of the time, "
            "instead of 53% (questions, 60 labels), and 69% instead of 66% (film snippets, 100 labels)."
        )
        tried = caveat("tried", message, "With so few labels, contrastive tuning gained far more.", MEASURED, "info")
    tuning = fine_tuning_caveats(task_info) if options.reach != "none" else ()
    return (*without_none(alone, near, kind, tried), *tuning)


STRATEGIES.add(
    Strategy(
        name="domain_adaptive",
        title="Domain-adaptive pretraining",
        summary="Let the backbone fill in masked items of your domain, labelled or not; then learn the labels.",
        when="Thousands of unlabelled items, given as a second data set, of a domain far from what the backbone has "
        "seen. With the labelled items alone there is little to gain.",
        options=DomainAdaptive,
        plan=plan,
        sources=(GURURANGAN, SIMMIM, BERT),
        caveats_for=caveats,
        modalities=("image", "text"),
    ),
)
