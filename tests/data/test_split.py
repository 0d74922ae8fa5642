import os
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import split_oracle
from tl_core.data.split import SPLITS, SplitSpec, assign, split_rule, time_findings, unite
from tl_core.runs.task import Task
from tl_core.types import dump, load


def manifest(labels, digests=None, groups=None, givens=None):
    n = len(labels)
    return pd.DataFrame(
        {
            "label": labels,
            "digest": [f"d{i:06d}" for i in range(n)] if digests is None else [f"d{d}" for d in digests],
            "group": [""] * n if groups is None else groups,
            "given": [""] * n if givens is None else givens,
        }
    )


@st.composite
def manifests(draw, givens=("",)):
    n = draw(st.integers(1, 60))
    column = st.lists(st.integers(0, draw(st.integers(0, 70))), min_size=n, max_size=n)
    labels = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    groups = draw(st.lists(st.sampled_from(["", "", "g1", "g2", "g3"]), min_size=n, max_size=n))
    given_splits = draw(st.lists(st.sampled_from(givens), min_size=n, max_size=n))
    return manifest(labels, draw(column), groups, given_splits)


specs = st.builds(
    SplitSpec,
    validation=st.sampled_from([0.0, 0.1, 0.15, 0.4]),
    test=st.sampled_from([0.0, 0.15, 0.3]),
    seed=st.integers(0, 5),
)


@given(items=manifests(), spec=specs)
@settings(deadline=None)
def test_nothing_straddles_and_train_has_every_class(items, spec):
    splits = assign(items, spec)
    items = items.assign(split=splits)
    assert set(splits) <= set(SPLITS)
    assert items.groupby("digest")["split"].nunique().max() == 1
    grouped = items[items["group"] != ""]
    assert grouped.empty or grouped.groupby("group")["split"].nunique().max() == 1
    assert set(items.loc[items["split"] == "train", "label"]) == set(items["label"])
    for name in ("validation", "test"):
        if not getattr(spec, name):
            assert not (splits == name).any()


@given(items=manifests(givens=("", "train", "validation", "test")), spec=specs)
@settings(deadline=None)
def test_given_splits_stay(items, spec):
    splits = assign(items, spec)
    present = set(items["given"]) - {""}
    if "train" not in present:
        return
    for name in present - {"train"}:
        assert (splits[items["given"] == name] == name).all()
    if present == set(SPLITS):
        assert (splits[items["given"] == "train"] == "train").all()


@given(items=manifests(), spec=specs, order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_manifest_does_not_matter(items, spec, order):
    rows = list(range(len(items)))
    order.shuffle(rows)
    items = items.assign(digest=[f"u{i}" for i in range(len(items))])
    shuffled = items.iloc[rows].reset_index(drop=True)
    assert assign(shuffled, spec).tolist() == assign(items, spec)[rows].tolist()


@pytest.mark.parametrize("counts", [[50, 50], [500, 30, 9], [7] * 40, [3] * 100])
def test_fractions_hold_in_every_class_and_overall(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    splits = assign(manifest(labels), SplitSpec())
    for name in ("validation", "test"):
        share = (splits == name).mean()
        assert abs(share - 0.15) < 0.03
        for label, count in enumerate(counts):
            inside = ((splits == name) & (labels == label)).sum()
            assert abs(inside - 0.15 * count) <= 1.5


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 1), (3, 1), (4, 2), (10, 6)])
def test_tiny_classes_keep_train_items(count, expected):
    labels = np.repeat([0, 1], [40, count])
    splits = assign(manifest(labels), SplitSpec())
    assert ((splits == "train") & (labels == 1)).sum() >= expected


def test_four_of_a_class_are_in_every_split():
    splits = assign(manifest(np.repeat(range(10), 4)), SplitSpec())
    for label in range(10):
        assert set(splits[4 * label : 4 * label + 4]) == set(SPLITS)


def test_a_small_set_has_no_empty_split():
    for n in (3, 4, 6):
        assert set(assign(manifest([0] * n + [1] * n), SplitSpec())) == set(SPLITS)


def test_a_few_large_groups_still_fill_every_split():
    items = manifest([i % 2 for i in range(100)], groups=[f"patient {i // 25}" for i in range(100)])
    assert set(assign(items, SplitSpec())) == set(SPLITS)


def test_another_seed_is_another_split():
    items = manifest([0, 1] * 50)
    assert (assign(items, SplitSpec(seed=1)) != assign(items, SplitSpec(seed=2))).any()


def test_validation_is_carved_out_of_train():
    givens = ["train"] * 80 + ["test"] * 20
    items = manifest([0, 1] * 50, givens=givens)
    splits = assign(items, SplitSpec(validation=0.15, test=0.2))
    assert (splits[80:] == "test").all()
    assert set(splits[:80]) == {"train", "validation"}
    assert abs((splits == "validation").sum() - 15) <= 1


