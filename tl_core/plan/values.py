"""The plan as a value, and the edit of one of its cells."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tl_core.errors import PlanError

Schedule = Literal["constant", "linear", "cosine", "slanted", "one_cycle"]


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    `lr` gives each trainable group its base rate; `warmup` is a fraction of the phase's steps. `optimizer` "lbfgs"
    solves a head over frozen features as the convex problem it is (full batch, `weight_decay` as the L2 strength
    per item: sklearn's 1 / (C N)). `patience` stops the phase after so many epochs without a better validation
    score. `fit_on` may add the validation items, for a phase whose choices are already made.
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


@dataclass(frozen=True)
class Head:
    """What is grafted on: a linear layer or a small MLP over standardised features, at the end of group `tap`.

    `tap` None is the backbone's last group; a lower one cuts the backbone there. `pool` adds the standard
    deviation over positions to the mean.
    """

    kind: Literal["linear", "mlp"] = "linear"
    hidden: int = 256
    dropout: float = 0.0
    tap: str | None = None
    pool: Literal["mean", "mean_std"] = "mean"


@dataclass(frozen=True)
class Reason:
    """One reason for a choice, in a sentence, and where it comes from (a URL, a paper, or a measurement)."""

    text: str
    source: str


@dataclass(frozen=True)
class TransferPlan:
    """Everything the trainer executes; it knows no strategy."""

    backbone: str
    strategy: str
    phases: tuple[Phase, ...]
    init: Literal["pretrained", "random"] = "pretrained"
    head: Head = Head()
    batch_size: int = 32
    why: tuple[Reason, ...] = ()

    @property
    def epochs(self) -> int:
        """The epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)


def with_rate(plan: TransferPlan, phase_index: int, group: str, rate: float | None) -> TransferPlan:
    """Return the plan with one cell changed: `group` learns at `rate` in that phase, or is frozen by None.

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
