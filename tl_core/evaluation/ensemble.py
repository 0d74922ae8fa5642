"""The ensemble of a transferred model and the one from scratch: the mean of their probabilities."""

import numpy as np

from tl_core.evaluation.compare import paired_difference
from tl_core.evaluation.metrics import accuracy
from tl_core.evaluation.report import answers
from tl_core.evaluation.values import Report
from tl_core.roc import mean_area, mean_gain
from tl_core.types import Finding

CODE = "ensemble"


def ensemble(report: Report, other: Report) -> Finding:
    """Return what the mean of two models' probabilities scores beside the first of them, on the same test items.

    Nothing is chosen by it, and it is not exported: a bundle holds one network. Raises ValueError where the two
    were measured on different items.
    """
    if [item.row for item in report.predictions] != [item.row for item in other.predictions]:
        raise ValueError("an ensemble needs the same items")
    first, second = (np.array([item.probabilities for item in one.predictions]) for one in (report, other))
    if report.multilabel:
        return _areas(answers(report)[0], first, (first + second) / 2)
    truth_N = np.array([item.truth for item in report.predictions])
    alone_N, both_N = first.argmax(axis=1), ((first + second) / 2).argmax(axis=1)
    gain, found = paired_difference(both_N == truth_N, alone_N == truth_N), accuracy(truth_N, both_N)
    message = (
        f"Averaging the probabilities of this model and the one from scratch: right {found.value:.1%} of the time "
        f"({found.low:.1%} to {found.high:.1%}), {100 * gain.value:+.1f} points against this model alone "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
    )
    return Finding("info", CODE, message, "It takes both networks to predict; the bundle holds this model alone.")


def _areas(truth_NK: np.ndarray, alone_NK: np.ndarray, both_NK: np.ndarray) -> Finding:
    """Return the same where items may have several labels, by the mean AUC."""
    gain, found = mean_gain(truth_NK, both_NK, alone_NK), mean_area(truth_NK, both_NK)
    message = "Averaging the probabilities of this model and the one from scratch: no label can be measured."
    if gain is not None and found is not None:
        message = (
            f"Averaging the probabilities of this model and the one from scratch: mean AUC {found.value:.3f} "
            f"({found.low:.3f} to {found.high:.3f}), {gain.value:+.3f} against this model alone "
            f"({gain.low:+.3f} to {gain.high:+.3f})."
        )
    return Finding("info", CODE, message, "It takes both networks to predict; the bundle holds this model alone.")
