"""The values that evaluation produces: saved, shown, and read back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from tl_core.data.holdout_log import HoldoutUse
from tl_core.plan import TransferPlan
from tl_core.types import Estimate, Finding, Metric, also_called, metric

HALF = 0.5
"""In multilabel data, an item is predicted to have every label with a probability above this."""


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, each with its interval; in multilabel data also the label's AUC.

    The n of recall counts the items of the class, the n of precision the items predicted as the class.
    """

    name: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auc: Estimate | None = None


@dataclass(frozen=True)
class Prediction:
    """The prediction for one test item; `row` indexes the data set's manifest.

    For a multilabel item, `truths` holds its labels, `truth` and `predicted` are -1, and the predicted labels are all
    those with a probability above 0.5.
    """

    row: int
    item: str
    truth: int
    predicted: int
    probabilities: tuple[float, ...]
    truths: tuple[int, ...] | None = None

    @property
    def labels(self) -> tuple[int, ...]:
        """The true classes, ascending."""
        return (self.truth,) if self.truths is None else self.truths

    @property
    def predicted_labels(self) -> tuple[int, ...]:
        """The predicted classes, ascending."""
        if self.truths is None:
            return (self.predicted,)
        return tuple(label for label, probability in enumerate(self.probabilities) if probability > HALF)

    @property
    def right(self) -> bool:
        """Whether the predicted labels are exactly the true ones."""
        return self.labels == self.predicted_labels

    @property
    def confidence(self) -> float:
        """The probability of the prediction; for a wrong multilabel item, that of its most confident mistake."""
        if self.truths is None:
            return self.probabilities[self.predicted]
        confidences = [abs(probability - HALF) + HALF for probability in self.probabilities]
        wrong = {*self.labels} ^ {*self.predicted_labels}
        return max((confidences[label] for label in wrong), default=min(confidences, default=1.0))


@dataclass(frozen=True)
class Comparison:
    """Transfer against one baseline on the same test items: both scores, their paired difference, and a verdict."""

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
    """The test items of one subgroup: their number, their score, and the gap to the score of all other items.

    `gap` is None if either side has too few items.
    """

    name: str
    n: int
    score: Estimate | None
    gap: Estimate | None


@dataclass(frozen=True)
class Slices:
    """The test items grouped by a column of the source; `without` counts items with no value there, in no slice.

    `worst` names the slice with the lowest score among those that are large enough, "" if these do not differ.
    """

    column: str
    metric: Metric
    slices: tuple[Slice, ...]
    worst: str = ""
    without: int = 0


@dataclass(frozen=True)
class Report:
    """All test metrics of one run.

    If `multilabel`, every label is a yes or no: `accuracy` is the share of right answers over all items and labels,
    `exact` the share of items with all labels right, `auc` the mean over the labels; there is no confusion matrix.
    `holdout_uses` lists the uses of the test items up to this report, itself included; () if none were recorded.
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
    holdout_uses: tuple[HoldoutUse, ...] = ()

    @property
    def metric(self) -> Metric:
        """The name of the metric in `score`."""
        return metric(self.multilabel)

    @property
    def score(self) -> Estimate | None:
        """The headline metric: accuracy, or for multilabel data the mean AUC (None if undefined)."""
        return self.auc if self.multilabel else self.accuracy


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy (or the curve's metric) on the test items after training on `labels` items; one score a seed."""

    labels: int
    scores: tuple[float, ...]
    accuracy: Estimate


@dataclass(frozen=True)
class CurveArm:
    """One line of the data-efficiency curve; `budget` says what it was given, and is written on the chart."""

    name: Literal["transfer", "scratch", "classical"]
    title: str
    budget: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Curve:
    """The data-efficiency curve: the `metric` over nested label counts, on one fixed test set."""

    fingerprint: str
    backbone: str
    n_test: int
    arms: tuple[CurveArm, ...]
    metric: Metric = "accuracy"

    def arm(self, name: str) -> CurveArm | None:
        """Return the arm of that name, or None if it was not measured."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def whole(self, name: str, count: int) -> bool:
        """Return whether the arm of that name is complete, with `count` points."""
        arm = self.arm(name)
        return arm is not None and len(arm.points) >= count

    def with_arm(self, arm: CurveArm) -> "Curve":
        """Return the curve with `arm` added, or in place of the arm of the same name."""
        order = [old.name for old in self.arms]
        if arm.name not in order:
            return replace(self, arms=(*self.arms, arm))
        return replace(self, arms=tuple(arm if old.name == arm.name else old for old in self.arms))


@dataclass(frozen=True)
class LayerScore:
    """Validation score and mean cross-entropy after training the head and one layer group ("" for none)."""

    group: str
    accuracy: Estimate
    loss: float


@dataclass(frozen=True)
class LayerSweep:
    """The value of training each layer group alone, together with the head, for `steps` steps.

    `baseline` is the head alone on the same items; `groups` holds the groups measured so far, of `total`. If
    `multilabel`, the score is the share of right answers, each label being a yes or no.
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
        """What the scores are, in words."""
        return "right answers, each label yes or no" if self.multilabel else "accuracy"
