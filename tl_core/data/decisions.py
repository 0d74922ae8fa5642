"""Decisions of a person about items: a layer over the source's labels and split, which themselves never change."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tl_core.data.groups import components, number_groups
from tl_core.data.split import SPLITS
from tl_core.errors import DataError

Action = Literal["drop", "relabel", "keep", "together"]
LEFT_OUT = "out"
"""What stands in place of a split name for an item that was left out."""
_DIGEST_DIGITS = 12


@dataclass(frozen=True)
class Decision:
    """One decision about the items `rows` (row numbers of the manifest).

    "drop" leaves the items out of every split. "relabel" gives them `label`: a class, or for a multilabel data set a
    tuple of classes, possibly empty. "keep" says that they are right as they are, and withdraws decisions about them
    that were not confirmed. "together" puts them in one split.

    `code` names the finding that the decision answers; `when` is in seconds since 1970. Items of the test set change
    only through a decision that is `confirmed`, for a `reason`.
    """

    action: Action
    rows: tuple[int, ...]
    label: str | tuple[str, ...] = ""
    code: str = ""
    when: float = 0.0
    confirmed: bool = False
    reason: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the classes that "relabel" gives, possibly none."""
        if isinstance(self.label, tuple):
            return self.label
        return (self.label,) if self.label else ()

    @property
    def summary(self) -> str:
        """Return the decision as a phrase: "3 items left out"."""
        items = f"{len(self.rows):,} item{'s' if len(self.rows) != 1 else ''}"
        relabelled = (
            f"labelled {' and '.join(map(repr, self.label_names))}" if self.label_names else "left without a label"
        )
        outcome = {
            "drop": "left out",
            "relabel": relabelled,
            "keep": "kept as " + ("it is" if len(self.rows) == 1 else "they are"),
            "together": "kept on one side of the split",
        }
        return f"{items} {outcome[self.action]}"


