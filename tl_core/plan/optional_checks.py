"""The checks of what few plans have: objectives, penalties, adapters, augmentation, changes to the loss."""

import math
from collections import Counter
from collections.abc import Iterator

from tl_core.layers import HEAD
from tl_core.plan.findings import finding, numbered, stop, unknown_choice
from tl_core.plan.transfer_plan import Adapter, Augment, Loss, Phase, TransferPlan
from tl_core.types import PARTS, Finding, Modality

MAX_RANK = 256
MAX_VIEWS = 16
MAX_STRENGTH = 1e6


def check_optional(plan: TransferPlan, modality: Modality | None = None) -> Iterator[Finding]:
    """Yield what is wrong or odd in rarely used settings; with `modality`, also what does not suit the items."""
    for index, phase in enumerate(plan.phases):
        phase_title = numbered(index, phase)
        yield from _objective(phase, f"phases/{index}", phase_title)
        if phase.recalibrate_norm:
            yield from _recalibration(plan, index, f"phases/{index}/recalibrate_norm", phase_title)
        if phase.only_if_better:
            yield from _only_if_better(plan, index)
    names = Counter(penalty.name for penalty in plan.penalties)
    for index, penalty in enumerate(plan.penalties):
        where = f"penalties/{index}"
        if names[penalty.name] > 1:
            yield stop("penalty-twice", where, f"The penalty {penalty.name} appears twice.", "Keep one of the two.")
        if not 0 <= penalty.strength <= MAX_STRENGTH:
            message = f"The strength of a penalty is {penalty.strength:g}; it must lie between 0 and {MAX_STRENGTH:g}."
            yield stop("penalty-strength", f"{where}/strength", message)
    if plan.penalties and not any(set(phase.lr) - {HEAD} for phase in plan.phases):
        message = "The penalties have no effect: they act on a backbone that learns, and here all of it is frozen."
        yield finding("warn", "penalty-idle", "penalties", message, "Leave them out, or thaw some layers.")
    if plan.adapter is not None and any(phase.interpolate_weights for phase in plan.phases):
        message = "The plan mixes weights before and after a phase, but its adapters are products, which do not mix."
        yield stop("interpolate-adapter", "adapter", message, "Leave out the adapter, or the weight interpolation.")
    yield from _adapter(plan)
    yield from _augment(plan.augment)
    if modality is not None and "image" not in PARTS[modality] and plan.augment.policy != "none":
        message = f"The plan varies its items ({plan.augment.policy}), which is made for pictures, not texts."
        yield stop("augment-texts", "augment/policy", message, "Set the augmentation to none.")
    if modality == "multimodal" and any(phase.objective == "masked" for phase in plan.phases):
        message = "The plan fills in masked items, which is made for pictures or texts alone, not for both together."
        yield stop("masked-both", "phases", message, "Leave that phase out.")
    yield from _loss(plan.loss)
    yield from _idle(plan)
    yield from unknown_choice(TransferPlan, "precision", plan.precision, "precision")


def _objective(phase: Phase, where: str, phase_title: str) -> Iterator[Finding]:
    yield from unknown_choice(Phase, "objective", phase.objective, f"{where}/objective")
    if phase.draws is not None and phase.draws < 1:
        yield stop(
            "draws", f"{where}/draws", f"{phase_title} draws {phase.draws} items; it must be at least 1, or absent."
        )
    if phase.interpolate_weights and (
        phase.fit_on != "train" or phase.objective != "labels" or phase.optimizer != "adamw"
    ):
        message = f"{phase_title} is to end in a mix of weights, but the validation items cannot judge it."
        hint = "Only a fine-tuning phase that learns from the training items alone can end in a mix of weights."
        yield stop("interpolate_weights", f"{where}/interpolate_weights", message, hint)
    if phase.objective == "labels":
        return
    if phase.optimizer != "adamw":
        message = f"{phase_title} does not learn from labels, so there is no head to solve."
        yield stop("objective-optimizer", f"{where}/optimizer", message, "Use adamw.")
    if HEAD in phase.lr:
        message = f"{phase_title} does not learn from labels, so it teaches the head nothing, but gives it a rate."
        yield stop("objective-head", f"{where}/lr/{HEAD}", message, "Leave the head out of this phase.")
    if phase.patience is not None:
        message = f"{phase_title} is not judged by the validation items, so patience has no meaning."
        yield stop("objective-judge", f"{where}/patience", message, "Leave the patience out.")


