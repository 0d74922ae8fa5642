"""What a plan does beyond freezing and learning rates, in words: the grid does not show it."""

from collections.abc import Iterator

import streamlit as st

from tl_core.penalties import PENALTIES
from tl_core.plan import Loss, TransferPlan
from ui import words

KINDS = {"lora": "LoRA", "dora": "DoRA", "loha": "LoHa", "lokr": "LoKr", "ia3": "IA3"}
PRECISIONS = {
    "float32": "All numbers have 32 bits (float32): exact, but slower.",
    "bfloat16": "Most numbers have 16 bits (bfloat16): faster if the processor supports it, but less exact.",
}


def draw(plan: TransferPlan) -> None:
    """Draw the sentences as a list; nothing if there are none."""
    if sentences := list(lines(plan)):
        st.markdown("\n".join(f"- {words.escape(sentence)}" for sentence in sentences))


def lines(plan: TransferPlan) -> Iterator[str]:
    """Yield a sentence for each setting that the grid does not show."""
    for index, phase in enumerate(plan.phases, start=1):
        title = f"Phase {index}, {phase.name}"
        if phase.objective == "masked":
            yield f"{title}: parts of the items are hidden, and the network learns to fill them in. No labels are used."
        if phase.objective == "contrastive":
            draws = f" Each epoch draws {phase.draws:,} items." if phase.draws else ""
            yield (
                f"{title}: the embeddings of items with the same label move together, the others apart (contrastive "
                f"learning). There is no head yet.{draws}"
            )
        elif phase.draws:
            yield f"{title}: each epoch draws {phase.draws:,} items."
        if phase.recalibrate_norm:
            yield (
                f"{title}: the normalisation statistics of the layers that learn are first estimated on your items, "
                "and "
                "the head is solved again on top."
            )
        if phase.only_if_better:
            yield f"{title}: trained only if the phase before it brought a better validation result, else skipped."
        if phase.interpolate_weights:
            yield (
                f"{title}: afterwards the weights before and after the phase are averaged, in the proportion with the "
                "best validation result."
            )
    if plan.adapter:
        rank = f", rank {plan.adapter.rank}" if plan.adapter.kind != "ia3" else ""
        yield (
            f"Adapters ({KINDS[plan.adapter.kind]}{rank}): in the trainable groups of the backbone only small added "
            "layers "
            "learn. They are merged into the weights at the end."
        )
    if plan.augment.policy != "none":
        how = "slightly" if plan.augment.policy == "light" else "strongly"
        when = f"in {plan.augment.views} fixed versions each" if plan.augment.views else "differently in every epoch"
        yield f"Augmentation: training pictures are varied {how}, {when}, so that the network sees more variety."
    yield from _loss(plan.loss)
    for penalty in plan.penalties:
        title = PENALTIES[penalty.name].title if penalty.name in PENALTIES else words.humanize(penalty.name)
        yield f"Penalty: {title}, strength {penalty.strength:g}."
    if plan.precision in PRECISIONS:
        yield PRECISIONS[plan.precision]


def _loss(loss: Loss) -> Iterator[str]:
    if loss.class_weights == "balanced":
        yield "Class weights: mistakes in rare classes count more, so that every class counts the same."
    if loss.label_smoothing:
        yield f"Label smoothing of {loss.label_smoothing:.0%}, against overconfident answers."
    if loss.mixup:
        yield f"Mixup: items and their labels are blended in pairs (alpha {loss.mixup:g})."
