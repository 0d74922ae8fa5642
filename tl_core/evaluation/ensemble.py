"""The ensemble of trained models, as a rule a transferred one and the one from scratch: the mean of probabilities."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tl_core.errors import DataError
from tl_core.evaluation.metrics import accuracy
from tl_core.evaluation.report import IN_TRAIN, environment, figures, rounded, true_and_predicted
from tl_core.evaluation.results import Report
from tl_core.statistics.bootstrap import paired_difference
from tl_core.statistics.roc import mean_area, mean_gain
from tl_core.types import Estimate, Finding

CODE = "ensemble"
HINT = "It takes both networks to predict: “Use it anywhere” offers the two as one model."


def ensemble_report(reports: Sequence[Report]) -> Report:
    """Return the report of several models whose probabilities are averaged, from theirs, on the same test items.

    Its plan is that of the first, under the name "ensemble"; subgroups are not measured. Raises DataError where the
    models do not answer with the same classes, or were measured on different items.
    """
    first = reports[0]
    if any((other.classes, other.multilabel) != (first.classes, first.multilabel) for other in reports):
        raise DataError(
            "These models do not tell the same classes apart, so their answers cannot be averaged.",
            "Train them on the same data.",
        )
    if any(holdout_key(other) != holdout_key(first) for other in reports):
        raise DataError(
            "These models were measured on different test items, so nothing could be said of them together.",
            "Train them on the same data with the same split.",
        )
    probabilities_NC = np.mean([[item.probabilities for item in one.predictions] for one in reports], axis=0)
    numbers, told = figures(first.classes, true_and_predicted(first).true, probabilities_NC)
    said = [-1] * len(probabilities_NC) if first.multilabel else probabilities_NC.argmax(axis=1).tolist()
    made = zip(first.predictions, said, map(rounded, probabilities_NC), strict=True)
    return replace(
        first,
        run="",
        plan=replace(first.plan, strategy=CODE, why=()),
        predictions=tuple(replace(item, predicted=answer, probabilities=each) for item, answer, each in made),
        validation={},
        comparisons=(),
        findings=(*(each for each in first.findings if each.code == IN_TRAIN), *told),
        environment=environment(),
        slices=None,
        **numbers,
    )


def holdout_key(report: Report) -> tuple[str, list[tuple[int, tuple[int, ...]]]]:
    """Return what tells the test items of a report and their labels from those of others."""
    return report.fingerprint, [(item.row, item.labels) for item in report.predictions]


def ensemble_finding(report: Report, other: Report) -> Finding:
    """Return what the mean of two models' probabilities scores beside the first of them, on the same test items.

    Nothing is chosen by it. Raises ValueError where the two were measured on different items.
    """
    if [item.row for item in report.predictions] != [item.row for item in other.predictions]:
        raise ValueError("an ensemble needs the same items")
    first, second = (np.array([item.probabilities for item in one.predictions]) for one in (report, other))
    if report.multilabel:
        return _areas(true_and_predicted(report).true, first, (first + second) / 2)
    truth_N = np.array([item.truth for item in report.predictions])
    alone_N, both_N = first.argmax(axis=1), ((first + second) / 2).argmax(axis=1)
    gain, found = paired_difference(both_N == truth_N, alone_N == truth_N), accuracy(truth_N, both_N)
    message = (
        f"Averaging the probabilities of this model and the one from scratch: right {found.value:.1%} of the time "
        f"({found.low:.1%} to {found.high:.1%}), {100 * gain.value:+.1f} points against this model alone "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}). {_worth(gain)}"
    )
    return Finding("info", CODE, message, HINT)


def _worth(gain: Estimate) -> str:
    if gain.low > 0:
        return "Your test items show that the two together are better."
    if gain.high < 0:
        return "Your test items show that this model alone is better."
    return "That does not show that the second network is worth having: this model alone is the simpler choice."


def _areas(truth_NK: np.ndarray, alone_NK: np.ndarray, both_NK: np.ndarray) -> Finding:
    """Return the same where items may have several labels, by the mean AUC."""
    gain, found = mean_gain(truth_NK, both_NK, alone_NK), mean_area(truth_NK, both_NK)
    message = "Averaging the probabilities of this model and the one from scratch: no label can be measured."
    if gain is not None and found is not None:
        message = (
            f"Averaging the probabilities of this model and the one from scratch: mean AUC {found.value:.1%} "
            f"({found.low:.1%} to {found.high:.1%}), {100 * gain.value:+.1f} points against this model alone "
            f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}). {_worth(gain)}"
        )
    return Finding("info", CODE, message, HINT)
