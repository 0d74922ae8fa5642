"""Nested label counts: contained, stratified, seeded."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.evaluation.nested_subsets import label_counts, nested_order


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 9))
def test_every_prefix_has_every_class_in_proportion(labels, seed):
    labels = np.array(labels)
    order = nested_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    counts = label_counts(labels)
    assert counts[-1] == len(labels)
    present = np.unique(labels)
    for count in counts:
        kept = labels[order[:count]]
        assert set(kept) == set(present)
        for label in present:
            share = count * np.mean(labels == label)
            assert abs(np.sum(kept == label) - share) <= len(present)


def test_the_order_depends_on_the_seed_and_repeats():
    labels = np.repeat([0, 1, 2], 20)
    assert (nested_order(labels, 1) == nested_order(labels, 1)).all()
    assert (nested_order(labels, 1) != nested_order(labels, 2)).any()
    assert {labels[i] for i in nested_order(labels, 1)[:3]} == {0, 1, 2}


def test_counts_double_from_one_a_class():
    assert label_counts(np.repeat([0, 1], 10)) == (2, 4, 8, 20)
    assert label_counts(np.array([0, 1])) == (2,)
    assert label_counts(np.empty(0, int)) == ()
