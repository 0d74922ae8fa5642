"""The report: everything measured of one trained model, on a test set that is touched here and only here."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.evaluation import metrics
from tl_core.evaluation.values import Comparison, Prediction, Report
from tl_core.plan import TransferPlan
from tl_core.types import Estimate, Finding

SMALL_TEST = 30
PACKAGES = (
    *("torch", "torchvision", "timm", "transformers", "tokenizers"),
    *("safetensors", "scikit-learn", "numpy", "pillow"),
)


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
    truth, predicted = dataset.labels[rows], probabilities_NC.argmax(axis=1)
    confusion = metrics.confusion_matrix(truth, predicted, len(dataset.classes))
    names = dataset.items["id"].to_numpy()
    accuracy = metrics.accuracy(truth, predicted)
    return Report(
        run=run,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        plan=plan,
        accuracy=accuracy,
        macro_f1=metrics.macro_f1(confusion),
        per_class=metrics.per_class(confusion, dataset.classes),
        confusion=tuple(tuple(int(cell) for cell in line) for line in confusion),
        predictions=tuple(
            Prediction(int(row), str(names[row]), int(label), int(found), tuple(round(float(p), 6) for p in chances))
            for row, label, found, chances in zip(rows, truth, predicted, probabilities_NC, strict=True)
        ),
        validation=dict(validation),
        comparisons=tuple(comparisons),
        findings=tuple(findings(confusion, dataset.classes, accuracy)),
        environment=environment(),
        auc=metrics.auc(truth, probabilities_NC),
        log_loss=metrics.log_loss(truth, probabilities_NC),
    )


def errors(report: Report) -> list[Prediction]:
    """Return the wrongly classified test items, the most confident first."""
    wrong = [item for item in report.predictions if item.truth != item.predicted]
    return sorted(wrong, key=lambda item: -item.probabilities[item.predicted])


def findings(confusion: np.ndarray, classes: Sequence[str], accuracy: Estimate) -> list[Finding]:
    """Return what a person should know before trusting the numbers of a confusion matrix `[C, C]`."""
    found = []
    there, said = confusion.sum(axis=1), confusion.sum(axis=0)
    if accuracy.n < SMALL_TEST:
        span = f"between {accuracy.low:.0%} and {accuracy.high:.0%}"
        found.append(
            Finding(
                "warn",
                "small_test",
                f"The test set has only {accuracy.n} item{'s' * (accuracy.n != 1)}: the true accuracy may lie {span}.",
                "Label more items, or give the test part a larger share, to know it better.",
            )
        )
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
