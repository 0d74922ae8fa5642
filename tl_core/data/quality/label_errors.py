"""Label errors, by confident learning (Northcutt et al. 2021, doi:10.1613/jair.1.12125) with cleanlab.

Legend: N items, K classes.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.types import Finding

UNLIKELY = 0.1
"""Probability of the given label below which it is suspected, from a calibrated model that had not seen the item.

Measured on the textile sample, which the model classifies with 76 % accuracy: confident learning alone suspects 22 % of
the labels.
"""
CODE, TEST_CODE = "label-suspect", "label-suspect-test"


@dataclass(frozen=True)
class LabelIssues:
    """Rows whose label looks wrong, worst first; label `quality` from 0 (surely wrong) to 1; and a suggested label."""

    rows: np.ndarray
    quality: np.ndarray
    suggested: tuple[str | tuple[str, ...], ...]


def find_label_errors(check_input: CheckInput, among: np.ndarray) -> LabelIssues:
    """Return which of the items `among` (bool `[N]`) look wrongly labelled, the worst first."""
    probabilities = check_input.probabilities
    assert probabilities is not None
    rows = np.flatnonzero(among & np.isfinite(probabilities).all(axis=1))
    if len(rows) < 2:
        return LabelIssues(rows[:0], np.zeros(0), ())
    predicted = probabilities[rows]
    check = _multilabel_errors if check_input.dataset.multilabel else _single_label_errors
    return check(check_input, rows, predicted)


def _single_label_errors(check_input: CheckInput, rows: np.ndarray, predicted: np.ndarray) -> LabelIssues:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels = check_input.dataset.labels[rows]
    present, given = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return LabelIssues(rows[:0], np.zeros(0), ())
    seen = predicted[:, present] / predicted[:, present].sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")  # about classes of few items
        wrong = find_label_issues(given, seen, filter_by="prune_by_class", n_jobs=1)
    quality = get_label_quality_scores(given, seen)
    other = present[seen.argmax(axis=1)]
    sure = (predicted[np.arange(len(rows)), labels] < UNLIKELY) & (seen.max(axis=1) > 0.5)
    chosen = np.flatnonzero(wrong & sure & (other != labels))
    chosen = chosen[np.argsort(quality[chosen], kind="stable")]
    names = tuple(check_input.dataset.classes[label] for label in other[chosen].tolist())
    return LabelIssues(rows[chosen], quality[chosen], names)


def _multilabel_errors(check_input: CheckInput, rows: np.ndarray, predicted: np.ndarray) -> LabelIssues:
    from cleanlab.multilabel_classification import get_label_quality_scores
    from cleanlab.multilabel_classification.filter import find_label_issues

    dataset = check_input.dataset
    targets = dataset.targets[rows].astype(bool)
    given = [np.flatnonzero(row).tolist() for row in targets]
    wrong = find_label_issues(given, predicted, n_jobs=1)
    quality = get_label_quality_scores(given, predicted)
    likely = np.where(targets, predicted >= UNLIKELY, predicted > 1 - UNLIKELY)
    chosen = np.flatnonzero(wrong & (likely != targets).any(axis=1))
    chosen = chosen[np.argsort(quality[chosen], kind="stable")]
    names = tuple(tuple(dataset.classes[k] for k in np.flatnonzero(likely[i]).tolist()) for i in chosen.tolist())
    return LabelIssues(rows[chosen], quality[chosen], names)


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return suspected label errors: in train and validation, and separately in the test set."""
    learned = _undecided(check_input, find_label_errors(check_input, check_input.inside & ~check_input.tested), CODE)
    tested = _undecided(check_input, find_label_errors(check_input, check_input.inside & check_input.tested), TEST_CODE)
    suspicions = [_learned(check_input, learned)] if len(learned.rows) else []
    return suspicions + ([_tested(check_input, tested)] if len(tested.rows) else [])


def _undecided(check_input: CheckInput, issues: LabelIssues, code: str) -> LabelIssues:
    places = np.flatnonzero(check_input.open(code)[issues.rows])
    return LabelIssues(issues.rows[places], issues.quality[places], tuple(issues.suggested[i] for i in places.tolist()))


def _agreement(check_input: CheckInput) -> float:
    """Return the share of the train and validation labels that the model predicts too."""
    dataset, predicted = check_input.dataset, check_input.probabilities
    assert predicted is not None
    rows = np.flatnonzero(check_input.inside & ~check_input.tested & np.isfinite(predicted).all(axis=1))
    if dataset.multilabel:
        return float(((predicted[rows] > 0.5) == (dataset.targets[rows] > 0)).mean())
    return float((predicted[rows].argmax(axis=1) == dataset.labels[rows]).mean())


def _learned(check_input: CheckInput, issues: LabelIssues) -> Suspicion:
    one, many = NOUNS[check_input.dataset.modality]
    n = int((check_input.inside & ~check_input.tested).sum())
    finding = Finding(
        "warn",
        CODE,
        f"{count(len(issues.rows), f'{one} seems', f'{many} seem')} to have the wrong label, of {n:,} that were "
        f"checked: a model that had not seen {'it' if len(issues.rows) == 1 else 'them'} is sure of another. It agrees "
        f"with {_agreement(check_input):.0%} of your labels; where that share is low, some of these labels are right, "
        "and many wrong ones were missed.",
        f"Look at {'it' if len(issues.rows) == 1 else 'them, the surest first'}: take the suggested label, keep "
        "the present one, or drop the item.",
        check_input.ids(issues.rows[:NAMED]),
    )
    by_label: dict[str | tuple[str, ...], list[int]] = {}
    for row, label in zip(issues.rows.tolist(), issues.suggested, strict=True):
        by_label.setdefault(label, []).append(row)
    proposed = tuple(Decision("relabel", tuple(sorted(rows)), label, CODE) for label, rows in by_label.items())
    return _suspicion(finding, issues, proposed)


def _tested(check_input: CheckInput, issues: LabelIssues) -> Suspicion:
    one, many = NOUNS[check_input.dataset.modality]
    finding = Finding(
        "info",
        TEST_CODE,
        f"{count(len(issues.rows), f'{one} of the test set seems', f'{many} of the test set seem')} to have the wrong "
        "label. A wrong test label makes every model look worse than it is.",
        "Correct a test label only where you are sure yourself: if you follow a model's opinion, models look "
        "better than they are. Nothing is proposed, and you are asked twice before a change.",
        check_input.ids(issues.rows[:NAMED]),
    )
    return _suspicion(finding, issues, ())


def _suspicion(finding: Finding, issues: LabelIssues, proposed: tuple[Decision, ...]) -> Suspicion:
    scores = tuple((1 - issues.quality).round(6).tolist())
    return Suspicion(finding, tuple(issues.rows.tolist()), (), scores, issues.suggested, proposed)


CHECKS.add(Check(name="labels", title="Labels that look wrong", find=find, rank=10, needs=("probabilities",)))
