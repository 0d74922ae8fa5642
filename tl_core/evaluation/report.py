"""The report: everything measured of one trained model, on a test set that is touched here and only here."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.evaluation import metrics, multilabel
from tl_core.evaluation.results import HALF, Comparison, Prediction, Report
from tl_core.evaluation.slices import measure_slices, slice_findings
from tl_core.plan import TransferPlan
from tl_core.statistics.roc import mean_area
from tl_core.types import Estimate, Finding

SMALL_TEST = 30
PACKAGES = (
    *("torch", "torchvision", "timm", "transformers", "tokenizers"),
    *("safetensors", "scikit-learn", "numpy", "pillow"),
)


IN_TRAIN = "test_in_train"
"""Code of the finding that test items were learned from."""


def make_report(
    run: str,
    dataset: Dataset,
    plan: TransferPlan,
    probabilities_NC: np.ndarray,
    validation: Mapping[str, float],
    comparisons: Sequence[Comparison] = (),
) -> Report:
    """Return the report of a model from its probabilities `[N, C]` of the test rows, in their order.

    Raises DataError where the split has no test items.
    """
    rows = dataset.rows("test")
    if len(rows) == 0:
        raise DataError(
            "There is no test item, so nothing can be measured.", "Give the split a test part, or add labelled items."
        )
    truth, names = dataset.truth[rows], dataset.items["id"].to_numpy()
    found = probabilities_NC if dataset.multilabel else probabilities_NC.argmax(axis=1)
    slices = measure_slices(dataset, rows, truth, found)
    numbers, told = figures(dataset.classes, truth, probabilities_NC)
    probabilities = [rounded(each) for each in probabilities_NC]
    said = (
        [(-1, -1, tuple(np.flatnonzero(each).tolist())) for each in truth]
        if dataset.multilabel
        else ([(int(label), int(answer), None) for label, answer in zip(truth, found, strict=True)])
    )
    return Report(
        run=run,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        plan=plan,
        predictions=tuple(
            Prediction(int(row), str(names[row]), label, answer, each, truths)
            for row, each, (label, answer, truths) in zip(rows, probabilities, said, strict=True)
        ),
        validation=dict(validation),
        comparisons=tuple(comparisons),
        findings=(*_learned_from(dataset), *told, *slice_findings(slices)),
        environment=environment(),
        multilabel=dataset.multilabel,
        slices=slices,
        **numbers,
    )


def _learned_from(dataset: Dataset) -> list[Finding]:
    """Return whether copies of test items were learned from; a split that the source names can have such."""
    digests = dataset.items["digest"]
    tests = digests.iloc[dataset.rows("test")]
    n = int(tests.isin(digests.iloc[dataset.rows("train", "validation")]).sum())
    if not n:
        return []
    message = f"{n:,} of the {len(tests):,} test items are also among those that were learned from, so what is measured"
    hint = "Leave the copies out of what is learned from, or let Graft make the split."
    return [Finding("warn", IN_TRAIN, f"{message} looks better than it is.", hint)]


def rounded(probabilities_C: np.ndarray) -> tuple[float, ...]:
    """Return the probabilities of one item as a report keeps them."""
    return tuple(round(float(chance), 6) for chance in probabilities_C)


def figures(
    classes: Sequence[str], truth: np.ndarray, probabilities_NC: np.ndarray
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the figures of a report by name, and what should be known of them.

    `truth` holds classes `[N]`, or where items may have several labels targets `[N, C]`.
    """
    return (_measured if truth.ndim == 1 else _measured_several)(classes, truth, probabilities_NC)


