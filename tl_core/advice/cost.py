"""What a plan costs: parameters that learn, seconds, memory. No torch at import."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tl_core.advice.adapter_sizes import adapter_parameters
from tl_core.backbones.footprint import Footprint
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.profile import Profile
from tl_core.layers import HEAD, partition
from tl_core.plan import Phase, TransferPlan
from tl_core.types import Estimate

if TYPE_CHECKING:
    from tl_core.backbones.speed import Speed

VALIDATION_SHARE = 0.2
"""Validation items for each training item, as in the default split (0.15 to 0.7)."""
SOLVER_STEPS, SOLVER_FLOPS = 150, 4e9
"""Iterations until a head is solved; operations that a processor does in a second in double precision."""
HEAD_STEP = 5e-6
"""Seconds of a small network's training step for one item whose features are stored."""
START_SECONDS = 4.0
"""Seconds until a run's process has loaded its libraries and the backbone."""
OVERHEAD = 1.25
"""Factor for loading, evaluation and other work on the machine."""
COPIES = 2
"""Further copies of the weights that learn: the best so far, and those that the run began with."""
MOMENTS = 2
"""Running means that AdamW keeps for each gradient."""
CACHE_LIMIT = 2 * 2**30
"""Most bytes of the frozen prefix's activations that a run keeps in memory; more go to disk, or are not kept."""
PASS_BATCH = (16, 32)
"""Items that pass through the whole network at once: in the probe, and in the measurement on the test items."""
RUN_BYTES = 80 * 2**20
"""Memory of a run besides the network: the data set's table, prepared items, buffers of the threads."""
SLACK = 1.15
"""Factor for freed blocks that the allocator keeps, and for the kernels' own buffers. SLACK and RUN_BYTES are what the
count missed for an EfficientNet and a MiniLM at batches of 8 to 32 on a CPU: 1.05 to 1.3 times."""
MIXES = 11
"""Mixes that a weight interpolation tries. Each is a pass over the validation items, and for pictures also over the
training items, to estimate normalisation statistics."""
MEMORY_SPREAD = 0.2
"""Half the width of the interval around the estimated memory, as a share of the estimate."""


def group_parameters(spec: BackboneSpec) -> Mapping[str, int]:
    """Return the parameters of each layer group; where the spec does not state them, build the network and count."""
    if spec.group_parameters:
        return dict(zip((group.name for group in spec.groups), spec.group_parameters, strict=True))
    return _count(spec)


@lru_cache(maxsize=16)
def _count(spec: BackboneSpec) -> Mapping[str, int]:
    if spec.load is None:
        return {}
    sizes = {name: parameter.numel() for name, parameter in spec.load(False).named_parameters()}
    return {group: sum(sizes[name] for name in names) for group, names in partition(sizes, spec.groups).items()}


def trainable_parameters(plan: TransferPlan, spec: BackboneSpec, n_classes: int) -> int:
    """Return how many parameters learn in any phase, including the head's."""
    learning = {group for phase in plan.phases for group in phase.lr}
    counts = group_parameters(spec) if plan.adapter is None else adapter_parameters(plan.adapter, spec)
    below = sum(count for group, count in counts.items() if group in learning)
    return below + (_head_parameters(plan, spec, n_classes) if HEAD in learning else 0)


def _head_parameters(plan: TransferPlan, spec: BackboneSpec, n_classes: int) -> int:
    width = spec.features * (2 if plan.head.pool == "mean_std" else 1)
    if plan.head.kind == "mlp":
        return (width + 1) * plan.head.hidden + (plan.head.hidden + 1) * n_classes
    return (width + 1) * n_classes


@dataclass(frozen=True)
class _PlanCost:
    """What the seconds of a plan depend on. `groups` ends at the tap.

    `seconds` maps each group to its forward pass of one item.
    """

    plan: TransferPlan
    groups: tuple[str, ...]
    seconds: Mapping[str, float]
    train_ratio: float
    n_train: int
    head_size: int

    def phase_seconds(self, phase: Phase, epochs: int, changed: bool) -> float:
        """Return the seconds of a phase of `epochs` epochs; `changed`: an earlier phase has changed the backbone."""
        learning = [index for index, group in enumerate(self.groups) if group in phase.lr]
        all_items = self.n_train * (1 + VALIDATION_SHARE)
        if not learning:
            recomputed = all_items * sum(self.seconds[group] for group in self.groups) if changed else 0.0
            if phase.optimizer == "lbfgs":
                return recomputed + 6.0 * SOLVER_STEPS * self.n_train * self.head_size / SOLVER_FLOPS
            return recomputed + epochs * self.n_train * HEAD_STEP
        prefix = sum(self.seconds[group] for group in self.groups[: learning[0]])
        rest = sum(self.seconds[group] for group in self.groups[learning[0] :])
        items = epochs * self._items_per_epoch(phase)
        augment = self.plan.augment
        varied = 0 if augment.policy == "none" else (augment.views or epochs)  # each variation runs the frozen layers
        once = self.n_train * ((varied or 1) + VALIDATION_SHARE) * prefix
        if phase.objective == "masked":  # items are masked at the input, so the frozen layers run every time
            once = items * prefix
        if phase.recalibrate_norm:  # one pass for the statistics and one for the head, with validation before and after
            once += self.n_train * rest * 2 * (1 + VALIDATION_SHARE)
        if phase.interpolate_weights:
            once += self.n_train * rest * MIXES * (1 + VALIDATION_SHARE)
        judged = VALIDATION_SHARE if phase.objective == "labels" else 0.0
        return once + items * rest * (self.train_ratio + judged)

    def _items_per_epoch(self, phase: Phase) -> int:
        """Return the items of an epoch; contrastive learning may draw an item more than once."""
        if phase.draws is None:
            return self.n_train
        return phase.draws if phase.objective == "contrastive" else min(phase.draws, self.n_train)

    def plan_seconds(self, early: bool) -> float:
        """Return the seconds of the plan; with `early`, each phase stops as soon as it may, or is skipped if it may.

        Validation items can only end or skip a phase where they judge. The first score of a head is always a gain, so
        the phase after it is never skipped.
        """
        seconds, changed, has_score, may_bring_nothing = 0.0, False, False, False
        for phase in self.plan.phases:
            if early and phase.only_if_better and may_bring_nothing:
                continue
            judged = phase.objective == "labels" and phase.fit_on == "train"
            epochs = phase.epochs
            if early and judged and phase.patience:
                epochs = min(epochs, phase.patience + 1)
            seconds += self.phase_seconds(phase, epochs, changed)
            changed = changed or any(group in phase.lr for group in self.groups)
            may_bring_nothing = judged and has_score
            has_score = has_score or judged or HEAD in phase.lr
        return seconds


