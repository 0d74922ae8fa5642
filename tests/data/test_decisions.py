"""Decisions: their effect on labels and splits, compared with a plain loop over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.data.decisions import (
    LEFT_OUT,
    Decision,
    answered_rows,
    apply_decisions,
    check_decisions,
    effect_digest,
    effective_decisions,
    unconfirmed,
)
from tl_core.errors import DataError
from tl_core.types import dump, load

N, CLASSES = 9, ("ant", "bee", "cat")
LABELS = np.array([0, 1, 2] * 3)
SPLITS = np.array(
    ["train", "train", "train", "train", "validation", "validation", "test", "test", "test"], dtype=object
)
rows = st.lists(st.integers(0, N - 1), max_size=4, unique=True).map(tuple)
single = st.one_of(
    st.builds(Decision, st.just("drop"), rows, confirmed=st.booleans(), code=st.sampled_from(["", "a", "b"])),
    st.builds(Decision, st.just("relabel"), rows, st.sampled_from(CLASSES), confirmed=st.booleans()),
    st.builds(Decision, st.just("keep"), rows, code=st.sampled_from(["a", "b"])),
)
ties = st.builds(Decision, st.just("together"), rows, confirmed=st.booleans())
multilabel = st.lists(st.one_of(single, ties), max_size=8)
splits = st.lists(st.sampled_from(["train", "validation", "test"]), min_size=N, max_size=N).map(
    lambda names: np.array(names, dtype=object)
)


def brute(decisions, before):
    """Apply decisions row by row; merge tied sets until nothing changes."""
    sets = [{row} for row in range(N)]
    for decision in decisions:
        if decision.action == "together" and decision.rows:
            touched = [one for one in sets if one & set(decision.rows)]
            sets = [one for one in sets if one not in touched] + [set().union(*touched)]
    labels, after = LABELS.copy(), before.copy()
    for row in range(N):
        inside = [before[other] for other in next(one for one in sets if row in one)]
        home = next(split for split in ("train", "validation", "test") if split in inside)
        freed = any(d.action == "together" and d.confirmed and row in d.rows for d in decisions)
        after[row] = home if before[row] != "test" or freed else "test"
        holding = [
            d
            for d in decisions
            if row in d.rows and d.action in ("drop", "relabel") and (d.confirmed or after[row] != "test")
        ]
        if holding and holding[-1].action == "drop":
            after[row] = LEFT_OUT
        elif holding:
            labels[row] = CLASSES.index(holding[-1].label_names[0])
    return labels, after


@given(multilabel, splits)
@settings(max_examples=300, deadline=None)
def test_decisions_are_applied_as_a_plain_loop_over_rows_does(decisions, before):
    originals = LABELS.copy(), before.copy()
    labels, after = apply_decisions(decisions, CLASSES, LABELS, before)
    wanted_labels, wanted_after = brute(decisions, before)
    assert after.tolist() == wanted_after.tolist()
    assert labels.tolist() == wanted_labels.tolist()
    assert (originals[0] == LABELS).all()
    assert (originals[1] == before).all()


@given(multilabel, splits)
@settings(max_examples=200, deadline=None)
def test_what_is_effective_has_the_same_effect_and_the_same_digest(decisions, before):
    short = effective_decisions(decisions, before)
    for mine, theirs in zip(*(apply_decisions(d, CLASSES, LABELS, before) for d in (decisions, short)), strict=True):
        assert (mine == theirs).all()
    assert effective_decisions(short, before) == short
    assert effect_digest(short, before) == effect_digest(decisions, before)
    assert bool(short) == bool(effect_digest(decisions, before))
    assert load(tuple[Decision, ...], [dump(decision) for decision in short]) == short


@given(st.lists(single, max_size=6), st.lists(ties, max_size=3), splits, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_only_decisions_about_the_same_item_depend_on_their_order(decisions, tied, before, random):
    by_row = [Decision(d.action, (row,), d.label, confirmed=d.confirmed) for d in decisions for row in d.rows]
    place = random.sample(range(N), N)
    mixed = sorted(by_row, key=lambda d: place[d.rows[0]])
    for decision in random.sample(tied, len(tied)):
        mixed.insert(random.randint(0, len(mixed)), decision)
    assert effect_digest(mixed, before) == effect_digest([*decisions, *tied], before)


@given(st.lists(single, max_size=6), splits)
@settings(max_examples=200, deadline=None)
def test_no_decision_about_single_items_moves_an_item_to_another_split(decisions, before):
    after = apply_decisions(decisions, CLASSES, LABELS, before)[1]
    assert all(mine in (theirs, LEFT_OUT) for mine, theirs in zip(after, before, strict=True))


@given(multilabel, splits)
@settings(max_examples=200, deadline=None)
def test_an_item_of_test_changes_only_by_a_confirmed_decision(decisions, before):
    labels, after = apply_decisions([d for d in decisions if not d.confirmed], CLASSES, LABELS, before)
    tested = before == "test"
    assert (after[tested] == "test").all()
    assert (labels[tested] == LABELS[tested]).all()


@given(multilabel, splits)
@settings(max_examples=200, deadline=None)
def test_confirming_what_waits_leaves_nothing_waiting(decisions, before):
    pending = unconfirmed(decisions, before)
    confirmed = [Decision(d.action, d.rows, d.label, d.code, confirmed=True) for d in pending]
    assert all(before[row] == "test" for d in pending for row in d.rows)
    assert unconfirmed([*decisions, *confirmed], before) == ()


def test_an_item_of_test_that_is_kept_waits_for_nothing():
    pending = [Decision("drop", (6, 7)), Decision("relabel", (0,), "bee"), Decision("keep", (6, 0))]
    assert unconfirmed(pending, SPLITS) == (Decision("drop", (7,)),)
    assert effect_digest(pending, SPLITS) == effect_digest(pending[:2], SPLITS)


def test_several_labels_an_item_are_given_as_a_set():
    targets = np.eye(3, dtype=np.float32)[LABELS]
    decided = [Decision("relabel", (0, 1), ("bee", "cat")), Decision("relabel", (2,), ())]
    after = apply_decisions(decided, CLASSES, targets, SPLITS)[0]
    assert after[:3].tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 0]]
    assert after.dtype == np.float32
    assert (after[3:] == targets[3:]).all()


def test_tied_items_go_to_the_first_split_and_those_of_test_when_confirmed():
    chain = [Decision("together", (3, 4)), Decision("together", (4, 6))]
    assert apply_decisions(chain, CLASSES, LABELS, SPLITS)[1][[3, 4, 6]].tolist() == ["train", "train", "test"]
    assert unconfirmed(chain, SPLITS) == (Decision("together", (6,)),)
    sure = [*chain, Decision("together", (6,), confirmed=True)]
    assert apply_decisions(sure, CLASSES, LABELS, SPLITS)[1][[3, 4, 6]].tolist() == ["train"] * 3


def test_a_finding_does_not_come_back_for_what_answered_it():
    decided = [Decision("keep", (1, 2), code="blank"), Decision("drop", (3,), code="odd")]
    assert answered_rows(decided, "blank") == {1, 2}
    assert answered_rows(decided, "odd") == {3}
    assert answered_rows(decided, "x") == set()


@pytest.mark.parametrize(
    ("decision", "by_rule"),
    [
        (Decision("drop", (1,)), "'bee' would lose its last training item"),
        (Decision("relabel", (1,), "ant"), "'bee' would lose its last training item"),
        (Decision("relabel", (1,), "dog"), "'dog' is not a class"),
        (Decision("relabel", (1,), ("ant", "bee")), "exactly one label"),
        (Decision("relabel", (1,)), "exactly one label"),
        (Decision("drop", (9,)), "no item with row number 9"),
        (Decision("keep", (-1,)), "no item with row number -1"),
    ],
)
def test_what_cannot_be_decided_is_refused_with_its_reason(decision, by_rule):
    with pytest.raises(DataError, match=by_rule):
        check_decisions([decision], [], CLASSES, LABELS, SPLITS)


def test_the_last_training_item_counts_what_was_decided_before():
    dropped = [Decision("drop", (0,))]
    check_decisions([Decision("keep", (3,))], dropped, CLASSES, LABELS, SPLITS)
    with pytest.raises(DataError, match="'ant' would lose"):
        check_decisions([Decision("drop", (3,))], dropped, CLASSES, LABELS, SPLITS)