def _measured(
    classes: Sequence[str], truth_N: np.ndarray, probabilities_NC: np.ndarray
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the figures of a report, and what should be known of them, where each item has one label."""
    predicted = probabilities_NC.argmax(axis=1)
    confusion = metrics.confusion_matrix(truth_N, predicted, len(classes))
    accuracy = metrics.accuracy(truth_N, predicted)
    numbers = {
        "accuracy": accuracy,
        "macro_f1": metrics.macro_f1(confusion),
        "per_class": metrics.per_class(confusion, classes),
        "confusion": tuple(tuple(int(cell) for cell in line) for line in confusion),
        "auc": metrics.auc(truth_N, probabilities_NC),
        "log_loss": metrics.log_loss(truth_N, probabilities_NC),
    }
    return numbers, findings(confusion, classes, accuracy)


def _measured_several(
    classes: Sequence[str], truth_NK: np.ndarray, probabilities_NK: np.ndarray
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the same where items may have several labels."""
    macro, micro = multilabel.f1(truth_NK, probabilities_NK)
    numbers = {
        "accuracy": multilabel.accuracy(truth_NK, probabilities_NK),
        "macro_f1": macro,
        "per_class": multilabel.per_label(truth_NK, probabilities_NK, classes),
        "confusion": (),
        "auc": mean_area(truth_NK, probabilities_NK),
        "log_loss": multilabel.log_loss(truth_NK, probabilities_NK),
        "micro_f1": micro,
        "exact": multilabel.exact(truth_NK, probabilities_NK),
    }
    return numbers, findings_several(classes, truth_NK, probabilities_NK)


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
    """Return the wrongly classified test items, the most confident first."""
    return sorted((item for item in report.predictions if not item.right), key=lambda item: -item.confidence)


def findings(confusion: np.ndarray, classes: Sequence[str], accuracy: Estimate) -> list[Finding]:
    """Return what a person should know before trusting the numbers of a confusion matrix `[C, C]`."""
    found = _small(accuracy, "accuracy")
    there, said = confusion.sum(axis=1), confusion.sum(axis=0)
    if absent := [name for name, count in zip(classes, there, strict=True) if count == 0]:
        found.append(
            Finding(
                "warn",
                "class_untested",
                f"The test set has no item of {_listed(absent)}: nothing is known about how well the model finds them.",
                "Add labelled items of these classes.",
                tuple(absent),
            )
        )
    if never := [name for name, t, s in zip(classes, there, said, strict=True) if t > 0 and s == 0]:
        found.append(
            Finding(
                "warn",
                "class_never_predicted",
                f"The model never answered {_listed(never)} on the test set.",
                "Look at the confusion matrix: these items go to another class. More examples of them usually help.",
                tuple(never),
            )
        )
    largest = float(there.max() / there.sum())
    if accuracy.low <= largest and len(classes) > 1:
        name = classes[int(there.argmax())]
        found.append(
            Finding(
                "warn",
                "no_better_than_largest",
                f"Always answering {name!r} would be right for {largest:.0%} of the test items; that the model does "
                "better than this is not shown.",
                "Check the labels, add items, or try another backbone or strategy.",
            )
        )
    return found


def findings_several(classes: Sequence[str], truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> list[Finding]:
    """Return what a person should know before trusting the numbers of items with several labels."""
    area = mean_area(truth_NK, probabilities_NK)
    there, said = (truth_NK > HALF).sum(axis=0), (probabilities_NK > HALF).sum(axis=0)
    found = _small(multilabel.accuracy(truth_NK, probabilities_NK), "share of right answers")
    every = {"No test item has": there == 0, "Every test item has": there == len(truth_NK)}
    for says, mask in every.items():
        if absent := [name for name, there_is_none in zip(classes, mask, strict=True) if there_is_none]:
            message = f"{says} the label {_listed(absent)}: how well the model tells who has it cannot be measured."
            hint = "Add labelled items, or give the test part a larger share, so that some have it and some do not."
            found.append(Finding("warn", "label_untested", message, hint, tuple(absent)))
    if never := [name for name, t, s in zip(classes, there, said, strict=True) if t > 0 and s == 0]:
        message = f"The model never gave any test item the label {_listed(never)}: no probability was above one half."
        hint = "Rare labels often stay below it: look at their AUC, and use the probabilities, or weigh labels equally."
        found.append(Finding("warn", "class_never_predicted", message, hint, tuple(never)))
    if area is not None and area.low <= HALF:
        message = "That the model ranks items with a label above those without it better than chance is not shown."
        hint = "Check the labels, add items, or try another backbone or strategy."
        found.append(Finding("warn", "no_better_than_chance", message, hint))
    return found


def _small(accuracy: Estimate, what: str) -> list[Finding]:
    if accuracy.n >= SMALL_TEST:
        return []
    span = f"between {accuracy.low:.0%} and {accuracy.high:.0%}"
    message = f"The test set has only {accuracy.n} item{'s' * (accuracy.n != 1)}: the true {what} may lie {span}."
    hint = "Label more items, or give the test part a larger share, to know it better."
    return [Finding("warn", "small_test", message, hint)]


def environment() -> dict[str, str]:
    """Return the versions that the numbers were made with."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _listed(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names[:5]]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(quoted) + more
