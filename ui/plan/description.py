"""What a plan does beyond freezing and thawing, in words: the drawing of its cells does not show it."""

from collections.abc import Iterator

import streamlit as st

from tl_core.penalties import PENALTIES
from tl_core.plan import Loss, TransferPlan
from ui import words

KINDS = {"lora": "LoRA", "dora": "DoRA", "loha": "LoHa", "lokr": "LoKr", "ia3": "IA3"}
PRECISIONS = {
    "float32": "Everything is computed with 32 bits a number, the slow and exact way.",
    "bfloat16": "Much is computed with 16 bits a number (bfloat16): faster where the processor can, less exact.",
}


def draw(plan: TransferPlan) -> None:
    """Draw one line for each; nothing where there is nothing to say."""
    if said := list(lines(plan)):
        st.markdown("\n".join(f"- {words.tell(line)}" for line in said))


def lines(plan: TransferPlan) -> Iterator[str]:
    """Yield a sentence for each thing that the drawing does not show."""
    for index, phase in enumerate(plan.phases, start=1):
        named = f"Phase {index}, {phase.name}"
        if phase.objective == "masked":
            yield f"{named}: parts of the items are hidden, and the network learns to fill them in. It reads no labels."
        if phase.objective == "contrastive":
            drawn = f" {phase.draws:,} items are drawn for each epoch." if phase.draws else ""
            yield f"{named}: items of one label move together and others apart, before there is a head.{drawn}"
        elif phase.draws:
            yield f"{named}: {phase.draws:,} items are drawn for each epoch."
        if phase.recalibrate_norm:
            yield f"{named}: the layers that learn are first fitted to your items, and the head is solved anew on that."
        if phase.interpolate_weights:
            yield f"{named} ends in a blend: of the weights before and after it, the mix that does best on validation."
    if plan.adapter:
        rank = f", rank {plan.adapter.rank}" if plan.adapter.kind != "ia3" else ""
        yield (
            f"Adapters ({KINDS[plan.adapter.kind]}{rank}): in the trainable groups of the backbone only small layers "
            "beside the frozen ones learn. They are merged in at the end."
        )
    if plan.augment.policy != "none":
        how = "a little" if plan.augment.policy == "light" else "strongly"
        when = f"as {plan.augment.views} fixed variations of each" if plan.augment.views else "anew in every epoch"
        yield f"Training pictures are varied {how}, {when}, so that the network sees more than there is."
    yield from _loss(plan.loss)
    for penalty in plan.penalties:
        title = PENALTIES[penalty.name].title if penalty.name in PENALTIES else words.sentence(penalty.name)
        yield f"Guard: {title}, strength {penalty.strength:g}."
    if plan.precision in PRECISIONS:
        yield PRECISIONS[plan.precision]


def _loss(loss: Loss) -> Iterator[str]:
    if loss.class_weights == "balanced":
        yield "Mistakes in rare classes count more, so that every class weighs the same."
    if loss.label_smoothing:
        yield f"Labels are softened by {loss.label_smoothing:.0%}, against answers that are too sure."
    if loss.mixup:
        yield f"Items are mixed in pairs, with their labels (mixup, alpha {loss.mixup:g})."
