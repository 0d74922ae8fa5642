"""Labels that look wrong, by confident learning (Northcutt et al. 2021, doi:10.1613/jair.1.12125) with cleanlab.

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
"""Probability of the given label, by a calibrated model that had not seen the item, below which it is suspected. With
confident learning alone, 22 % of the textile sample's labels were suspected, of which the model tells 76 % right."""
CODE, TEST_CODE = "label-suspect", "label-suspect-test"


@dataclass(frozen=True)
class Suspects:
    """Rows whose label looks wrong, the worst first; `quality` from 0 (surely wrong) to 1, and what it may be."""

    rows: np.ndarray
    quality: np.ndarray
    suggested: tuple[str | tuple[str, ...], ...]


def suspects(material: CheckInput, among: np.ndarray) -> Suspects:
    """Return which of the items `among` (bool `[N]`) look wrongly labelled, the worst first."""
    probabilities = material.probabilities
    assert probabilities is not None
    rows = np.flatnonzero(among & np.isfinite(probabilities).all(axis=1))
    if len(rows) < 2:
        return Suspects(rows[:0], np.zeros(0), ())
    said = probabilities[rows]
    return _multilabel(material, rows, said) if material.dataset.multilabel else _one(material, rows, said)


def _one(material: CheckInput, rows: np.ndarray, said: np.ndarray) -> Suspects:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels = material.dataset.labels[rows]
    present, given = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return Suspects(rows[:0], np.zeros(0), ())
    known = said[:, present] / said[:, present].sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")  # a class of few items: none is suspected
        wrong = find_label_issues(given, known, filter_by="prune_by_class", n_jobs=1)
    quality = get_label_quality_scores(given, known)
    other = present[known.argmax(axis=1)]
    sure = (said[np.arange(len(rows)), labels] < UNLIKELY) & (known.max(axis=1) > 0.5)
    chosen = np.flatnonzero(wrong & sure & (other != labels))
    chosen = chosen[np.argsort(quality[chosen], kind="stable")]
    names = tuple(material.dataset.classes[label] for label in other[chosen].tolist())
    return Suspects(rows[chosen], quality[chosen], names)


def _multilabel(material: CheckInput, rows: np.ndarray, said: np.ndarray) -> Suspects:
    from cleanlab.multilabel_classification import get_label_quality_scores
    from cleanlab.multilabel_classification.filter import find_label_issues

    dataset = material.dataset
    targets = dataset.targets[rows].astype(bool)
    given = [np.flatnonzero(row).tolist() for row in targets]
    wrong = find_label_issues(given, said, n_jobs=1)
    quality = get_label_quality_scores(given, said)
    likely = np.where(targets, said >= UNLIKELY, said > 1 - UNLIKELY)
    chosen = np.flatnonzero(wrong & (likely != targets).any(axis=1))
    chosen = chosen[np.argsort(quality[chosen], kind="stable")]
    names = tuple(tuple(dataset.classes[k] for k in np.flatnonzero(likely[i]).tolist()) for i in chosen.tolist())
    return Suspects(rows[chosen], quality[chosen], names)


def find(material: CheckInput) -> list[Suspicion]:
    """Return suspected wrong labels: those of train and validation, and separately those of the test set."""
    learned = _undecided(material, suspects(material, material.inside & ~material.tested), CODE)
    tested = _undecided(material, suspects(material, material.inside & material.tested), TEST_CODE)
    found = [_learned(material, learned)] if len(learned.rows) else []
    return found + ([_tested(material, tested)] if len(tested.rows) else [])


def _undecided(material: CheckInput, wrong: Suspects, code: str) -> Suspects:
    places = np.flatnonzero(material.open(code)[wrong.rows])
    return Suspects(wrong.rows[places], wrong.quality[places], tuple(wrong.suggested[i] for i in places.tolist()))


def _agreement(material: CheckInput) -> float:
    """Return in what share of the labels of train and validation the model says the same."""
    dataset, said = material.dataset, material.probabilities
    assert said is not None
    rows = np.flatnonzero(material.inside & ~material.tested & np.isfinite(said).all(axis=1))
    if dataset.multilabel:
        return float(((said[rows] > 0.5) == (dataset.targets[rows] > 0)).mean())
    return float((said[rows].argmax(axis=1) == dataset.labels[rows]).mean())


def _learned(material: CheckInput, wrong: Suspects) -> Suspicion:
    one, many = NOUNS[material.dataset.modality]
    n = int((material.inside & ~material.tested).sum())
    finding = Finding(
        "warn",
        CODE,
        f"{count(len(wrong.rows), f'{one} seems', f'{many} seem')} to have the wrong label, of {n:,} that were looked "
        f"at: a model that had not seen {'it' if len(wrong.rows) == 1 else 'them'} is sure of another. It agrees "
        f"with {_agreement(material):.0%} of your labels; where that is little, some of these are right as they are, "
        "and many wrong ones are overlooked.",
        f"Look at {'it' if len(wrong.rows) == 1 else 'them, the surest first'}: take the label that is suggested, keep "
        "the present one, or drop the item.",
        material.name(wrong.rows[:NAMED]),
    )
    by_label: dict[str | tuple[str, ...], list[int]] = {}
    for row, label in zip(wrong.rows.tolist(), wrong.suggested, strict=True):
        by_label.setdefault(label, []).append(row)
    proposed = tuple(Decision("relabel", tuple(sorted(rows)), label, CODE) for label, rows in by_label.items())
    return _suspicion(finding, wrong, proposed)


def _tested(material: CheckInput, wrong: Suspects) -> Suspicion:
    one, many = NOUNS[material.dataset.modality]
    finding = Finding(
        "info",
        TEST_CODE,
        f"{count(len(wrong.rows), f'{one} of the test set seems', f'{many} of the test set seem')} to have the wrong "
        "label. A wrong test label makes every model look worse than it is.",
        "Correct a test label only where you are sure yourself: taking over what a model thinks makes models look "
        "better than they are. Nothing is proposed, and a change is asked for twice.",
        material.name(wrong.rows[:NAMED]),
    )
    return _suspicion(finding, wrong, ())


def _suspicion(finding: Finding, wrong: Suspects, proposed: tuple[Decision, ...]) -> Suspicion:
    scores = tuple((1 - wrong.quality).round(6).tolist())
    return Suspicion(finding, tuple(wrong.rows.tolist()), (), scores, wrong.suggested, proposed)


CHECKS.add(Check(name="labels", title="Labels that look wrong", find=find, rank=10, needs=("probabilities",)))
