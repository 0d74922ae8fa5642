"""Build the report of one trained model: all its test metrics, and what to know before trusting them."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.guesses.origin import guess_findings
from tl_core.errors import DataError
from tl_core.evaluation import metrics, multilabel
from tl_core.evaluation.results import HALF, Comparison, Prediction, Report
from tl_core.evaluation.slices import measure_slices, slice_findings
from tl_core.plan import TransferPlan
from tl_core.statistics.roc import mean_auc
from tl_core.types import Estimate, Finding

SMALL_TEST = 30
PACKAGES = (
    *("torch", "torchvision", "timm", "transformers", "tokenizers"),
    *("safetensors", "scikit-learn", "numpy", "pillow"),
)

IN_TRAIN = "test_in_train"
"""Code of the finding that copies of test items were in the training data."""


def make_report(
    run: str,
    dataset: Dataset,
    plan: TransferPlan,
    probabilities_NC: np.ndarray,
    validation: Mapping[str, float],
    comparisons: Sequence[Comparison] = (),
) -> Report:
    """Return the report of a model from its probabilities `[N, C]` of the test rows, in order.

    Raises DataError if the split has no test items.
    """
    rows = dataset.rows("test")
    if len(rows) == 0:
        raise DataError(
            "There is no test item, so nothing can be measured.", "Give the split a test part, or add labelled items."
        )
    truth = dataset.truth[rows]
    predicted = probabilities_NC if dataset.multilabel else probabilities_NC.argmax(axis=1)
    slices = measure_slices(dataset, rows, truth, predicted)
    fields, field_findings = figures(dataset.classes, truth, probabilities_NC)
    return Report(
        run=run,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        plan=plan,
        predictions=_predictions(dataset, rows, truth, probabilities_NC),
        validation=dict(validation),
        comparisons=tuple(comparisons),
        findings=(*_test_in_train(dataset), *guess_findings(dataset), *field_findings, *slice_findings(slices)),
        environment=environment(),
        multilabel=dataset.multilabel,
        slices=slices,
        **fields,
    )


def _predictions(
    dataset: Dataset, rows: np.ndarray, truth: np.ndarray, probabilities_NC: np.ndarray
) -> tuple[Prediction, ...]:
    names = dataset.items["id"].to_numpy()
    predictions = []
    for row, target, probabilities in zip(rows, truth, probabilities_NC, strict=True):
        item = int(row), str(names[row])
        if dataset.multilabel:
            labels = tuple(np.flatnonzero(target).tolist())
            predictions.append(Prediction(*item, -1, -1, rounded(probabilities), labels))
        else:
            predictions.append(Prediction(*item, int(target), int(probabilities.argmax()), rounded(probabilities)))
    return tuple(predictions)


def _test_in_train(dataset: Dataset) -> list[Finding]:
    """Warn if copies of test items are in the training data, as can happen with a split given by the source."""
    digests = dataset.items["digest"]
    test_digests = digests.iloc[dataset.rows("test")]
    n = int(test_digests.isin(digests.iloc[dataset.rows("train", "validation")]).sum())
    if not n:
        return []
    message = (
        f"{n:,} of the {len(test_digests):,} test items are also in the training or validation data, so the results "
        "look better than they are."
    )
    hint = "Leave the copies out of the training and validation data, or let Graft make the split."
    return [Finding("warn", IN_TRAIN, message, hint)]


def rounded(probabilities_C: np.ndarray) -> tuple[float, ...]:
    """Return the probabilities of one item, rounded as a report stores them."""
    return tuple(round(float(probability), 6) for probability in probabilities_C)


def figures(
    classes: Sequence[str], truth: np.ndarray, probabilities_NC: np.ndarray
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the metric fields of a report by name, and the findings about them.

    `truth` holds classes `[N]`, or multilabel targets `[N, C]`.
    """
    return (_single_label if truth.ndim == 1 else _multilabel)(classes, truth, probabilities_NC)


def _single_label(
    classes: Sequence[str], truth_N: np.ndarray, probabilities_NC: np.ndarray
) -> tuple[dict[str, Any], list[Finding]]:
    predicted = probabilities_NC.argmax(axis=1)
    confusion = metrics.confusion_matrix(truth_N, predicted, len(classes))
    accuracy = metrics.accuracy(truth_N, predicted)
    fields = {
        "accuracy": accuracy,
        "macro_f1": metrics.macro_f1(confusion),
        "per_class": metrics.per_class(confusion, classes),
        "confusion": tuple(tuple(int(cell) for cell in line) for line in confusion),
        "auc": metrics.auc(truth_N, probabilities_NC),
        "log_loss": metrics.log_loss(truth_N, probabilities_NC),
    }
    return fields, single_label_findings(confusion, classes, accuracy)