def test_test_is_carved_out_of_train():
    items = manifest([0, 1] * 50, givens=["train"] * 85 + ["validation"] * 15)
    splits = assign(items, SplitSpec())
    assert (splits[85:] == "validation").all()
    assert abs((splits == "test").sum() - 15) <= 1


def test_a_copy_across_given_splits_stays_where_it_is_and_nowhere_else():
    digests = [*range(9), 50, *range(20, 29), 50]
    items = manifest([0, 1] * 10, digests, givens=["train"] * 19 + ["test"])
    for seed in range(20):
        splits = assign(items, SplitSpec(seed=seed))
        assert (splits[9], splits[19]) == ("train", "test")


def test_an_open_row_joins_its_copy():
    items = manifest([0, 1, 0, 1], [1, 2, 1, 3], givens=["test", "train", "", "validation"])
    assert assign(items, SplitSpec()).tolist() == ["test", "train", "test", "validation"]


@pytest.mark.parametrize("givens", [["test"] * 40, ["validation"] * 40])
def test_given_splits_without_train_are_not_used(givens):
    assert set(assign(manifest([0, 1] * 20, givens=givens), SplitSpec())) == set(SPLITS)


def test_given_splits_can_be_ignored():
    items = manifest([0, 1] * 50, givens=["train"] * 99 + ["test"])
    assert (assign(items, SplitSpec(honour_given=False)) == "test").sum() == 15


@pytest.mark.parametrize("spec", [SplitSpec(0.5, 0.5), SplitSpec(-0.1, 0.1), SplitSpec(0.1, 1.0)])
def test_impossible_fractions(spec):
    with pytest.raises(ValueError, match="must leave something to train on"):
        assign(manifest([0, 1]), spec)


