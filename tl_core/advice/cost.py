"""What a plan costs: parameters that learn, seconds, memory. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tl_core.backbones.spec import BackboneSpec, ImageInput, TextInput
from tl_core.layers import HEAD, partition
from tl_core.plan import Phase, TransferPlan
from tl_core.types import Estimate

if TYPE_CHECKING:
    from tl_core.backbones.speed import Speed

VALIDATION_SHARE = 0.2
"""Validation items beside the training items, as the default split has them (0.15 to 0.7)."""
SOLVER_STEPS, SOLVER_FLOPS = 150, 4e9
"""Iterations until a head is solved, and what a processor does a second in double precision."""
HEAD_STEP = 5e-6
"""Seconds of a small network's training step for one item whose features are stored."""
START_SECONDS = 4.0
OVERHEAD = 1.25
"""What loading, evaluation and other work on the machine may add."""
PROCESS_BYTES = 450 * 2**20
IMAGE_BYTES = 80 * 2**20
"""Activations that a network of 3.4 million parameters keeps for the gradient of one picture of 224 pixels."""
HEAD_WIDTH = 32
"""Width of one attention head of the small encoders."""


def group_parameters(spec: BackboneSpec) -> Mapping[str, int]:
    """Return the parameters of each layer group; counted on the network itself where the card does not state them."""
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
    """Return how many parameters learn in any phase, the head's among them."""
    learning = {group for phase in plan.phases for group in phase.lr}
    below = sum(count for group, count in group_parameters(spec).items() if group in learning)
    return below + (_head_parameters(plan, spec, n_classes) if HEAD in learning else 0)


def _head_parameters(plan: TransferPlan, spec: BackboneSpec, n_classes: int) -> int:
    width = spec.features * (2 if plan.head.pool == "mean_std" else 1)
    if plan.head.kind == "mlp":
        return (width + 1) * plan.head.hidden + (plan.head.hidden + 1) * n_classes
    return (width + 1) * n_classes


@dataclass(frozen=True)
class _Work:
    """What the seconds of a phase depend on; `groups` ends at the tap."""

    plan: TransferPlan
    groups: tuple[str, ...]
    seconds: Mapping[str, float]
    train_ratio: float
    n_train: int
    head_size: int

    def phase(self, phase: Phase, epochs: int) -> float:
        """Return the seconds of a phase that runs so many epochs."""
        learning = [index for index, group in enumerate(self.groups) if group in phase.lr]
        if not learning:
            if phase.optimizer == "lbfgs":
                return 6.0 * SOLVER_STEPS * self.n_train * self.head_size / SOLVER_FLOPS
            return epochs * self.n_train * HEAD_STEP
        prefix = sum(self.seconds[group] for group in self.groups[: learning[0]])
        rest = sum(self.seconds[group] for group in self.groups[learning[0] :])
        once = self.n_train * (1 + VALIDATION_SHARE) * prefix
        return once + epochs * self.n_train * rest * (self.train_ratio + VALIDATION_SHARE)

    def whole(self, early: bool) -> float:
        """Return the seconds of the plan; `early` lets each phase stop as soon as its patience allows."""
        lengths = [min(p.epochs, p.patience + 1) if early and p.patience else p.epochs for p in self.plan.phases]
        return sum(self.phase(phase, epochs) for phase, epochs in zip(self.plan.phases, lengths, strict=True))


def estimate(
    plan: TransferPlan, spec: BackboneSpec, speed: "Speed", n_train: int, n_classes: int, tokens: float = 0
) -> tuple[Estimate, Estimate]:
    """Return the seconds of training, once the probe has run, and the bytes of memory.

    Layers below the lowest one that learns run once in a phase; the rest runs in every epoch, forward for validation
    and forward and backward for training. `value` supposes that no phase stops early, `low` that each stops as soon
    as its patience allows. `tokens` is the usual length of a text; 0 takes the longest.
    """
    if isinstance(spec.input, TextInput):
        tokens = min(tokens or spec.input.max_tokens, spec.input.max_tokens)
    names = [group.name for group in spec.groups]
    top = names.index(plan.head.tap) + 1 if plan.head.tap in names else len(names)
    seconds = {name: speed.seconds([name], tokens) for name in names}
    size = _head_parameters(plan, spec, n_classes)
    work = _Work(plan, tuple(names[:top]), seconds, speed.train_ratio, n_train, size)
    usual, full = speed.seconds(), START_SECONDS + work.whole(early=False)
    low = (START_SECONDS + work.whole(early=True)) * min(1.0, speed.low / usual)
    high = full * OVERHEAD * max(1.0, speed.high / usual)
    method = f"from the speed measured on this machine ({speed.rounds} rounds), if no phase stops early"
    return Estimate(full, low, high, speed.rounds, method), _memory(plan, spec, n_classes, tokens)


def _memory(plan: TransferPlan, spec: BackboneSpec, n_classes: int, tokens: float) -> Estimate:
    """Weights in single precision, gradient and AdamW's two moments for what learns, and kept activations."""
    counts = group_parameters(spec)
    states = 4 * spec.parameters + 12 * trainable_parameters(plan, spec, n_classes)
    learning = {group for phase in plan.phases for group in phase.lr if group in counts}
    names = [group.name for group in spec.groups]
    lowest = min((names.index(group) for group in learning), default=len(names))
    share = (len(names) - lowest) / max(1, len(names))
    kept = plan.batch_size * _activations(spec, tokens) * max(share, 0.1)
    value = PROCESS_BYTES + states + kept
    method = "rough: weights, gradients and optimiser state counted, activations by a rule of thumb"
    return Estimate(value, PROCESS_BYTES + states + kept / 2, PROCESS_BYTES + states + 2 * kept, 0, method)


def _activations(spec: BackboneSpec, tokens: float) -> float:
    """Return the bytes of activations that training the whole backbone keeps for one item.

    Texts: 2 s h (34 + 5 a s / h) a layer in single precision (Korthikanti et al. 2022, arXiv:2205.05198, eq. 2),
    with s tokens, width h and a heads.
    """
    if isinstance(spec.input, ImageInput):
        return IMAGE_BYTES * (spec.input.size / 224) ** 2 * (spec.parameters / 3.4e6) ** 0.5
    heads = max(1, spec.features // HEAD_WIDTH)
    return 2 * tokens * spec.features * (34 + 5 * heads * tokens / max(1, spec.features)) * len(spec.groups)