def estimate_for(plan: TransferPlan, spec: BackboneSpec, speed: "Speed", profile: Profile) -> tuple[Estimate, Estimate]:
    """Return the seconds of training and the bytes of memory for the items of a profile (see `estimate`)."""
    if not profile.splits["validation"]:  # then no phase stops early or is skipped
        phases = (replace(phase, patience=None, only_if_better=False) for phase in plan.phases)
        plan = replace(plan, phases=tuple(phases))
    n_classes = max(1, len(profile.classes))
    return estimate(plan, spec, speed, profile.n_train, n_classes, profile.typical_tokens)


def estimate(
    plan: TransferPlan, spec: BackboneSpec, speed: "Speed", n_train: int, n_classes: int, tokens: float = 0
) -> tuple[Estimate, Estimate]:
    """Return the seconds of training (the probe has run already) and the bytes of memory.

    Layers below the lowest one that learns run once in a phase. The rest runs in every epoch: forward for validation,
    forward and backward for training. `value` supposes that no phase stops early or is skipped, `low` that each stops
    as soon as its patience allows, and that phases with `only_if_better` are skipped where the run may skip them.

    `tokens` is the typical length of a text (Profile.typical_tokens); 0 takes the longest that the backbone reads. The
    memory of a step always follows from that longest text, as the longest batch holds it.
    """
    if spec.text_input:
        tokens = min(tokens or spec.text_input.max_tokens, spec.text_input.max_tokens)
    names = [group.name for group in spec.groups]
    top = names.index(plan.head.tap) + 1 if plan.head.tap in names else len(names)
    seconds = {name: speed.seconds([name], tokens) for name in names}
    size = _head_parameters(plan, spec, n_classes)
    cost = _PlanCost(plan, tuple(names[:top]), seconds, speed.train_ratio, n_train, size)
    usual, full = speed.seconds(), START_SECONDS + cost.plan_seconds(early=False)
    low = (START_SECONDS + cost.plan_seconds(early=True)) * min(1.0, speed.low / usual)
    high = full * OVERHEAD * max(1.0, speed.high / usual)
    method = f"from the speed measured on this machine ({speed.rounds} rounds), if no phase stops early"
    if any(phase.only_if_better for phase in plan.phases):
        method += " or is skipped"
    return Estimate(full, low, high, speed.rounds, method), _memory(cost, spec, speed.footprint, n_classes, tokens)


def _memory(cost: _PlanCost, spec: BackboneSpec, footprint: Footprint, n_classes: int, tokens: float) -> Estimate:
    """Return the run's peak memory: that of its largest phase."""
    sizes = {**group_parameters(spec), HEAD: _head_parameters(cost.plan, spec, n_classes)}
    weights = 4.0 * (sum(sizes.values()) or spec.parameters)
    longest = spec.text_input.max_tokens if spec.text_input else 0
    pass_items = min(PASS_BATCH[1], max(PASS_BATCH[0], round(cost.n_train * VALIDATION_SHARE)))
    batch = min(cost.plan.batch_size, round(cost.n_train * (1 + VALIDATION_SHARE)))  # a phase may learn from both
    peaks = []
    for phase in cost.plan.phases:
        learning = [index for index, group in enumerate(cost.groups) if group in phase.lr]
        lowest = min(learning, default=len(cost.groups))
        moving = 4.0 * sum(sizes.get(group, 0) for group in phase.lr)
        activations = batch * sum(footprint.kept_by(group, longest) for group in cost.groups[lowest:])
        at_once = max(pass_items, batch if learning else 0)
        passing = at_once * footprint.passing_of(longest)
        checkpoint = weights + MOMENTS * moving  # assembled in memory, after the activations are freed
        stored = _stored(cost, footprint, cost.groups[lowest - 1], tokens) if learning and lowest else 0.0
        peaks.append(moving * (1 + MOMENTS + COPIES) + stored + max(SLACK * max(activations, passing), checkpoint))
    value = footprint.base + RUN_BYTES + weights + max(peaks)
    method = "counted on the network: weights, gradients, optimiser, copies, activations kept for the backward pass"
    return Estimate(value, value * (1 - MEMORY_SPREAD), value * (1 + MEMORY_SPREAD), 0, method)


def _stored(cost: _PlanCost, footprint: Footprint, boundary: str, tokens: float) -> float:
    """Return the bytes of the frozen prefix's activations; 0 where they are too many to be kept in memory."""
    items = cost.n_train * (1 + VALIDATION_SHARE)
    size = items * footprint.output_of(boundary, tokens)
    return size if size <= CACHE_LIMIT else 0.0