def _multilabel(
    classes: Sequence[str], truth_NK: np.ndarray, probabilities_NK: np.ndarray
) -> tuple[dict[str, Any], list[Finding]]:
    macro, micro = multilabel.f1(truth_NK, probabilities_NK)
    fields = {
        "accuracy": multilabel.accuracy(truth_NK, probabilities_NK),
        "macro_f1": macro,
        "per_class": multilabel.per_label(truth_NK, probabilities_NK, classes),
        "confusion": (),
        "auc": mean_auc(truth_NK, probabilities_NK),
        "log_loss": multilabel.log_loss(truth_NK, probabilities_NK),
        "micro_f1": micro,
        "exact": multilabel.exact(truth_NK, probabilities_NK),
    }
    return fields, multilabel_findings(classes, truth_NK, probabilities_NK)


class TrueAndPredicted(NamedTuple):
    """The test items' classes `[N]`, true and predicted; with several labels, targets and probabilities `[N, K]`."""

    true: np.ndarray
    predicted: np.ndarray


def true_and_predicted(report: Report) -> TrueAndPredicted:
    """Return the true and the predicted values of a report's test items."""
    items = report.predictions
    if not report.multilabel:
        return TrueAndPredicted(np.array([item.truth for item in items]), np.array([item.predicted for item in items]))
    targets_NK = np.zeros((len(items), len(report.classes)), dtype=np.float32)
    for row, item in enumerate(items):
        targets_NK[row, list(item.labels)] = 1
    return TrueAndPredicted(targets_NK, np.array([item.probabilities for item in items]))


def errors(report: Report) -> list[Prediction]:
    """Return the misclassified test items, the most confident first."""
    return sorted((item for item in report.predictions if not item.right), key=lambda item: -item.confidence)


def single_label_findings(confusion: np.ndarray, classes: Sequence[str], accuracy: Estimate) -> list[Finding]:
    """Return what a person should know before trusting the metrics of a confusion matrix `[C, C]`."""
    warnings = _small(accuracy, "accuracy")
    true_C, predicted_C = confusion.sum(axis=1), confusion.sum(axis=0)
    if absent := [name for name, count in zip(classes, true_C, strict=True) if count == 0]:
        warnings.append(
            Finding(
                "warn",
                "class_untested",
                f"The test set has no item of {_listed(absent)}: nothing is known about how well the model finds them.",
                "Add labelled items of these classes.",
                tuple(absent),
            )
        )
    if never := [name for name, t, p in zip(classes, true_C, predicted_C, strict=True) if t > 0 and p == 0]:
        warnings.append(
            Finding(
                "warn",
                "class_never_predicted",
                f"The model never predicted {_listed(never)} on the test set.",
                "Look at the confusion matrix: these items go to another class. More examples of them usually help.",
                tuple(never),
            )
        )
    largest = float(true_C.max() / true_C.sum())
    if accuracy.low <= largest and len(classes) > 1:
        name = classes[int(true_C.argmax())]
        warnings.append(
            Finding(
                "warn",
                "no_better_than_largest",
                f"Always predicting {name!r} would be right for {largest:.0%} of the test items. It is not shown that "
                "the model does better.",
                "Check the labels, add items, or try another backbone or strategy.",
            )
        )
    return warnings


def multilabel_findings(classes: Sequence[str], truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> list[Finding]:
    """Return what a person should know before trusting multilabel metrics."""
    area = mean_auc(truth_NK, probabilities_NK)
    true_K, predicted_K = (truth_NK > HALF).sum(axis=0), (probabilities_NK > HALF).sum(axis=0)
    warnings = _small(multilabel.accuracy(truth_NK, probabilities_NK), "share of right answers")
    unmeasurable = {"No test item has": true_K == 0, "Every test item has": true_K == len(truth_NK)}
    for which, mask in unmeasurable.items():
        if names := [name for name, constant in zip(classes, mask, strict=True) if constant]:
            message = f"{which} the label {_listed(names)}: how well the model finds this label cannot be measured."
            hint = "Add labelled items, or give the test part a larger share, so that some have it and some do not."
            warnings.append(Finding("warn", "label_untested", message, hint, tuple(names)))
    if never := [name for name, t, p in zip(classes, true_K, predicted_K, strict=True) if t > 0 and p == 0]:
        message = f"The model never gave any test item the label {_listed(never)}: no probability was above 0.5."
        hint = "Rare labels often stay below it. Look at their AUC, and use the probabilities, or weigh labels equally."
        warnings.append(Finding("warn", "class_never_predicted", message, hint, tuple(never)))
    if area is not None and area.low <= HALF:
        message = "It is not shown that the model ranks items with a label above items without it better than chance."
        hint = "Check the labels, add items, or try another backbone or strategy."
        warnings.append(Finding("warn", "no_better_than_chance", message, hint))
    return warnings


def _small(accuracy: Estimate, what: str) -> list[Finding]:
    if accuracy.n >= SMALL_TEST:
        return []
    span = f"between {accuracy.low:.0%} and {accuracy.high:.0%}"
    message = f"The test set has only {accuracy.n} item{'s' * (accuracy.n != 1)}: the true {what} may lie {span}."
    hint = "Label more items, or give the test part a larger share, to know it better."
    return [Finding("warn", "small_test", message, hint)]


def environment() -> dict[str, str]:
    """Return the versions of Python and the packages that computed the numbers."""
    versions = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _listed(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names[:5]]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(quoted) + more
