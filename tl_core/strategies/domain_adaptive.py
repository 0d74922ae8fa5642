"""Domain-adaptive pretraining: the backbone first learns to fill in masked items of the new domain, without labels."""

from dataclasses import dataclass

from tl_core.layers import HEAD
from tl_core.plan import Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import FEW_PER_CLASS, caveat, fine_tuning_caveats, without_none
from tl_core.strategies.recipes import (
    BERT,
    DECAY,
    OWN,
    WARMUP,
    backbone_rate,
    batch_size,
    epochs_option,
    last_l2,
    rate_reason,
    scale_option,
    scaled,
    size_reason,
    solve_head,
    solved_head_reason,
    top,
    tune,
)
from tl_core.types import Finding

GURURANGAN = "Gururangan et al. 2020, Don't Stop Pretraining, arXiv:2004.10964"
SIMMIM = "Xie et al. 2022, SimMIM, arXiv:2111.09886"
CONVNEXT_V2 = "Woo et al. 2023, ConvNeXt V2, arXiv:2301.00808"
MEASURED = "Measured by this project, docs/LOG.md, 2026-11-21"
MASKED_RATE = 1e-4
"""AdamW's peak rate for filling in, the lower of the two of Gururangan et al. 2020 (arXiv:2004.10964, appendix)."""


@dataclass(frozen=True)
class DomainAdaptive:
    """What can be chosen."""

    passes: int = option(
        10, "Passes over the items", "How often each item is masked anew and filled in.", (1, 500),
        source=f"{OWN}; {GURURANGAN} take 100 over a task's own texts, for hours on a GPU",
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
    epochs: int = epochs_option(6, "Of fine-tuning; it may end sooner.")
    scale: float = scale_option()


def plan(task_info: TaskInfo, options: DomainAdaptive) -> TransferPlan:
    """Return a phase that fills in, a solved head, and a phase over the last blocks where one is wanted."""
    masked = Phase(
        "fill in",
        options.passes,
        dict.fromkeys(top(task_info.groups, options.adapt), scaled(MASKED_RATE, options.scale)),
        schedule="linear",
        warmup=WARMUP,
        weight_decay=DECAY,
        objective="masked",
    )
    filled = (
        "Filling in what is masked teaches the backbone the words or looks of the new domain without a single label; "
        "it takes much unlabelled data to be worth its time."
    )
    source = GURURANGAN if task_info.modality == "text" else SIMMIM
    why = [Reason(filled, source), solved_head_reason(), size_reason(task_info)]
    phases = [masked, solve_head(last_l2(task_info), final=options.reach == "none")]
    if options.reach != "none":
        lr = dict.fromkeys(
            [*top(task_info.groups, options.reach), HEAD], scaled(backbone_rate(task_info), options.scale)
        )
        phases.append(tune("last blocks", options.epochs, lr, task_info, patience=3))
        why.append(rate_reason(task_info))
    return TransferPlan(
        task_info.backbone, "domain_adaptive", tuple(phases), batch_size=batch_size(task_info), why=tuple(why)
    )


def caveats(task_info: TaskInfo, options: DomainAdaptive) -> tuple[Finding, ...]:
    """Return where there is nothing to adapt with or to, and where the labels are too few for what follows."""
    alone = near = kind = tried = None
    if not task_info.has_target:
        message = "There is no second data set, so only the labelled items are filled in; that teaches little."
        hint = "Give thousands of unlabelled items of your domain as a second data set."
        alone = caveat("no-target", message, hint, GURURANGAN)
    if task_info.similarity == "similar":
        message = "Your data is like what the backbone has seen; the gain grows with the distance."
        near = caveat("near", message, "It may not be worth its time.", GURURANGAN, "info")
    if task_info.modality == "image":
        message = "Filling in pictures was made for transformers; plain convolutional networks gain little by it."
        kind = caveat("masked-pictures", message, "Compare it with the same plan without it.", CONVNEXT_V2, "info")
    elif task_info.per_class < FEW_PER_CLASS:
        message = (
            "Where it was tried it gained little: with MiniLM and 1,000 texts a head was right 55 % of the time, not "
            "53 % (questions, 60 labels), and 69 %, not 66 % (film snippets, 100 labels)."
        )
        tried = caveat("tried", message, "From so few labels contrastive tuning gained far more.", MEASURED, "info")
    after = fine_tuning_caveats(task_info) if options.reach != "none" else ()
    return (*without_none(alone, near, kind, tried), *after)


STRATEGIES.add(
    Strategy(
        name="domain_adaptive",
        title="Domain-adaptive pretraining",
        summary="Let the backbone fill in masked items of your domain first, labelled or not; then learn the labels.",
        when="Thousands of unlabelled items, given as a second data set, of a domain far from what the backbone has "
        "seen. With the labelled items alone little is to be gained.",
        options=DomainAdaptive,
        plan=plan,
        sources=(GURURANGAN, SIMMIM, BERT),
        caveats_for=caveats,
    ),
)