def test_another_process_gives_the_same_split():
    code = (
        "import pandas as pd; from tl_core.data.split import *;"
        "n = 200; d = pd.DataFrame({'label': [i % 3 for i in range(n)], 'digest': [f'd{i % 150}' for i in range(n)],"
        "'group': [f'g{i % 90}' if i % 5 == 0 else '' for i in range(n)], 'given': [''] * n});"
        "print(''.join(s[1] for s in assign(d, SplitSpec())))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(runs.pop()) > 200


@given(items=manifests(givens=("", "", "train", "validation", "test")), spec=specs)
@settings(deadline=None, max_examples=300)
def test_the_split_is_that_of_the_plain_loop(items, spec):
    assert assign(items, spec).tolist() == split_oracle.assign(items, spec).tolist()


@pytest.mark.parametrize("kinds", [1, 3, 200])
def test_a_large_split_is_that_of_the_plain_loop(kinds):
    draw = np.random.default_rng(kinds)
    groups = [f"g{g}" if g < 300 else "" for g in draw.integers(0, 900, 3000)]
    givens = draw.choice(["", "train", "test"], 3000).tolist()
    items = manifest(draw.integers(0, kinds, 3000), draw.integers(0, 2500, 3000), groups, givens)
    for spec in (SplitSpec(seed=4), SplitSpec(honour_given=False)):
        assert assign(items, spec).tolist() == split_oracle.assign(items, spec).tolist()


numbers = st.lists(st.integers(-1, 6), min_size=60, max_size=60)


@given(items=manifests(), spec=specs, near=numbers, more=numbers)
@settings(deadline=None)
def test_what_is_tied_stays_together(items, spec, near, more):
    ties = [np.array(tie[: len(items)]) for tie in (near, more)]
    splits = assign(items, spec, ties)
    for tie in ties:
        for number in set(tie.tolist()) - {-1}:
            assert len(set(splits[tie == number])) == 1
    assert set(items.loc[splits == "train", "label"]) == set(items["label"])
    # the same as if the manifest itself had said it
    united = unite(*ties, np.arange(len(items)), items["digest"].factorize()[0], groups_of(items))
    assert splits.tolist() == split_oracle.assign(items.assign(group=[f"g{n}" for n in united]), spec).tolist()


def groups_of(items):
    return np.where(items["group"] == "", -1, items["group"].factorize()[0])


@given(st.lists(st.lists(st.integers(-2, 9), min_size=12, max_size=12), min_size=1, max_size=3))
@settings(deadline=None)
def test_units_are_the_classes_of_what_is_connected(drawn):
    united = unite(*(np.array(groups) for groups in drawn))
    expected = list(range(12))
    for _ in range(12):  # long enough for any chain
        for groups in drawn:
            for i, j in zip(*np.nonzero(np.equal.outer(groups, groups)), strict=True):
                if groups[i] >= 0:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    assert [list(united).index(n) for n in united] == expected


def test_ties_between_given_splits_move_nothing():
    items = manifest([0, 1] * 50, givens=["train"] * 80 + ["test"] * 20)
    near = np.where(np.arange(100) % 40 == 3, 7, -1)  # rows 3 and 43 of train, 83 of test
    for seed in range(10):
        splits = assign(items, SplitSpec(seed=seed), [near])
        assert (splits[80:] == "test").all()
        assert (splits[[3, 43]] == "train").all()
        assert (splits == "validation").sum() > 0


def dated(times, **columns):
    return manifest([i % 2 for i in range(len(times))], **columns).assign(time=times)


BY_TIME = SplitSpec(by="time")


def test_the_newest_are_the_test_items():
    when = np.random.default_rng(0).permutation(200).astype(float)
    splits = assign(dated(when), BY_TIME)
    assert {name: int((splits == name).sum()) for name in SPLITS} == {"train": 140, "validation": 30, "test": 30}
    assert when[splits == "test"].min() > when[splits == "validation"].max()
    assert when[splits == "validation"].min() > when[splits == "train"].max()
    assert time_findings(dated(when), BY_TIME) == []


@given(
    times=st.lists(st.sampled_from([np.nan, 1.0, 2.0, 3.0, 5.0]), min_size=2, max_size=40),
    near=st.lists(st.integers(-9, 3), min_size=40, max_size=40),
    spec=st.builds(SplitSpec, st.sampled_from([0.0, 0.2]), st.sampled_from([0.1, 0.5]), by=st.just("time")),
)
@settings(deadline=None, max_examples=60)
def test_a_split_by_time_holds_its_order(times, near, spec):
    items, near = dated(times), np.array(near[: len(times)])
    oldest = items["time"].groupby(unite(near, np.arange(len(near)))).transform("min")
    splits = assign(items, spec, [near])
    if oldest.nunique() < 2:
        assert splits.tolist() == assign(items, SplitSpec(spec.validation, spec.test), [near]).tolist()
        return
    for earlier, later in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not oldest[splits == earlier].max() >= oldest[splits == later].min()
    assert (splits == "test").any()
    assert (splits[oldest.isna()] == "train").all()
    assert (splits == "validation").any() == bool(spec.validation and oldest.nunique() > 2)


@pytest.mark.parametrize(
    ("times", "code"),
    [([np.nan] * 9, "no-time"), ([5.0] * 9, "no-time"), ([1.0, 2.0, np.nan] * 3, "some-without-time")],
)
def test_a_split_by_time_reports_items_without_a_time(times, code):
    assert [finding.code for finding in time_findings(dated(times), BY_TIME)] == [code]
    assert time_findings(dated(times), SplitSpec()) == []


MANY = np.arange(40.0)
NAMED = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10


@pytest.mark.parametrize(
    ("times", "givens", "spec", "expected"),
    [
        (MANY, NAMED, SplitSpec(), "given"),
        (MANY, NAMED, BY_TIME, "given"),
        (MANY, NAMED, SplitSpec(honour_given=False), "random"),
        (MANY, ["test"] * 10 + [""] * 30, SplitSpec(), "random"),
        (MANY, ["test"] * 10 + [""] * 30, BY_TIME, "time"),
        (np.ones(40), None, BY_TIME, "random"),
        (np.where(MANY == 3, 3.0, np.nan), None, BY_TIME, "random"),
    ],
)
def test_the_reported_split_rule_is_the_one_that_is_applied(times, givens, spec, expected):
    items = dated(times, givens=givens)
    assert split_rule(items, spec) == expected
    splits = assign(items, spec)
    assert (splits != assign(items, replace(spec, seed=1))).any() == (expected == "random"), "a seed moves only a draw"
    if expected == "given":
        assert splits.tolist() == NAMED


def test_validation_by_time_is_carved_out_of_a_given_train():
    when = np.arange(100.0)[::-1]
    splits = assign(dated(when, givens=["test"] * 20 + ["train"] * 80), BY_TIME)
    assert (splits[:20] == "test").all()
    assert when[splits == "validation"].min() > when[splits == "train"].max()


def test_a_spec_that_was_saved_before_keeps_its_split():
    old = {"validation": 0.2, "test": 0.1, "seed": 3, "honour_given": False}
    assert load(SplitSpec, old) == SplitSpec(0.2, 0.1, 3, False, keep_near=False)
    assert dump(load(SplitSpec, old)) == old
    task = Task("probe", "tiny", split=SplitSpec(0.2, 0.1, 3, False, keep_near=False))
    assert dump(task)["split"] == old
    for by, near in product(("random", "time"), (True, False)):
        spec = SplitSpec(by=by, keep_near=near)
        assert load(SplitSpec, dump(spec)) == spec
        assert load(Task, dump(replace(task, split=spec))).split == spec
