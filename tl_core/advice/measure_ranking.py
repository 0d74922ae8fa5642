"""Measure what backbones do on one data set, from the features of one probe each. Test items are never read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tl_core.advice.evidence import Answers, Store, probe_evidence
from tl_core.advice.folds import make_folds, sample, units
from tl_core.advice.logme import logme
from tl_core.advice.neighbours import NEIGHBOURS, neighbour_answers
from tl_core.advice.probe_report import split_key
from tl_core.advice.ranking import Ranked, Ranking, quickest
from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.speed import Speed
from tl_core.data.dataset import Dataset
from tl_core.data.profile.text_stats import padded_length, token_counts
from tl_core.errors import BackboneError, DataError
from tl_core.statistics.bootstrap import paired_difference
from tl_core.statistics.intervals import wilson
from tl_core.statistics.roc import mean_auc, mean_auc_difference
from tl_core.types import Estimate, metric

ROWS = 4000
"""Items that neighbours and LogME look at, at most."""


@dataclass(frozen=True)
class Measured:
    """One backbone's measurement, with the answers that comparisons with others are made of."""

    ranked: Ranked
    answers: Answers
    majority: float


def measure_backbone(dataset: Dataset, spec: BackboneSpec, store: Store, speed: Speed) -> Measured:
    """Return what a backbone does on the training and validation items; `store` must hold the probe's features.

    Raises DataError where there are too few items of each class to compare on, and BackboneError where features are
    not finite.
    """
    features_ND = store.features(dataset, spec)
    if not np.isfinite(features_ND[dataset.rows("train", "validation")]).all():
        raise BackboneError(
            f"{spec.title} computes values that are no numbers on these data.", "Its weights are no good."
        )
    report, answers = probe_evidence(dataset, spec, store)
    if report.accuracy is None or answers is None:
        finding = report.findings[0]
        raise DataError(finding.message, finding.hint)
    neighbours, evidence = _last_features(dataset, features_ND)
    ranked = Ranked(
        backbone=spec.name,
        title=spec.title,
        accuracy=report.accuracy,
        last=report.depth[-1].accuracy,
        tap=report.tap,
        neighbours=neighbours,
        logme=evidence,
        seconds=1000 * speed.seconds(tokens=_tokens(dataset, spec)),
        parameters=sum(spec.group_parameters) or spec.parameters,
    )
    return Measured(ranked, answers, report.majority)


def rank(dataset: Dataset, measured: Sequence[Measured], failed: Sequence[str] = ()) -> Ranking:
    """Return the ranking of backbones that were measured on the same items."""
    order = sorted(measured, key=lambda one: (-one.ranked.accuracy.value, one.ranked.seconds))
    best = order[0]
    rows = [best.ranked]
    rows += [replace(other.ranked, behind=_difference(other.answers, best.answers)) for other in order[1:]]
    return Ranking(
        fingerprint=dataset.fingerprint,
        split=split_key(dataset),
        modality=dataset.modality,
        metric=metric(dataset.multilabel),
        majority=best.majority,
        k=NEIGHBOURS,
        rows=tuple(rows),
        advised=quickest(rows).backbone,
        failed=tuple(failed),
    )


def _difference(answers: Answers, others: Answers) -> Estimate:
    if answers.right is not None and others.right is not None:
        return paired_difference(answers.right, others.right)
    assert answers.targets is not None
    assert answers.probabilities is not None
    assert others.probabilities is not None
    area = mean_auc_difference(answers.targets, answers.probabilities, others.probabilities)
    return area or Estimate(0.0, -1.0, 1.0, len(answers.targets), "no label can be measured")


def _last_features(dataset: Dataset, features_ND: np.ndarray) -> tuple[Estimate, float]:
    """Return the accuracy of the neighbours' vote, and LogME, on the last layer group's features."""
    rows = dataset.rows("train", "validation")
    labels, unit = np.unique(dataset.labels[rows], return_inverse=True)[1], units(dataset, rows)
    drawn = sample(labels, unit, ROWS)
    labels, unit, features = labels[drawn], unit[drawn], features_ND[rows][drawn]
    targets = dataset.targets[rows][drawn] if dataset.multilabel else np.eye(int(labels.max()) + 1)[labels]
    fold = make_folds(labels, unit)
    votes, asked = neighbour_answers(features, targets, fold), fold >= 0
    method = f"vote of the {NEIGHBOURS} nearest neighbours in the other folds, cosine similarity"
    if dataset.multilabel:
        area = mean_auc(targets[asked], votes[asked]) or Estimate(0.5, 0.0, 1.0, int(asked.sum()), "")
        return replace(area, method=method), logme(features, targets)
    right = int((votes.argmax(axis=1) == labels)[asked].sum())
    return replace(wilson(right, int(asked.sum())), method=method), logme(features, targets)


def _tokens(dataset: Dataset, spec: BackboneSpec) -> float:
    """Return the tokens of the average text, padding included; 0 for pictures."""
    if spec.text_input is None:
        return 0.0
    return padded_length(token_counts(dataset, tokenizer_file(spec)), spec.text_input.max_tokens)
