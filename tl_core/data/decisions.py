"""What a person decided about items: a layer over the labels and the split of the source, which stay as they are."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tl_core.data.groups import components, numbered
from tl_core.data.split import SPLITS
from tl_core.errors import DataError

Action = Literal["drop", "relabel", "keep", "together"]
OUT = "out"
"""The split of an item that was left out: none of them."""
_DIGITS = 12  # of a digest


@dataclass(frozen=True)
class Decision:
    """One thing that was decided about the items `rows` (row numbers of the manifest).

    "drop" leaves them out of every split, "relabel" gives them `label`, "keep" says that they are right as they are
    (which also ends what waits to be confirmed), and "together" puts them in one split. `label` is a class, or a tuple
    of classes where items may have several (an empty one: none of them). `code` names the finding that it answers,
    `when` is in seconds since 1970.
    Items of the test set change only by a decision that is `confirmed`, for a `reason`.
    """

    action: Action
    rows: tuple[int, ...]
    label: str | tuple[str, ...] = ""
    code: str = ""
    when: float = 0.0
    confirmed: bool = False
    reason: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the classes that "relabel" gives, perhaps none."""
        if isinstance(self.label, tuple):
            return self.label
        return (self.label,) if self.label else ()

    @property
    def words(self) -> str:
        """What was decided, in words: "3 items left out"."""
        items = f"{len(self.rows):,} item{'s' if len(self.rows) != 1 else ''}"
        given = f"labelled {' and '.join(map(repr, self.names))}" if self.names else "left without a label"
        done = {
            "drop": "left out",
            "relabel": given,
            "keep": "kept as " + ("it is" if len(self.rows) == 1 else "they are"),
            "together": "kept on one side of the split",
        }
        return f"{items} {done[self.action]}"


def apply(
    decisions: Iterable[Decision], classes: Sequence[str], labels: np.ndarray, splits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and splits `[N]` after the decisions; the arrays that come in are not written to.

    `labels` are class indices `[N]`, or which classes each item has `[N, K]`; `splits` is what the source's labels
    give. What a row becomes depends on the order of the "drop" and "relabel" decisions that name it alone: of those
    the last counts. Tied rows go where the first of train, validation and test has one of them.
    """
    decisions = tuple(decisions)
    return apply_labels(decisions, classes, labels, splits), apply_splits(decisions, splits)


def apply_splits(decisions: Iterable[Decision], splits: np.ndarray) -> np.ndarray:
    """Return the splits `[N]` alone, as apply() does."""
    outcome = _resolve(tuple(decisions), splits)
    after = outcome.homes.copy()
    after[[row for row, decision in outcome.applied.items() if decision.action == "drop"]] = OUT
    return after


def apply_labels(
    decisions: Iterable[Decision], classes: Sequence[str], labels: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    """Return the labels `[N]` or `[N, K]` alone, as apply() does."""
    index, labels = {name: i for i, name in enumerate(classes)}, labels.copy()
    for row, decision in _resolve(tuple(decisions), splits).applied.items():
        chosen = [index[name] for name in decision.names]
        if decision.action == "drop":
            continue
        if labels.ndim == 1:
            labels[row] = chosen[0]
        else:
            labels[row] = 0
            labels[row, chosen] = 1
    return labels


def effective(decisions: Iterable[Decision], splits: np.ndarray) -> tuple[Decision, ...]:
    """Return the fewest decisions that have the same effect under `splits`, in an order of their own.

    What has no effect (kept items, items of the test set that wait) is not among them, nor who, why and when.
    """
    outcome = _resolve(tuple(decisions), splits)
    groups: dict[tuple[Action, tuple[str, ...], bool], list[int]] = {}
    for row, decision in outcome.applied.items():
        relabelled = decision.names if decision.action == "relabel" else ()
        groups.setdefault((decision.action, relabelled, outcome.homes[row] == "test"), []).append(row)
    single = [Decision(a, tuple(sorted(rows)), names, confirmed=c) for (a, names, c), rows in groups.items()]
    return tuple(sorted([*single, *_ties(outcome, splits)], key=lambda d: (d.action, d.names, d.confirmed, d.rows)))


def digest(decisions: Iterable[Decision], splits: np.ndarray) -> str:
    """Return a short hash of the effect of decisions under `splits`, "" where they have none."""
    kept = [(d.action, d.names, d.confirmed, d.rows) for d in effective(decisions, splits)]
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:_DIGITS] if kept else ""


def waiting(decisions: Iterable[Decision], splits: np.ndarray) -> tuple[Decision, ...]:
    """Return the part of each decision that would change items of the test set and was not confirmed."""
    decisions = tuple(decisions)
    outcome = _resolve(decisions, splits)
    found: dict[int, tuple[int, ...]] = {}
    for row, number in outcome.waiting.items():
        found[number] = (*found.get(number, ()), row)
    return tuple(
        Decision(d.action, tuple(sorted(found[number])), d.label, d.code, d.when)
        for number, d in enumerate(decisions)
        if number in found
    )


def tied(decisions: Iterable[Decision], n: int) -> np.ndarray:
    """Return the number of the set that "together" puts each of `n` rows in, int64 `[n]`; -1: it is in none."""
    return numbered(_connected(n, [d for d in decisions if d.action == "together" and d.rows]))


def settled(decisions: Iterable[Decision], code: str) -> frozenset[int]:
    """Return the rows that were decided about as an answer to the finding `code`: it does not come back for them."""
    return frozenset(row for decision in decisions if decision.code == code for row in decision.rows)


def check(
    new: Iterable[Decision],
    earlier: Iterable[Decision],
    classes: Sequence[str],
    labels: np.ndarray,
    splits: np.ndarray,
) -> None:
    """Raise DataError with the reason where `new` cannot follow `earlier`; labels and splits are the source's."""
    new, earlier = tuple(new), tuple(earlier)
    for decision in new:
        _check_one(decision, classes, labels)
    before, after = (_trained(each, classes, labels, splits) for each in (earlier, (*earlier, *new)))
    _require_trained(before, after, classes, "Leave at least one of its training items as it is.")


def check_undo(
    left: Iterable[Decision],
    earlier: Iterable[Decision],
    classes: Sequence[str],
    labels: np.ndarray,
    splits: np.ndarray,
) -> None:
    """Raise DataError where of `earlier` only `left` cannot stay, as check() does; what the source lacks may go."""
    before, after, plain = (_trained(each, classes, labels, splits) for each in (earlier, left, ()))
    hint = "Take back what was decided about its other training items as well, or take everything back."
    _require_trained(before & plain, after, classes, hint)


def _require_trained(before_K: np.ndarray, after_K: np.ndarray, classes: Sequence[str], hint: str) -> None:
    """Raise DataError where a class that had an item in train has none any more."""
    lost = [name for name, had, has in zip(classes, before_K, after_K, strict=True) if had and not has]
    if lost:
        raise DataError(
            f"The class {lost[0]!r} would lose its last training item, so a model could not learn it.", hint
        )


def _check_one(decision: Decision, classes: Sequence[str], labels: np.ndarray) -> None:
    wrong = [row for row in decision.rows if not 0 <= row < len(labels)]
    if wrong:
        raise DataError(
            f"There is no item with row number {wrong[0]}.", f"The row numbers go from 0 to {len(labels) - 1}."
        )
    if decision.action != "relabel":
        return
    unknown = [name for name in decision.names if name not in classes]
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is not a class of this data set.",
            f"An item can be given one of {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}.",
        )
    if labels.ndim == 1 and len(decision.names) != 1:
        raise DataError("An item of this data set has exactly one label.", "Choose one class for it.")


