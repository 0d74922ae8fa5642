"""What evaluation measures, as values that are saved, shown and read back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tl_core.plan import TransferPlan
from tl_core.types import Estimate, Finding


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, each with its interval."""

    name: str
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Prediction:
    """One test item as the model saw it; `row` indexes the data set's manifest."""

    row: int
    item: str
    truth: int
    predicted: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Transfer against one baseline on the same test items: a paired difference of accuracies, and its verdict."""

    baseline: Literal["scratch", "classical"]
    title: str
    budget: str
    transfer: Estimate
    other: Estimate
    gain: Estimate
    verdict: Literal["helps", "no difference shown", "hurts", "cannot tell"]


@dataclass(frozen=True)
class Report:
    """What was measured of one run, on a test set that was touched once."""

    run: str
    dataset: str
    fingerprint: str
    classes: tuple[str, ...]
    plan: TransferPlan
    accuracy: Estimate
    macro_f1: Estimate
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    predictions: tuple[Prediction, ...]
    validation: Mapping[str, float]
    comparisons: tuple[Comparison, ...] = ()
    findings: tuple[Finding, ...] = ()
    environment: Mapping[str, str] | None = None
    auc: Estimate | None = None
    log_loss: Estimate | None = None


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy on the fixed test items after `labels` labelled training items; one value a seed."""

    labels: int
    scores: tuple[float, ...]
    accuracy: Estimate


@dataclass(frozen=True)
class CurveArm:
    """One line of the data-efficiency curve; `budget` is written on the chart."""

    name: Literal["transfer", "scratch", "classical"]
    title: str
    budget: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Curve:
    """Accuracy over nested label counts, on one fixed test set."""

    fingerprint: str
    backbone: str
    n_test: int
    arms: tuple[CurveArm, ...]

    def arm(self, name: str) -> CurveArm | None:
        """Return the arm of that name, None where it was not measured."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def whole(self, name: str, count: int) -> bool:
        """Return whether the arm of that name was measured at `count` label counts, not broken off before."""
        arm = self.arm(name)
        return arm is not None and len(arm.points) >= count

    def with_arm(self, arm: CurveArm) -> "Curve":
        """Return the curve with `arm` in place of the one of its name, or added."""
        order = [old.name for old in self.arms]
        if arm.name not in order:
            return replace(self, arms=(*self.arms, arm))
        return replace(self, arms=tuple(arm if old.name == arm.name else old for old in self.arms))


@dataclass(frozen=True)
class LayerScore:
    """Validation accuracy, and mean cross-entropy, with one layer group trained beside the head; "" is none."""

    group: str
    accuracy: Estimate
    loss: float


@dataclass(frozen=True)
class LayerSweep:
    """What training each layer group alone, beside a solved head, is worth after `steps` steps.

    `baseline` is the frozen probe on the same items; `groups` holds those measured so far, of `total`.
    """

    backbone: str
    fingerprint: str
    steps: int
    items: int
    rate: float
    head_rate: float
    seed: int
    total: int
    baseline: LayerScore
    groups: tuple[LayerScore, ...] = ()
