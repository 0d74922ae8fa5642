"""The transfer plan as a value, and the edit of one of its rates."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from tl_core.errors import PlanError
from tl_core.types import also_called

Schedule = Literal["constant", "linear", "cosine", "slanted", "one_cycle"]
Objective = Literal["labels", "masked", "contrastive"]


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    `lr` maps each trainable layer group to its base rate; `warmup` is a fraction of the phase's steps. `optimizer`
    "lbfgs" solves the head over frozen features as a convex problem (full batch; `weight_decay` is the L2 strength per
    item, sklearn's 1 / (C N)). `patience` stops the phase after that many epochs without a better validation score.
    `fit_on` may add the validation items, for a phase that they no longer have to judge.

    `objective` is what is learned: the "labels"; to fill in what is "masked", without labels (domain-adaptive
    pretraining); or to bring items of one label together and others apart ("contrastive"). `draws` caps the items of
    an epoch, drawn anew each time (contrastive learning may draw an item twice); None takes each item once.
    `interpolate_weights` ends the phase with the mix of its first and its best weights that does best on validation
    (WiSE-FT). `recalibrate_norm` begins the phase by estimating the running statistics of its normalisation layers on
    the training items (AdaBN), and by solving the head again on the resulting features. `only_if_better` skips the
    phase if the last trained phase did not improve the best validation score.
    """

    name: str
    epochs: int
    lr: Mapping[str, float]
    schedule: Schedule = "cosine"
    warmup: float = 0.0
    weight_decay: float = 0.01
    optimizer: Literal["adamw", "lbfgs"] = "adamw"
    patience: int | None = None
    fit_on: Literal["train", "train+validation"] = "train"
    objective: Objective = "labels"
    draws: int | None = None
    interpolate_weights: Annotated[bool, also_called("interpolate_weights", "blend")] = False
    recalibrate_norm: Annotated[bool, also_called("recalibrate_norm", "adapt")] = False
    only_if_better: bool = False


@dataclass(frozen=True)
class Head:
    """The new head: a linear layer or a small MLP over standardised features, at the end of layer group `tap`.

    `tap` None is the backbone's last group; a lower one cuts the backbone there. `pool` "mean_std" adds the standard
    deviation over positions to the mean.
    """

    kind: Literal["linear", "mlp"] = "linear"
    hidden: int = 256
    dropout: float = 0.0
    tap: str | None = None
    pool: Literal["mean", "mean_std"] = "mean"


@dataclass(frozen=True)
class Penalty:
    """A term of tl_core.penalties, by name; times `strength` it is added to the loss where the backbone learns."""

    name: str
    strength: float
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Adapter:
    """Small layers beside frozen ones (peft's kinds). They alone learn in the backbone groups that a phase names."""

    kind: Literal["lora", "dora", "loha", "lokr", "ia3"] = "lora"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0


@dataclass(frozen=True)
class Augment:
    """How training pictures are varied: anew in every epoch, or as a number of fixed `views` that can be cached."""

    policy: Literal["none", "light", "strong"] = "none"
    views: int = 0


@dataclass(frozen=True)
class Loss:
    """Changes to the cross-entropy of fine-tuning.

    "balanced" weighs a class by N / (K * n) for its n of N items in K classes, as scikit-learn does. `mixup` is the
    alpha of Zhang et al. 2018, arXiv:1710.09412; 0 is off.
    """

    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    mixup: float = 0.0


@dataclass(frozen=True)
class Reason:
    """One reason for a choice, in a sentence, and its source (a URL, a paper, or a measurement)."""

    text: str
    source: str


@dataclass(frozen=True)
class TransferPlan:
    """Everything that the trainer executes; the trainer knows no strategy.

    `precision` "auto" measures for a short time and takes bfloat16 where it is faster and the loss agrees with
    float32's.
    """

    backbone: str
    strategy: str
    phases: tuple[Phase, ...]
    init: Literal["pretrained", "random"] = "pretrained"
    head: Head = Head()
    batch_size: int = 32
    penalties: tuple[Penalty, ...] = ()
    adapter: Adapter | None = None
    augment: Augment = Augment()
    loss: Loss = Loss()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    why: tuple[Reason, ...] = ()

    @property
    def epochs(self) -> int:
        """The number of epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)


def with_rate(plan: TransferPlan, phase_index: int, group: str, rate: float | None) -> TransferPlan:
    """Return the plan with one rate changed: `group` learns at `rate` in that phase, or is frozen where it is None.

    Raises PlanError where the plan has no such phase.
    """
    if not 0 <= phase_index < len(plan.phases):
        raise PlanError(
            f"The plan has {len(plan.phases)} phases; there is no phase number {phase_index + 1}.",
            "Choose one of the phases of the plan.",
        )
    phase = plan.phases[phase_index]
    lr = {name: value for name, value in phase.lr.items() if rate is not None or name != group}
    if rate is not None:
        lr[group] = rate
    phases = list(plan.phases)
    phases[phase_index] = replace(phase, lr=lr)
    return replace(plan, phases=tuple(phases))