def _recalibration(plan: TransferPlan, index: int, where: str, phase_title: str) -> Iterator[Finding]:
    phase = plan.phases[index]
    if phase.objective != "labels" or phase.optimizer != "adamw":
        message = f"{phase_title} is to begin by recalibrating normalisation, but it does not fine-tune."
        yield stop("recalibrate_norm", where, message, "Only a fine-tuning phase can begin so.")
    elif HEAD not in phase.lr or not any(earlier.optimizer == "lbfgs" for earlier in plan.phases[:index]):
        message = f"{phase_title} cannot begin by recalibrating: the head is frozen there, or was not solved before."
        yield finding("warn", "recalibrate-idle", where, message, "Let the head learn in it, and solve the head first.")


def _only_if_better(plan: TransferPlan, index: int) -> Iterator[Finding]:
    where, phase_title = f"phases/{index}/only_if_better", numbered(index, plan.phases[index])
    if index == 0:
        message = f"{phase_title} is the first, so there is no phase before it that could have brought a better score."
        yield stop("only-if-better", where, message, "Leave only_if_better out of the first phase.")
        return
    before = plan.phases[index - 1]
    if before.fit_on != "train" or before.objective != "labels":
        unjudged = f"the validation items do not judge phase {index}."
        message = f"{phase_title} asks whether {before.name!r} did better, but {unjudged}"
        yield finding("info", "only-if-better", where, message, "It is trained in any case.")


def _adapter(plan: TransferPlan) -> Iterator[Finding]:
    adapter = plan.adapter
    if adapter is None:
        return
    yield from unknown_choice(Adapter, "kind", adapter.kind, "adapter/kind")
    if not 1 <= adapter.rank <= MAX_RANK:
        message = f"The adapter's rank is {adapter.rank}; it must lie between 1 and {MAX_RANK}."
        yield stop("rank", "adapter/rank", message, "8 is usual.")
    if not (math.isfinite(adapter.alpha) and adapter.alpha > 0):
        message = f"The adapter's alpha is {adapter.alpha}; it must be above 0."
        yield stop("alpha", "adapter/alpha", message, "Twice the rank is usual.")
    yield from _share("adapter/dropout", "The adapter's dropout", adapter.dropout)
    if plan.init == "random":
        message = "An adapter stands beside pretrained layers, but this plan starts from random weights."
        yield stop("adapter-random", "adapter", message, "Leave the adapter out, or start from the pretrained weights.")
    if not any(set(phase.lr) - {HEAD} for phase in plan.phases):
        message = "The adapter has no effect: no phase gives a backbone group a learning rate."
        yield finding("warn", "adapter-idle", "adapter", message, "Give some backbone groups a learning rate.")


def _augment(augment: Augment) -> Iterator[Finding]:
    yield from unknown_choice(Augment, "policy", augment.policy, "augment/policy")
    if not 0 <= augment.views <= MAX_VIEWS:
        message = f"There are {augment.views} fixed views of each picture; there must be between 0 and {MAX_VIEWS}."
        yield stop("views", "augment/views", message, "0 varies the pictures anew in every epoch.")


def _loss(loss: Loss) -> Iterator[Finding]:
    yield from unknown_choice(Loss, "class_weights", loss.class_weights, "loss/class_weights")
    yield from _share("loss/label_smoothing", "The label smoothing", loss.label_smoothing)
    if not (math.isfinite(loss.mixup) and 0 <= loss.mixup <= 10):
        message = f"The alpha of mixup is {loss.mixup}; it must lie between 0 and 10."
        yield stop("mixup", "loss/mixup", message, "0.2 is usual; 0 is off.")


def _idle(plan: TransferPlan) -> Iterator[Finding]:
    """Yield what no phase uses. A solved head uses class weights, but no augmentation, mixup or label smoothing."""
    stepped = [phase for phase in plan.phases if phase.optimizer != "lbfgs"]
    labelled = [phase for phase in stepped if phase.objective == "labels"]
    hint = "Leave it out, or fine-tune some layers."
    if plan.augment.policy != "none" and not stepped:
        message = "Varying the pictures has no effect: the head is solved over features that stay the same."
        yield finding("warn", "augment-idle", "augment/policy", message, hint)
    if plan.augment.views and plan.augment.policy == "none":
        message = f"{plan.augment.views} fixed views are asked for, but augmentation is off."
        yield finding("warn", "views-idle", "augment/views", message, "Choose light or strong, or ask for no views.")
    for name, value in (("mixup", plan.loss.mixup), ("label_smoothing", plan.loss.label_smoothing)):
        if value > 0 and not labelled:
            title = name.replace("_", " ").capitalize()
            message = f"{title} has no effect: no phase learns the labels step by step, the head is solved at once."
            yield finding("warn", f"{name.replace('_', '-')}-idle", f"loss/{name}", message, hint)


def _share(where: str, title: str, value: float) -> Iterator[Finding]:
    if not 0 <= value < 1:
        message = f"{title} is {value}; it must be at least 0 and below 1."
        yield stop(where.rpartition("/")[2].replace("_", "-"), where, message)
