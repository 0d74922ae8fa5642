"""The evidence: how well a linear head does at every depth of the frozen backbone, on the data itself."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tl_core.advice.linear import OutOfFold, cross_validate
from tl_core.advice.probe_report import Pool, ProbeReport, TapScore, split_key
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import tied_groups
from tl_core.data.split import together
from tl_core.statistics.intervals import wilson
from tl_core.statistics.roc import mean_area
from tl_core.types import Estimate, Finding, metric

RANK_ROWS = 1500
FINAL_ROWS = 10_000
MIN_ITEMS = 8
NO_EVIDENCE_L2 = 0.1


class Store(Protocol):
    """What the evidence reads: pooled features and the shift, from one earlier forward pass."""

    def features(self, dataset: Dataset, spec: BackboneSpec, tap: str | None = None, pool: Pool = "mean") -> np.ndarray:
        """Return features `[N, D]`."""
        ...

    def shift(self, dataset: Dataset, spec: BackboneSpec) -> dict[str, float]:
        """Return the normalisation-statistics shift of each layer group, empty where it is not measured."""
        ...


@dataclass(frozen=True)
class Choice:
    """A depth and a strength: `tap` indexes the depths, `l2` holds the index of the strength at each of them."""

    tap: int
    l2: tuple[int, ...]


def units(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a unit number for each row: what the split, or a person, keeps together shares a unit."""
    ties = (*dataset.near_ties, tied_groups(dataset.decisions, len(dataset.items)))
    return np.unique(together(dataset.items, ties)[rows], return_inverse=True)[1]


