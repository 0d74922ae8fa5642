"""What evaluation measures, as values that are saved, shown and read back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from tl_core.plan import TransferPlan
from tl_core.types import Estimate, Finding, Metric, also_called, metric

HALF = 0.5
"""The probability above which an item is said to have a label, where it may have several."""


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, each with its interval; `auc` of a label among several, where it has one.

    The n of recall counts the items of the class, the n of precision those that were called it.
    """

    name: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auc: Estimate | None = None


@dataclass(frozen=True)
class Prediction:
    """One test item as the model saw it; `row` indexes the data set's manifest.

    Where items may have several labels, `truths` are those of the item, and `truth` and `predicted` are -1: what the
    model says are all labels with a probability above one half.
    """

    row: int
    item: str
    truth: int
    predicted: int
    probabilities: tuple[float, ...]
    truths: tuple[int, ...] | None = None

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes that the item is of, ascending."""
        return (self.truth,) if self.truths is None else self.truths

    @property
    def predicted_labels(self) -> tuple[int, ...]:
        """The classes that the model says it is of, ascending."""
        if self.truths is None:
            return (self.predicted,)
        return tuple(label for label, chance in enumerate(self.probabilities) if chance > HALF)

    @property
    def right(self) -> bool:
        """Whether every answer is right."""
        return self.labels == self.predicted_labels

    @property
    def confidence(self) -> float:
        """How sure the model was of its answer; where it is wrong, of its worst mistake."""
        if self.truths is None:
            return self.probabilities[self.predicted]
        sure = [abs(chance - HALF) + HALF for chance in self.probabilities]
        return max((sure[label] for label in {*self.labels} ^ {*self.predicted_labels}), default=min(sure, default=1.0))


@dataclass(frozen=True)
class Comparison:
    """Transfer against one baseline on the same test items: a paired difference of scores, and its verdict.

    `metric` says what the scores are.
    """

    baseline: Literal["scratch", "classical"]
    title: str
    budget: str
    transfer: Estimate
    other: Estimate
    gain: Estimate
    verdict: Literal["helps", "no difference shown", "hurts", "cannot tell"]
    metric: Metric = "accuracy"


@dataclass(frozen=True)
class Slice:
    """The test items of one subgroup: how many, their score, and how much it is above that of all others.

    `gap` is None where there are too few items on either side to say.
    """

    name: str
    n: int
    score: Estimate | None
    gap: Estimate | None


@dataclass(frozen=True)
class Slices:
    """The test items by what a column of the source says; `without` have nothing there and are in no slice.

    `worst` names the slice with the lowest score of those that are large enough to say, "" where they do not differ.
    """

    column: str
    metric: Metric
    slices: tuple[Slice, ...]
    worst: str = ""
    without: int = 0


@dataclass(frozen=True)
class Report:
    """What was measured of one run, on a test set that was touched once.

    Where items may have several labels (`multilabel`), every label is a yes or no: `accuracy` is the share of right
    answers over all items and labels, `exact` that of items with every answer right, `auc` the mean over the labels,
    and there is no confusion matrix.
    """

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
    multilabel: bool = False
    micro_f1: Estimate | None = None
    exact: Estimate | None = None
    slices: Slices | None = None

    @property
    def metric(self) -> Metric:
        """What `score` is."""
        return metric(self.multilabel)

    @property
    def score(self) -> Estimate | None:
        """The figure that says most: accuracy, or with several labels an item the mean AUC, where there is one."""
        return self.auc if self.multilabel else self.accuracy


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy (or the curve's other metric) on the fixed test items after `labels` items; one value a seed."""

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
    """Accuracy, or another `metric`, over nested label counts, on one fixed test set."""

    fingerprint: str
    backbone: str
    n_test: int
    arms: tuple[CurveArm, ...]
    metric: Metric = "accuracy"

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
    """Validation score, and mean cross-entropy, with one layer group trained beside the head; "" is none."""

    group: str
    accuracy: Estimate
    loss: float


@dataclass(frozen=True)
class LayerSweep:
    """What training each layer group alone, beside a solved head, is worth after `steps` steps.

    `baseline` is the frozen probe on the same items; `groups` holds those measured so far, of `total`. Where an item
    may have `several` labels, the score is the share of right answers, each label being a yes or a no.
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
    multilabel: Annotated[bool, also_called("multilabel", "several")] = False

    @property
    def score(self) -> str:
        """Return what the scores are, in words."""
        return "right answers, each label yes or no" if self.multilabel else "accuracy"