def _trained(
    decisions: Iterable[Decision], classes: Sequence[str], labels: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    """Return which classes have an item in train after the decisions: bool `[K]`."""
    labels, splits = apply(decisions, classes, labels, splits)
    inside = labels[splits == "train"]
    return inside.any(axis=0) if labels.ndim == 2 else np.bincount(inside, minlength=len(classes))[: len(classes)] > 0


@dataclass(frozen=True)
class _Outcome:
    homes: np.ndarray  # splits after ties [N]
    tied: np.ndarray  # number of the set that a row is tied in [N]
    applied: dict[int, Decision]  # by row: the last "drop" or "relabel" that holds for it
    waiting: dict[int, int]  # by row: number of the decision that is not confirmed


def _resolve(decisions: Sequence[Decision], splits: np.ndarray) -> _Outcome:
    homes, tied, held = _tie(decisions, splits)
    applied: dict[int, Decision] = {}
    waits: dict[int, int] = {}
    for number, decision in enumerate(decisions):
        if decision.action == "together":
            waits.update(dict.fromkeys((row for row in decision.rows if held[row]), number))
        if decision.action == "keep":
            for row in decision.rows:
                waits.pop(row, None)
        if decision.action not in ("drop", "relabel"):
            continue
        for row in decision.rows:
            if decision.confirmed or homes[row] != "test":
                applied[row] = decision
                waits.pop(row, None)
            elif row not in applied or _what(applied[row]) != _what(decision):
                waits[row] = number
    return _Outcome(homes, tied, applied, waits)


def _what(decision: Decision) -> tuple[Action, tuple[str, ...]]:
    return decision.action, decision.names if decision.action == "relabel" else ()


def _tie(decisions: Sequence[Decision], splits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return splits after ties, the number of the set that each row is tied in, and which rows wait `[N]`."""
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
    homes = splits.copy()
    homes[moves & ~held] = np.asarray(SPLITS, dtype=object)[first[tied][moves & ~held]]
    return homes, tied, held


def _connected(n: int, ties: Sequence[Decision]) -> np.ndarray:
    """Return the number of the set that the ties put each row in `[n]`; a row that none names is a set by itself."""
    pairs = [(tie.rows[0], row) for tie in ties for row in tie.rows]
    return components(n, np.array(pairs, dtype=np.int64).reshape(-1, 2))


def _ties(outcome: _Outcome, splits: np.ndarray) -> list[Decision]:
    """Return the ties that move a row, and the rows of test that were confirmed to move."""
    moved = outcome.homes != splits
    order = np.argsort(outcome.tied, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(outcome.tied[order])) + 1) if moved.any() else []:
        if not moved[rows].any():
            continue
        found.append(Decision("together", tuple(rows.tolist())))
        freed = rows[moved[rows] & (splits[rows] == "test")]
        if len(freed):
            found.append(Decision("together", tuple(freed.tolist()), confirmed=True))
    return found