def apply_decisions(
    decisions: Iterable[Decision], classes: Sequence[str], labels: np.ndarray, splits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and splits `[N]` after the decisions. The input arrays are not changed.

    `labels` are class indices `[N]`, or 0 and 1 for each class `[N, K]`; `splits` are those before decisions. Of the
    "drop" and "relabel" decisions about a row, the last one counts. Rows tied by "together" all go to the first split,
    of train, validation and test in that order, that holds one of them.
    """
    decisions = tuple(decisions)
    return apply_labels(decisions, classes, labels, splits), apply_splits(decisions, splits)


def apply_splits(decisions: Iterable[Decision], splits: np.ndarray) -> np.ndarray:
    """Return only the splits `[N]` of `apply_decisions`."""
    outcome = _resolve(tuple(decisions), splits)
    after = outcome.splits.copy()
    after[[row for row, decision in outcome.applied.items() if decision.action == "drop"]] = LEFT_OUT
    return after


def apply_labels(
    decisions: Iterable[Decision], classes: Sequence[str], labels: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    """Return only the labels `[N]` or `[N, K]` of `apply_decisions`."""
    index, labels = {name: i for i, name in enumerate(classes)}, labels.copy()
    for row, decision in _resolve(tuple(decisions), splits).applied.items():
        chosen = [index[name] for name in decision.label_names]
        if decision.action == "drop":
            continue
        if labels.ndim == 1:
            labels[row] = chosen[0]
        else:
            labels[row] = 0
            labels[row, chosen] = 1
    return labels


def effective_decisions(decisions: Iterable[Decision], splits: np.ndarray) -> tuple[Decision, ...]:
    """Return the fewest decisions with the same effect under `splits`, in a canonical order.

    Decisions without effect ("keep", or an unconfirmed change of a test item) vanish, as do code, reason and time.
    """
    outcome = _resolve(tuple(decisions), splits)
    groups: dict[tuple[Action, tuple[str, ...], bool], list[int]] = {}
    for row, decision in outcome.applied.items():
        relabelled = decision.label_names if decision.action == "relabel" else ()
        groups.setdefault((decision.action, relabelled, outcome.splits[row] == "test"), []).append(row)
    single = [Decision(a, tuple(sorted(rows)), names, confirmed=c) for (a, names, c), rows in groups.items()]
    return tuple(
        sorted([*single, *_ties(outcome, splits)], key=lambda d: (d.action, d.label_names, d.confirmed, d.rows))
    )


def effect_digest(decisions: Iterable[Decision], splits: np.ndarray) -> str:
    """Return a short hash of the effect of decisions under `splits`; "" where they have none."""
    effect = [(d.action, d.label_names, d.confirmed, d.rows) for d in effective_decisions(decisions, splits)]
    return hashlib.sha256(json.dumps(effect).encode()).hexdigest()[:_DIGEST_DIGITS] if effect else ""


def unconfirmed(decisions: Iterable[Decision], splits: np.ndarray) -> tuple[Decision, ...]:
    """Return the part of each decision that would change items of the test set and was not confirmed."""
    decisions = tuple(decisions)
    outcome = _resolve(decisions, splits)
    rows: dict[int, tuple[int, ...]] = {}
    for row, number in outcome.unconfirmed.items():
        rows[number] = (*rows.get(number, ()), row)
    return tuple(
        Decision(d.action, tuple(sorted(rows[number])), d.label, d.code, d.when)
        for number, d in enumerate(decisions)
        if number in rows
    )


def tied_groups(decisions: Iterable[Decision], n: int) -> np.ndarray:
    """Return the number of the group that "together" puts each of `n` rows in, int64 `[n]`; -1 where it is in none."""
    return number_groups(_connected(n, [d for d in decisions if d.action == "together" and d.rows]))


def answered_rows(decisions: Iterable[Decision], code: str) -> frozenset[int]:
    """Return the rows with a decision that answers the finding `code`, so that it is not raised for them again."""
    return frozenset(row for decision in decisions if decision.code == code for row in decision.rows)


def check_decisions(
    new: Iterable[Decision],
    earlier: Iterable[Decision],
    classes: Sequence[str],
    labels: np.ndarray,
    splits: np.ndarray,
) -> None:
    """Raise DataError if `new` decisions cannot follow `earlier` ones. `labels` and `splits` are the source's."""
    new, earlier = tuple(new), tuple(earlier)
    for decision in new:
        _check_one(decision, classes, labels)
    before = _classes_in_train(earlier, classes, labels, splits)
    after = _classes_in_train((*earlier, *new), classes, labels, splits)
    _require_trained(before, after, classes, "Leave at least one of its training items as it is.")


def check_undo(
    remaining: Iterable[Decision],
    earlier: Iterable[Decision],
    classes: Sequence[str],
    labels: np.ndarray,
    splits: np.ndarray,
) -> None:
    """Raise DataError if going back from `earlier` to `remaining` decisions takes a source class out of train."""
    before, after, at_source = (
        _classes_in_train(decisions, classes, labels, splits) for decisions in (earlier, remaining, ())
    )
    hint = "Undo the decisions about its other training items as well, or undo everything."
    _require_trained(before & at_source, after, classes, hint)


def _require_trained(before_K: np.ndarray, after_K: np.ndarray, classes: Sequence[str], hint: str) -> None:
    """Raise DataError if a class that had an item in train has none any more."""
    lost = [name for name, had, has in zip(classes, before_K, after_K, strict=True) if had and not has]
    if lost:
        raise DataError(
            f"The class {lost[0]!r} would lose its last training item, so a model could not learn it.", hint
        )


def _check_one(decision: Decision, classes: Sequence[str], labels: np.ndarray) -> None:
    out_of_range = [row for row in decision.rows if not 0 <= row < len(labels)]
    if out_of_range:
        raise DataError(
            f"There is no item with row number {out_of_range[0]}.", f"The row numbers go from 0 to {len(labels) - 1}."
        )
    if decision.action != "relabel":
        return
    unknown = [name for name in decision.label_names if name not in classes]
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is not a class of this data set.",
            f"An item can be given one of {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}.",
        )
    if labels.ndim == 1 and len(decision.label_names) != 1:
        raise DataError("An item of this data set has exactly one label.", "Choose one class for it.")


