"""The checks of a plan: every mistake is named before epoch 0."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from tl_core.layers import HEAD, titles
from tl_core.plan.findings import finding, numbered, stop, suggest, unknown_choice
from tl_core.plan.optional_checks import check_optional
from tl_core.plan.transfer_plan import Head, Phase, TransferPlan
from tl_core.types import Finding, Modality

MAX_EPOCHS = 1000
MAX_BATCH = 4096
MAX_HIDDEN = 16384
MAX_RATE = 1.0
BOLD_RATE = 0.01  # ten times the usual rate of a new head under AdamW
MAX_DECAY = {"adamw": 1.0, "lbfgs": 1e6}


def check(
    plan: TransferPlan, groups: Sequence[str], backbones: Collection[str] = (), modality: Modality | None = None
) -> tuple[Finding, ...]:
    """Return everything that is wrong or odd in `plan`; level "stop" blocks it.

    `groups` are the backbone's layer groups, input side first, without the head. `backbones` are the names that
    exist; where it is empty, the backbone's name is not checked. `modality` is that of the items, where it is known. A
    finding's one item is its place in the plan, such as "phases/0/lr/blocks.9" (from_yaml turns it into a line).
    """
    findings = [*_plan(plan, backbones), *_head(plan.head, groups)]
    names, group_titles = Counter(phase.name for phase in plan.phases), titles([*groups, HEAD])
    for index, phase in enumerate(plan.phases):
        where = f"phases/{index}"
        phase_title = numbered(index, phase)
        if names[phase.name] > 1:
            message = f"Two phases are called {phase.name!r}."
            findings.append(stop("phase-name", f"{where}/name", message, "Rename one."))
        findings += _groups(phase, plan.head, group_titles, where, phase_title)
        findings += _numbers(phase, group_titles, where, phase_title)
        findings += _solver(phase, plan.head, group_titles, where, phase_title)
    return (*findings, *_order(plan), *_never_learns(plan, groups), *check_optional(plan, modality))


def _plan(plan: TransferPlan, backbones: Collection[str]) -> Iterator[Finding]:
    if backbones and plan.backbone not in backbones:
        message = f"There is no backbone named {plan.backbone!r}."
        yield stop("backbone", "backbone", message, suggest(plan.backbone, backbones))
    yield from unknown_choice(TransferPlan, "init", plan.init, "init")
    if not 1 <= plan.batch_size <= MAX_BATCH:
        message = f"The batch size is {plan.batch_size}; it must lie between 1 and {MAX_BATCH}."
        yield stop("batch-size", "batch_size", message, "16 or 32 is usual.")
    if not plan.phases:
        yield stop("no-phase", "phases", "The plan has no phase, so nothing would be trained.", "Add a phase.")


def _head(head: Head, groups: Sequence[str]) -> Iterator[Finding]:
    yield from unknown_choice(Head, "kind", head.kind, "head/kind")
    yield from unknown_choice(Head, "pool", head.pool, "head/pool")
    if not 1 <= head.hidden <= MAX_HIDDEN:
        message = f"The head has {head.hidden} hidden units; it must have between 1 and {MAX_HIDDEN}."
        yield stop("hidden", "head/hidden", message, "256 is usual.")
    if not 0.0 <= head.dropout < 1.0:
        message = f"The head's dropout is {head.dropout}; it must be at least 0 and below 1."
        yield stop("dropout", "head/dropout", message, "0.2 drops a fifth of the features.")
    if head.tap is not None and head.tap not in groups:
        message = f"The head is to sit on {head.tap!r}, which is not a layer group of this backbone."
        yield stop("tap", "head/tap", message, suggest(head.tap, groups))


def _groups(
    phase: Phase, head: Head, group_titles: Mapping[str, str], where: str, phase_title: str
) -> Iterator[Finding]:
    groups = [group for group in group_titles if group != HEAD]
    if not phase.lr:
        hint = f"Give at least one of these a learning rate: {', '.join([*groups, HEAD])}."
        yield stop("nothing-trainable", f"{where}/lr", f"{phase_title} freezes everything.", hint)
    above = groups[groups.index(head.tap) + 1 :] if head.tap in groups else ()
    for group in phase.lr:
        place = f"{where}/lr/{group}"
        if group != HEAD and group not in groups:
            message = f"{phase_title} names the layer group {group!r}, which this backbone does not have."
            yield stop("unknown-group", place, message, suggest(group, [*groups, HEAD]))
        elif group in above:
            tap = group_titles[head.tap or HEAD]
            message = f"{phase_title} trains {group_titles[group]}, but the head sits below, on {tap}."
            yield stop("above-tap", place, message, "Freeze it, or move the head up.")
    trained = [index for index, group in enumerate(groups) if group in phase.lr]
    top = groups.index(head.tap) if head.tap in groups else len(groups) - 1
    if trained and (holes := [group for group in groups[trained[0] : top + 1] if group not in phase.lr]):
        message = f"{phase_title} freezes {', '.join(group_titles[group] for group in holes)} above layers that learn."
        yield finding("info", "hole", f"{where}/lr", message, "That is allowed, but unusual.")


def _numbers(phase: Phase, group_titles: Mapping[str, str], where: str, phase_title: str) -> Iterator[Finding]:
    if not phase.name.strip():
        yield stop("phase-name", f"{where}/name", f"{phase_title} has no name.", "Give it one.")
    yield from unknown_choice(Phase, "schedule", phase.schedule, f"{where}/schedule")
    yield from unknown_choice(Phase, "optimizer", phase.optimizer, f"{where}/optimizer")
    yield from unknown_choice(Phase, "fit_on", phase.fit_on, f"{where}/fit_on", code="fit_on")
    if not 1 <= phase.epochs <= MAX_EPOCHS:
        message = f"{phase_title} has {phase.epochs} epochs; it must have between 1 and {MAX_EPOCHS}."
        yield stop("epochs", f"{where}/epochs", message)
    for group, rate in phase.lr.items():
        yield from _rate(phase, rate, f"{where}/lr/{group}", f"{phase_title} gives {group_titles.get(group, group)}")
    if not 0.0 <= phase.warmup < 1.0:
        message = f"{phase_title} warms up over {phase.warmup} of its steps; it must be at least 0 and below 1."
        yield stop("warmup", f"{where}/warmup", message, "0.1, a tenth of the steps, is usual.")
    most = MAX_DECAY.get(phase.optimizer, 1.0)
    if not 0.0 <= phase.weight_decay <= most:
        message = f"{phase_title} has the weight decay {phase.weight_decay}; it must lie between 0 and {most:g}."
        yield stop("weight-decay", f"{where}/weight_decay", message, "0.01 is usual.")


def _rate(phase: Phase, rate: float, where: str, gives: str) -> Iterator[Finding]:
    if not (math.isfinite(rate) and rate > 0.0):
        message = f"{gives} the learning rate {rate}; a rate is above 0."
        yield stop("rate", where, message, "To freeze the group, leave it out.")
    elif rate > MAX_RATE:
        message = f"{gives} the learning rate {rate}, which would wreck any weights."
        yield stop("rate", where, message, "Usual rates are 0.001 for a new head and 0.0001 or less below it.")
    elif rate > BOLD_RATE and phase.optimizer == "adamw":
        message = f"{gives} the learning rate {rate}, far above what is usual."
        yield finding("warn", "bold-rate", where, message, "Usual is 0.001 for a new head, 0.0001 or less below it.")


def _solver(
    phase: Phase, head: Head, group_titles: Mapping[str, str], where: str, phase_title: str
) -> Iterator[Finding]:
    if phase.patience is not None and phase.patience < 1:
        message = f"{phase_title} has the patience {phase.patience}; it must be at least 1, or absent."
        yield stop("patience", f"{where}/patience", message)
    elif phase.patience is not None and phase.fit_on == "train+validation":
        message = f"{phase_title} learns from the validation items and also waits for them to stop improving."
        hint = "Leave patience out, or fit on the training items alone."
        yield stop("patience-fit-on", f"{where}/patience", message, hint)
    elif phase.patience is not None and phase.patience >= phase.epochs > 0 and phase.optimizer == "adamw":
        message = f"{phase_title} has {phase.epochs} epochs, so a patience of {phase.patience} never stops it."
        yield finding("info", "patience", f"{where}/patience", message)
    if phase.optimizer != "lbfgs":
        return
    if others := [group for group in phase.lr if group != HEAD]:
        learn = ", ".join(group_titles.get(group, group) for group in others)
        message = f"{phase_title} uses lbfgs, which solves the head alone, but also trains {learn}."
        yield stop("lbfgs-groups", f"{where}/optimizer", message, "Freeze them, or use adamw.")
    if head.kind != "linear":
        message = f"{phase_title} uses lbfgs, which solves a linear head; this plan's head is {head.kind!r}."
        yield stop("lbfgs-head", f"{where}/optimizer", message, "Use adamw, or a linear head.")
    if phase.patience is not None:
        message = f"{phase_title} uses lbfgs, which stops at the solution, so patience has no meaning."
        yield stop("lbfgs-patience", f"{where}/patience", message, "Leave patience out.")
    if phase.warmup > 0:
        message = f"{phase_title} uses lbfgs, which has no schedule; its warm-up is ignored."
        yield finding("info", "lbfgs-warmup", f"{where}/warmup", message)
    if phase.weight_decay == 0:
        message = (
            f"{phase_title} solves the head without weight decay; where classes separate, there is no best solution."
        )
        yield finding("warn", "lbfgs-decay", f"{where}/weight_decay", message, "0.01 is a good start.")


def _order(plan: TransferPlan) -> Iterator[Finding]:
    labels = [index for index, phase in enumerate(plan.phases) if phase.objective == "labels"]
    if plan.phases and not labels:
        message = "No phase of the plan learns from the labels, so the head would learn nothing."
        yield stop("no-labels", "phases", message, "Add a phase whose objective is labels.")
    elif labels and HEAD not in plan.phases[labels[0]].lr:
        first = plan.phases[labels[0]]
        message = f"The first phase ({first.name!r}) freezes the head, which has not learned anything yet."
        if labels[0]:
            message = f"The phase {first.name!r} freezes the head, which has not learned anything yet."
        hint = "Give the head a learning rate in the first phase that learns from labels."
        yield stop("head-frozen", f"phases/{labels[0]}/lr", message, hint)
    for index, (phase, later) in enumerate(zip(plan.phases, plan.phases[1:], strict=False)):
        if phase.fit_on == "train+validation" and later.fit_on == "train":
            message = f"{numbered(index, phase)} learns from the validation items, so they cannot judge phase "
            message += f"{index + 2} ({later.name!r})."
            hint = "Only the last phases may learn from the validation items."
            yield stop("fit-on-order", f"phases/{index}/fit_on", message, hint)


def _never_learns(plan: TransferPlan, groups: Sequence[str]) -> Iterator[Finding]:
    top = groups.index(plan.head.tap) + 1 if plan.head.tap in groups else len(groups)
    learning = {group for phase in plan.phases for group in phase.lr}
    if plan.init == "random" and (idle := [group for group in groups[:top] if group not in learning]):
        group_titles = titles(groups)
        never = ", ".join(group_titles[group] for group in idle)
        message = f"The backbone starts from random weights, and these layers never learn: {never}."
        yield finding("warn", "random-frozen", "init", message, "Train them, or start from the pretrained weights.")
