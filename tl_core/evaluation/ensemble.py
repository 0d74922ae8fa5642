"""Measure an ensemble: the mean of several models' probabilities. (export/ensemble.py writes one to disk.)"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tl_core.errors import DataError
from tl_core.evaluation.holdout import merged_uses
from tl_core.evaluation.metrics import accuracy
from tl_core.evaluation.report import IN_TRAIN, environment, figures, rounded, true_and_predicted
from tl_core.evaluation.results import Report
from tl_core.statistics.bootstrap import paired_difference
from tl_core.statistics.roc import mean_auc, mean_auc_difference
from tl_core.types import Estimate, Finding

CODE = "ensemble"
HINT = "Predicting takes both networks: “Use it anywhere” offers the two as one model."


def ensemble_report(reports: Sequence[Report]) -> Report:
    """Return the report of the ensemble of several models, computed from their own reports.

    Its plan is the first model's, with the strategy named "ensemble"; subgroups are not measured. Raises DataError if
    the models have different classes, or were measured on different test items.
    """
    first = reports[0]
    if any((other.classes, other.multilabel) != (first.classes, first.multilabel) for other in reports):
        raise DataError(
            "These models have different classes, so their predictions cannot be averaged.",
            "Train them on the same data.",
        )
    if any(holdout_key(other) != holdout_key(first) for other in reports):
        raise DataError(
            "These models were measured on different test items, so they cannot be measured together.",
            "Train them on the same data with the same split.",
        )
    probabilities_NC = np.mean([[item.probabilities for item in report.predictions] for report in reports], axis=0)
    metrics, findings = figures(first.classes, true_and_predicted(first).true, probabilities_NC)
    predicted_N = [-1] * len(probabilities_NC) if first.multilabel else probabilities_NC.argmax(axis=1).tolist()
    rows = zip(first.predictions, predicted_N, map(rounded, probabilities_NC), strict=True)
    return replace(
        first,
        run="",
        plan=replace(first.plan, strategy=CODE, why=()),
        predictions=tuple(replace(item, predicted=label, probabilities=row) for item, label, row in rows),
        validation={},
        comparisons=(),
        findings=(*(finding for finding in first.findings if finding.code == IN_TRAIN), *findings),
        environment=environment(),
        slices=None,
        holdout_uses=merged_uses(reports),
        **metrics,
    )


def holdout_key(report: Report) -> tuple[str, list[tuple[int, tuple[int, ...]]]]:
    """Return a key that is equal for two reports exactly if they share test items and labels."""
    return report.fingerprint, [(item.row, item.labels) for item in report.predictions]


def ensemble_finding(report: Report, other: Report) -> Finding:
    """Return the score of the mean of two models' probabilities, against the first model alone.

    Nothing is chosen by it. Raises ValueError if the two were measured on different items.
    """
    if [item.row for item in report.predictions] != [item.row for item in other.predictions]:
        raise ValueError("an ensemble needs the same items")
    first, second = (np.array([item.probabilities for item in its.predictions]) for its in (report, other))
    if report.multilabel:
        return _areas(true_and_predicted(report).true, first, (first + second) / 2)
    truth_N = np.array([item.truth for item in report.predictions])
    alone_N, both_N = first.argmax(axis=1), ((first + second) / 2).argmax(axis=1)
    gain, together = paired_difference(both_N == truth_N, alone_N == truth_N), accuracy(truth_N, both_N)
    message = (
        f"Averaging the probabilities of this model and the one from scratch: right {together.value:.1%} of the time "
        f"({together.low:.1%} to {together.high:.1%}), {100 * gain.value:+.1f} points against this model alone "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}). {_worth(gain)}"
    )
    return Finding("info", CODE, message, HINT)


def _worth(gain: Estimate) -> str:
    if gain.low > 0:
        return "Your test items show that the two together are better."
    if gain.high < 0:
        return "Your test items show that this model alone is better."
    return "Your test items do not show that the second network helps: this model alone is the simpler choice."


def _areas(truth_NK: np.ndarray, alone_NK: np.ndarray, both_NK: np.ndarray) -> Finding:
    """Return the finding for multilabel data, by the mean AUC."""
    gain, together = mean_auc_difference(truth_NK, both_NK, alone_NK), mean_auc(truth_NK, both_NK)
    message = "Averaging the probabilities of this model and the one from scratch: no label can be measured."
    if gain is not None and together is not None:
        message = (
            f"Averaging the probabilities of this model and the one from scratch: mean AUC {together.value:.1%} "
            f"({together.low:.1%} to {together.high:.1%}), {100 * gain.value:+.1f} points against this model alone "
            f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}). {_worth(gain)}"
        )
    return Finding("info", CODE, message, HINT)
