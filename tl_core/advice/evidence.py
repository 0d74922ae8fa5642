"""How well a linear head does at every depth of the frozen backbone, measured on the data itself."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tl_core.advice.folds import make_folds, sample, units
from tl_core.advice.linear import OutOfFold, cross_validate
from tl_core.advice.probe_report import DEFAULT_L2, Pool, ProbeReport, TapScore, split_key
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.statistics.intervals import wilson
from tl_core.statistics.roc import mean_auc
from tl_core.types import Estimate, Finding, metric

RANK_ROWS = 1500
"""Rows that all depths are compared on, at most."""
FINAL_ROWS = 10_000
"""Rows that the best depth and the last one are compared on, at most."""
MIN_ITEMS = 8
"""Held-out items below which nothing is compared."""


class Store(Protocol):
    """What the comparison reads: pooled features and the shift, from one earlier forward pass."""

    def features(self, dataset: Dataset, spec: BackboneSpec, tap: str | None = None, pool: Pool = "mean") -> np.ndarray:
        """Return features `[N, D]`."""
        ...

    def shift(self, dataset: Dataset, spec: BackboneSpec) -> dict[str, float]:
        """Return the normalisation-statistics shift of each layer group; empty where it is not measured."""
        ...


@dataclass(frozen=True)
class Choice:
    """The chosen depth and strengths: `tap` is the index of the depth, `l2` the index of the strength at each depth."""

    tap: int
    l2: tuple[int, ...]


def choose(results: Sequence[OutOfFold], rows_N: np.ndarray) -> Choice:
    """Return the depth and the strengths that do best on the items where the mask `rows_N` holds.

    At each depth: of the strengths within half a standard error of the most accurate, the one with the lowest
    cross-entropy, which is less noisy (between equals the stronger). Of the depths: the deepest within one standard
    error of the best. This is the rule of Breiman et al. 1984, section 3.4.3, on paired differences, with the larger
    of the standard errors over folds and over items. Where items may have several labels, cross-entropy decides both.
    """
    l2 = tuple(_best_strength(result, rows_N) for result in results)
    judged = [-r.cross_entropy if r.targets is not None else r.correct for r in results]
    scores = np.stack([measure[index, rows_N] for measure, index in zip(judged, l2, strict=True)]).astype(float)
    best = len(results) - 1 - int(np.argmax(scores.mean(axis=1)[::-1]))
    fold = results[0].fold[rows_N]
    for tap in range(len(results) - 1, best, -1):
        difference = scores[best] - scores[tap]
        if difference.mean() <= _standard_error(difference, fold):
            return Choice(tap, l2)
    return Choice(best, l2)


def _best_strength(result: OutOfFold, rows_N: np.ndarray) -> int:
    if result.targets is not None:
        return int(np.argmin(result.cross_entropy[:, rows_N].mean(axis=1)))
    accuracy = result.correct[:, rows_N].mean(axis=1)
    cross_entropy = result.cross_entropy[:, rows_N].mean(axis=1)
    best = accuracy.max()
    near = accuracy >= best - 0.5 * np.sqrt(best * (1 - best) / rows_N.sum()) - 1e-12
    return int(np.argmin(np.where(near, cross_entropy, np.inf)))


def _standard_error(difference_N: np.ndarray, fold_N: np.ndarray) -> float:
    means = np.array([difference_N[fold_N == fold].mean() for fold in np.unique(fold_N)])
    over_folds = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
    return float(max(over_folds, difference_N.std() / np.sqrt(len(difference_N))))


@dataclass(frozen=True)
class Depth:
    """The features at one depth, of the rows that may be learned from."""

    tap: str
    pool: Pool
    features: np.ndarray


def probe_report(dataset: Dataset, spec: BackboneSpec, store: Store) -> ProbeReport:
    """Compare the depths on the training and validation items; test items are never read.

    `store` must hold the features of the probe's forward pass. Where there are too few items to compare on, the report
    says so in a finding and has no accuracy.
    """
    return probe_evidence(dataset, spec, store)[0]


def probe_evidence(dataset: Dataset, spec: BackboneSpec, store: Store) -> "tuple[ProbeReport, Answers | None]":
    """Return the report of `probe_report`, and the answers to held-out items that its accuracy counts; None without."""
    started = time.perf_counter()
    rows = dataset.rows("train", "validation")
    labels, unit = np.unique(dataset.labels[rows], return_inverse=True)[1], units(dataset, rows)
    fold = make_folds(labels, unit)
    report = _without_accuracy(dataset, spec, labels, store.shift(dataset, spec))
    if (fold >= 0).sum() < MIN_ITEMS or len(np.unique(labels[fold >= 0])) < 2:
        message = "There are too few items of each class to measure how well the backbone's features tell them apart."
        finding = Finding("warn", "no-evidence", message, "Add items: ten of each class are a start.")
        return replace(report, findings=(finding,)), None
    names = [group.name for group in spec.groups]
    lower: list[Pool] = ["mean_std"] * (len(names) - 1)
    last: list[Pool] = ["mean"]
    depths = [
        Depth(tap, pool, store.features(dataset, spec, tap, pool)[rows])
        for tap, pool in zip(names, lower + last, strict=True)
    ]
    comparison = compare_depths(depths, labels, unit, dataset.targets[rows] if dataset.multilabel else None)
    report = replace(
        report,
        folds=int(fold.max()) + 1,
        depth=comparison.scores,
        tap=None if comparison.tap == names[-1] else comparison.tap,
        pool="mean" if comparison.tap == names[-1] else "mean_std",
        l2=next(score.l2 for score in comparison.scores if score.tap == comparison.tap),
        last_l2=comparison.scores[-1].l2,
        accuracy=comparison.accuracy,
        seconds=time.perf_counter() - started,
        findings=() if dataset.multilabel else _findings(dataset, labels, fold, rows),
    )
    return report, comparison.answers


@dataclass(frozen=True)
class Answers:
    """What held-out items were answered, each by a head whose depth and strength were chosen on the other folds.

    The items of two backbones are the same, in the same order. `right` says which answers were right `[M]`. Where items
    may have several labels, `right` is None, and `probabilities` `[M, C]` are to be compared with `targets` `[M, C]`.
    """

    right: np.ndarray | None
    probabilities: np.ndarray | None = None
    targets: np.ndarray | None = None


@dataclass(frozen=True)
class DepthComparison:
    """The scores of all depths, input side first; `accuracy` is expected of a head at the chosen depth `tap`.

    It counts `answers`.
    """

    scores: tuple[TapScore, ...]
    tap: str
    accuracy: Estimate
    answers: Answers


def compare_depths(
    depths: Sequence[Depth], y_N: np.ndarray, unit_N: np.ndarray, targets_NK: np.ndarray | None = None
) -> DepthComparison:
    """Return how a linear head does at every depth, and which depth is chosen.

    Where items may have several labels, a head learns `targets_NK`, and `y_N` are the strata of the folds. With more
    than RANK_ROWS rows, the depths are ranked on RANK_ROWS of them, and then the last depth and the best other one are
    compared on up to FINAL_ROWS. The accuracy is that of the whole procedure (nested cross-validation): for each fold,
    depth and strength are chosen on the other folds.
    """
    truth = y_N if targets_NK is None else targets_NK
    ranked = sample(y_N, unit_N, RANK_ROWS)
    fold = make_folds(y_N[ranked], unit_N[ranked])
    results = [cross_validate(depth.features[ranked], truth[ranked], fold) for depth in depths]
    choice = choose(results, fold >= 0)
    scores = [_score(depth, result, fold) for depth, result in zip(depths, results, strict=True)]
    last = len(depths) - 1
    if len(ranked) == len(y_N):
        return DepthComparison(tuple(scores), depths[choice.tap].tap, *_nested(results, fold))
    finalists = sorted({choice.tap, last})
    compared = sample(y_N, unit_N, FINAL_ROWS)
    fold = make_folds(y_N[compared], unit_N[compared])
    final = [cross_validate(depths[tap].features[compared], truth[compared], fold) for tap in finalists]
    for tap, result in zip(finalists, final, strict=True):
        scores[tap] = _score(depths[tap], result, fold)
    tap = finalists[choose(final, fold >= 0).tap]
    return DepthComparison(tuple(scores), depths[tap].tap, *_nested(final, fold))


def _score(depth: Depth, result: OutOfFold, fold: np.ndarray) -> TapScore:
    index = _best_strength(result, fold >= 0)
    return TapScore(depth.tap, depth.pool, _nested([result], fold)[0], result.l2[index])


def _nested(results: Sequence[OutOfFold], fold_N: np.ndarray) -> tuple[Estimate, Answers]:
    """Return the accuracy over all folds and its answers, with depth and strength chosen on the other folds.

    The interval is Wilson's. Where items may have several labels, return the mean AUC of all held-out items instead.
    """
    chosen = "depth and strength" if len(results) > 1 else "strength"
    method = f"{int(fold_N.max()) + 1}-fold cross-validation, {chosen} chosen on the other folds"
    held_out = fold_N >= 0
    targets = results[0].targets
    answered = np.zeros(len(fold_N) if targets is None else targets.shape)
    for fold in np.unique(fold_N[held_out]):
        others = held_out & (fold_N != fold)
        choice = choose(results, others if others.any() else held_out)
        result = results[choice.tap]
        answers = result.correct if result.probabilities is None else result.probabilities
        answered[fold_N == fold] = answers[choice.l2[choice.tap], fold_N == fold]
    answered = answered[held_out]
    if targets is None:
        accuracy = wilson(int(answered.sum()), len(answered))
        return replace(accuracy, method=f"{method}; Wilson interval"), Answers(answered > 0)
    counted = Answers(None, answered, targets[held_out])
    area = mean_auc(targets[held_out], answered)
    if area is None:
        return Estimate(0.5, 0.0, 1.0, len(answered), f"{method}; no label can be measured"), counted
    return replace(area, method=f"{method}; mean AUC over the labels, {area.method} interval"), counted


def _without_accuracy(dataset: Dataset, spec: BackboneSpec, y_N: np.ndarray, shift: Mapping[str, float]) -> ProbeReport:
    return ProbeReport(
        fingerprint=dataset.fingerprint,
        backbone=spec.name,
        split=split_key(dataset),
        n=len(y_N),
        n_classes=len(dataset.classes) if dataset.multilabel else int(y_N.max()) + 1,
        folds=0,
        depth=(),
        tap=None,
        pool="mean",
        l2=DEFAULT_L2,
        last_l2=DEFAULT_L2,
        accuracy=None,
        majority=0.5 if dataset.multilabel else float(np.bincount(y_N).max() / len(y_N)),
        shift=shift,
        metric=metric(dataset.multilabel),
    )


def _findings(dataset: Dataset, y_N: np.ndarray, fold_N: np.ndarray, rows: np.ndarray) -> tuple[Finding, ...]:
    alone = np.unique(dataset.labels[rows][fold_N < 0])
    if not len(alone):
        return ()
    names = ", ".join(dataset.classes[label] for label in alone)
    message = f"These classes have only one item to learn from, so the expected accuracy leaves them out: {names}."
    return (Finding("warn", "classes-alone", message, "Add items of these classes, or leave the classes out."),)