def _classes_in_train(
    decisions: Iterable[Decision], classes: Sequence[str], labels: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    """Return which classes have an item in train after the decisions: bool `[K]`."""
    labels, splits = apply_decisions(decisions, classes, labels, splits)
    train = labels[splits == "train"]
    return train.any(axis=0) if labels.ndim == 2 else np.bincount(train, minlength=len(classes))[: len(classes)] > 0


@dataclass(frozen=True)
class _Outcome:
    splits: np.ndarray  # after ties [N]
    tied: np.ndarray  # number of the group that a row is tied in [N]
    applied: dict[int, Decision]  # by row: the last "drop" or "relabel" that is in effect
    unconfirmed: dict[int, int]  # by row: number of the decision that is not confirmed


def _resolve(decisions: Sequence[Decision], splits: np.ndarray) -> _Outcome:
    tied_splits, tied, held = _tie(decisions, splits)
    applied: dict[int, Decision] = {}
    unconfirmed: dict[int, int] = {}
    for number, decision in enumerate(decisions):
        if decision.action == "together":
            unconfirmed.update(dict.fromkeys((row for row in decision.rows if held[row]), number))
        if decision.action == "keep":
            for row in decision.rows:
                unconfirmed.pop(row, None)
        if decision.action not in ("drop", "relabel"):
            continue
        for row in decision.rows:
            if decision.confirmed or tied_splits[row] != "test":
                applied[row] = decision
                unconfirmed.pop(row, None)
            elif row not in applied or _effect(applied[row]) != _effect(decision):
                unconfirmed[row] = number
    return _Outcome(tied_splits, tied, applied, unconfirmed)


def _effect(decision: Decision) -> tuple[Action, tuple[str, ...]]:
    return decision.action, decision.label_names if decision.action == "relabel" else ()


def _tie(decisions: Sequence[Decision], splits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return splits after ties, the group that each row is tied in, and which rows await confirmation, each `[N]`."""
    n = len(splits)
    ties = [d for d in decisions if d.action == "together" and d.rows]
    confirmed = np.zeros(n, dtype=bool)
    if not ties:
        return splits.copy(), np.arange(n), confirmed
    tied = _connected(n, ties)
    for decision in ties:
        confirmed[list(decision.rows)] |= decision.confirmed
    rank = np.array([SPLITS.index(split) for split in splits])
    first = np.full(n, len(SPLITS))
    np.minimum.at(first, tied, rank)
    moves = first[tied] < rank
    held = moves & (rank == SPLITS.index("test")) & ~confirmed
    tied_splits = splits.copy()
    tied_splits[moves & ~held] = np.asarray(SPLITS, dtype=object)[first[tied][moves & ~held]]
    return tied_splits, tied, held


def _connected(n: int, ties: Sequence[Decision]) -> np.ndarray:
    """Return the number of the group that the ties put each row in `[n]`; an untied row is a group by itself."""
    pairs = [(tie.rows[0], row) for tie in ties for row in tie.rows]
    return components(n, np.array(pairs, dtype=np.int64).reshape(-1, 2))


def _ties(outcome: _Outcome, splits: np.ndarray) -> list[Decision]:
    """Return the ties that move a row, and for each the test rows that were confirmed to move."""
    moved = outcome.splits != splits
    order = np.argsort(outcome.tied, kind="stable")
    ties = []
    for rows in np.split(order, np.flatnonzero(np.diff(outcome.tied[order])) + 1) if moved.any() else []:
        if not moved[rows].any():
            continue
        ties.append(Decision("together", tuple(rows.tolist())))
        confirmed = rows[moved[rows] & (splits[rows] == "test")]
        if len(confirmed):
            ties.append(Decision("together", tuple(confirmed.tolist()), confirmed=True))
    return ties
