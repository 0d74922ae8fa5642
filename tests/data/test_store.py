import numpy as np
import pytest

from tl_core.data.dataset import Dataset
from tl_core.data.options import RawItem, silent
from tl_core.data.sources.store import Draft, store
from tl_core.errors import ImportCancelled

FOUND = (("fluid", "cough"), (), ("cough",), ("cough", "fracture"))


def several(labels=FOUND, **more):
    return [RawItem(f"row {i}", "", text=f"finding {i}", labels=each, **more) for i, each in enumerate(labels)]


def put(items, workspace):
    return store(items, Draft("x-rays", "x.csv", "text", subgroup_column="sex"), workspace, silent)


def test_items_with_several_labels(workspace):
    dataset = Dataset.open(put(several(), workspace).folder)
    assert dataset.multilabel
    assert dataset.classes == ("cough", "fluid", "fracture")
    assert dataset.targets.dtype == np.float32
    assert dataset.targets.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1]]
    assert dataset.labels.tolist() == [1, 3, 0, 2]  # the rarest, and none


def test_one_label_each_in_the_same_terms(workspace):
    dataset = put([RawItem("row 1", "b", text="x"), RawItem("row 2", "a", text="y")], workspace)
    assert not dataset.multilabel
    assert dataset.targets.tolist() == [[0, 1], [1, 0]]
    assert dataset.items["subgroup"].tolist() == ["", ""]
    assert np.isnan(dataset.items["time"]).all()


def test_subgroup_and_time_are_kept_where_they_are_there(workspace):
    items = [RawItem("row 1", "b", text="x", subgroup="old", time=5.0), RawItem("row 2", "a", text="y")]
    dataset = Dataset.open(put(items, workspace).folder)
    assert dataset.items["subgroup"].tolist() == ["old", ""]
    np.testing.assert_array_equal(dataset.items["time"], [5.0, np.nan])
    assert dataset.subgroup_column == "sex"


@pytest.mark.parametrize("more", [{"subgroup": "old"}, {"time": 5.0}, {"group": "g"}, {}])
def test_what_a_split_or_a_training_depends_on_is_in_the_fingerprint(more, workspace):
    assert put(several(**more), workspace).fingerprint == put(several(**more), workspace).fingerprint
    others = [several(), several((*FOUND[:3], ("cough",))), several(FOUND[::-1])] if more else [several(FOUND[::-1])]
    assert put(several(**more), workspace).fingerprint not in {put(each, workspace).fingerprint for each in others}


def notes(count=5):
    return (RawItem(f"row {i}", "ab"[i % 2], text=f"note {i}") for i in range(count))


def test_items_may_come_one_by_one(workspace):
    told = []
    dataset = store(notes(), Draft("notes", "notes", "text"), workspace, lambda *step: told.append(step), total=7)
    assert len(dataset.items) == 5
    assert told[0] == ("Reading texts", 0, 7)
    assert told[-1] == ("Reading texts", 5, 5)
    assert dataset.fingerprint == put(list(notes()), workspace).fingerprint


def test_a_progress_callback_stops_an_import_and_nothing_is_left(workspace):
    def stop(*step):
        raise ImportCancelled

    kept = put(several(), workspace)
    with pytest.raises(ImportCancelled, match="cancelled"):
        store(notes(), Draft("notes", "notes", "text"), workspace, stop)
    assert [each.name for each in workspace.folder("datasets").iterdir()] == [kept.fingerprint]