def make_folds(y_N: np.ndarray, unit_N: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the fold of each item `[N]`, stratified, a unit whole in one fold; -1 is never held out.

    Ten folds up to 200 items, five above. A class that has a single unit cannot be learned and checked at once: it
    stays in every training part. Fewer units than folds make as many folds as units (leave one out).
    """
    order = np.random.default_rng(seed).permutation(unit_N.max() + 1)
    size = np.bincount(unit_N)
    label = np.zeros(len(size), dtype=np.int64)
    label[unit_N[::-1]] = y_N[::-1]
    per_class = np.bincount(label, minlength=y_N.max() + 1)
    count = min(10 if len(y_N) <= 200 else 5, int(per_class.max()))
    fold = np.full(len(size), -1)
    filled = np.zeros((count, len(per_class)))
    for unit in sorted(order, key=lambda u: (label[u], -size[u])):
        if per_class[label[unit]] > 1 and count > 1:
            place = np.lexsort((filled.sum(axis=1), filled[:, label[unit]]))[0]
            fold[unit] = place
            filled[place, label[unit]] += size[unit]
    return fold[unit_N]


def choose(held: Sequence[OutOfFold], rows_N: np.ndarray) -> Choice:
    """Return the depth and the strengths that the items `rows_N` (a mask) speak for.

    At each depth, of the strengths within half a standard error of the most accurate, the one with the lowest
    cross-entropy (which is less noisy; between equals the stronger). Of the depths, the deepest that is within one
    standard error of the best: the rule of Breiman et al. 1984, section 3.4.3, on paired differences, with the larger
    of its estimates over folds and over items. Where items may have several labels, by cross-entropy throughout.
    """
    l2 = tuple(_strength(one, rows_N) for one in held)
    judged = [-one.cross_entropy if one.targets is not None else one.correct for one in held]
    scores = np.stack([one[index, rows_N] for one, index in zip(judged, l2, strict=True)]).astype(float)
    best = len(held) - 1 - int(np.argmax(scores.mean(axis=1)[::-1]))
    fold = held[0].fold[rows_N]
    for tap in range(len(held) - 1, best, -1):
        difference = scores[best] - scores[tap]
        if difference.mean() <= _standard_error(difference, fold):
            return Choice(tap, l2)
    return Choice(best, l2)


def _strength(held: OutOfFold, rows_N: np.ndarray) -> int:
    if held.targets is not None:
        return int(np.argmin(held.cross_entropy[:, rows_N].mean(axis=1)))
    accuracy = held.correct[:, rows_N].mean(axis=1)
    cross_entropy = held.cross_entropy[:, rows_N].mean(axis=1)
    best = accuracy.max()
    near = accuracy >= best - 0.5 * np.sqrt(best * (1 - best) / rows_N.sum()) - 1e-12
    return int(np.argmin(np.where(near, cross_entropy, np.inf)))


def _standard_error(difference_N: np.ndarray, fold_N: np.ndarray) -> float:
    means = np.array([difference_N[fold_N == fold].mean() for fold in np.unique(fold_N)])
    over_folds = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
    return float(max(over_folds, difference_N.std() / np.sqrt(len(difference_N))))


@dataclass(frozen=True)
class Depth:
    """The features at one depth, for the rows that may be learned from."""

    tap: str
    pool: Pool
    features: np.ndarray


def probe_report(dataset: Dataset, spec: BackboneSpec, store: Store) -> ProbeReport:
    """Return the evidence of the training and validation items; test items are never read.

    Needs the features of the probe's forward pass in `store`. Where there are too few items to check anything, the
    report says so in a finding and has no accuracy.
    """
    started = time.perf_counter()
    rows = dataset.rows("train", "validation")
    labels, unit = np.unique(dataset.labels[rows], return_inverse=True)[1], units(dataset, rows)
    fold = make_folds(labels, unit)
    report = _empty(dataset, spec, labels, store.shift(dataset, spec))
    if (fold >= 0).sum() < MIN_ITEMS or len(np.unique(labels[fold >= 0])) < 2:
        message = "There are too few items of each class to check how well the backbone's features serve them."
        finding = Finding("warn", "no-evidence", message, "Add items: ten of each class are a beginning.")
        return replace(report, findings=(finding,))
    names = [group.name for group in spec.groups]
    lower: list[Pool] = ["mean_std"] * (len(names) - 1)
    last: list[Pool] = ["mean"]
    every = [
        Depth(tap, pool, store.features(dataset, spec, tap, pool)[rows])
        for tap, pool in zip(names, lower + last, strict=True)
    ]
    found = weigh(every, labels, unit, dataset.targets[rows] if dataset.multilabel else None)
    return replace(
        report,
        folds=int(fold.max()) + 1,
        depth=found.scores,
        tap=None if found.tap == names[-1] else found.tap,
        pool="mean" if found.tap == names[-1] else "mean_std",
        l2=next(score.l2 for score in found.scores if score.tap == found.tap),
        last_l2=found.scores[-1].l2,
        accuracy=found.accuracy,
        seconds=time.perf_counter() - started,
        findings=() if dataset.multilabel else _findings(dataset, labels, fold, rows),
    )


@dataclass(frozen=True)
class Weighed:
    """The outcome over all depths, input side first; `accuracy` is expected of a head at the chosen one."""

    scores: tuple[TapScore, ...]
    tap: str
    accuracy: Estimate


def weigh(every: Sequence[Depth], y_N: np.ndarray, unit_N: np.ndarray, targets_NK: np.ndarray | None = None) -> Weighed:
    """Return how a linear head does at every depth, and the choice.

    Where items may have several labels, `targets_NK` are what a head learns, and `y_N` their strata.

    Many rows: the depths are ranked on RANK_ROWS of them, then the last and the best other are weighed on up to
    FINAL_ROWS. The accuracy is that of the whole procedure: for each fold, depth and strength are chosen on the others.
    """
    truth = y_N if targets_NK is None else targets_NK
    few = sample(y_N, unit_N, RANK_ROWS)
    fold = make_folds(y_N[few], unit_N[few])
    held = [cross_validate(one.features[few], truth[few], fold) for one in every]
    choice = choose(held, fold >= 0)
    scores = [_score(one, result, fold) for one, result in zip(every, held, strict=True)]
    last = len(every) - 1
    if len(few) == len(y_N):
        return Weighed(tuple(scores), every[choice.tap].tap, _honest(held, fold))
    finalists = sorted({choice.tap, last})
    many = sample(y_N, unit_N, FINAL_ROWS)
    fold = make_folds(y_N[many], unit_N[many])
    final = [cross_validate(every[tap].features[many], truth[many], fold) for tap in finalists]
    for tap, result in zip(finalists, final, strict=True):
        scores[tap] = _score(every[tap], result, fold)
    tap = finalists[choose(final, fold >= 0).tap]
    return Weighed(tuple(scores), every[tap].tap, _honest(final, fold))


def _score(depth: Depth, held: OutOfFold, fold: np.ndarray) -> TapScore:
    index = _strength(held, fold >= 0)
    return TapScore(depth.tap, depth.pool, _honest([held], fold), held.l2[index])


def _honest(held: Sequence[OutOfFold], fold_N: np.ndarray) -> Estimate:
    """Return the accuracy on each fold with depth and strength chosen on the other folds; Wilson's interval.

    Where items may have several labels, the mean AUC of all held items instead.
    """
    what = "depth and strength" if len(held) > 1 else "strength"
    method = f"{int(fold_N.max()) + 1}-fold cross-validation, {what} chosen on the other folds"
    if held[0].targets is not None:
        return _honest_area(held, fold_N, method)
    right = 0
    for fold in np.unique(fold_N[fold_N >= 0]):
        others = (fold_N >= 0) & (fold_N != fold)
        choice = choose(held, others if others.any() else fold_N >= 0)
        right += int(held[choice.tap].correct[choice.l2[choice.tap], fold_N == fold].sum())
    n = int((fold_N >= 0).sum())
    return replace(wilson(right, n), method=f"{method}; Wilson interval")


def _honest_area(held: Sequence[OutOfFold], fold_N: np.ndarray, method: str) -> Estimate:
    """Return the mean AUC of the held items, each scored by what the other folds chose."""
    targets = held[0].targets
    assert targets is not None
    probabilities = np.zeros(targets.shape)
    for fold in np.unique(fold_N[fold_N >= 0]):
        others = (fold_N >= 0) & (fold_N != fold)
        choice = choose(held, others if others.any() else fold_N >= 0)
        drawn = held[choice.tap].probabilities
        assert drawn is not None
        probabilities[fold_N == fold] = drawn[choice.l2[choice.tap], fold_N == fold]
    kept = fold_N >= 0
    found = mean_area(targets[kept], probabilities[kept])
    if found is None:
        return Estimate(0.5, 0.0, 1.0, int(kept.sum()), f"{method}; no label can be measured")
    return replace(found, method=f"{method}; mean AUC over the labels, {found.method} interval")


def sample(y_N: np.ndarray, unit_N: np.ndarray, count: int) -> np.ndarray:
    """Return about `count` rows, whole units, each class in its share and with two units where it has them."""
    if len(y_N) <= count:
        return np.arange(len(y_N))
    order = np.random.default_rng(0).permutation(unit_N.max() + 1)[unit_N]
    kept = []
    for label in np.unique(y_N):
        mine = np.flatnonzero(y_N == label)
        mine = mine[np.argsort(order[mine], kind="stable")]
        wanted = max(2, round(count * len(mine) / len(y_N)))
        kept.append(mine[np.isin(unit_N[mine], unit_N[mine[:wanted]])])
    return np.sort(np.concatenate(kept))


def _empty(dataset: Dataset, spec: BackboneSpec, y_N: np.ndarray, shift: Mapping[str, float]) -> ProbeReport:
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
        l2=NO_EVIDENCE_L2,
        last_l2=NO_EVIDENCE_L2,
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
    message = f"These classes have one item to learn from, so the expected accuracy leaves them out: {names}."
    return (Finding("warn", "classes-alone", message, "Add items of these classes, or leave the classes out."),)
