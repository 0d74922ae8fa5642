"""The transfer plan: phases of {layer group: learning rate}. A group that a phase leaves out is frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
