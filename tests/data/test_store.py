import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from itertools import permutations
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tl_core.data.dataset import FIRST_LINES, Dataset
from tl_core.data.options import RawItem, no_progress
from tl_core.data.sources import list_datasets, manifest, open_dataset
from tl_core.data.sources.store import Draft, store
from tl_core.errors import DataError, ImportCancelled

FOUND = (("fluid", "cough"), (), ("cough",), ("cough", "fracture"))


def multilabel(labels=FOUND, **more):
    return [RawItem(f"row {i}", "", text=f"finding {i}", labels=item, **more) for i, item in enumerate(labels)]


def put(items, workspace):
    return store(items, Draft("x-rays", "x.csv", "text", subgroup_column="sex"), workspace, no_progress)


def test_items_with_several_labels(workspace):
    dataset = Dataset.open(put(multilabel(), workspace).folder)
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
    assert put(multilabel(**more), workspace).fingerprint == put(multilabel(**more), workspace).fingerprint
    others = (
        [multilabel(), multilabel((*FOUND[:3], ("cough",))), multilabel(FOUND[::-1])]
        if more
        else [multilabel(FOUND[::-1])]
    )
    assert put(multilabel(**more), workspace).fingerprint not in {put(item, workspace).fingerprint for item in others}


def notes(count=5):
    return (RawItem(f"row {i}", "ab"[i % 2], text=f"note {i}") for i in range(count))


def test_items_may_come_one_by_one(workspace):
    reported = []
    dataset = store(notes(), Draft("notes", "notes", "text"), workspace, lambda *step: reported.append(step), total=7)
    assert len(dataset.items) == 5
    assert reported[0] == ("Reading texts", 0, 7)
    assert ("Reading texts", 5, 5) in reported
    assert ("Writing the list of items", 5, 5) in reported
    assert dataset.fingerprint == put(list(notes()), workspace).fingerprint


def test_a_progress_callback_stops_an_import_and_nothing_is_left(workspace):
    def stop(*step):
        raise ImportCancelled

    existing = put(multilabel(), workspace)
    with pytest.raises(ImportCancelled, match="cancelled"):
        store(notes(), Draft("notes", "notes", "text"), workspace, stop)
    assert [item.name for item in workspace.folder("datasets").iterdir()] == [existing.fingerprint]


def mixed():
    given, labels = ("train", "test", ""), ["10", "9", "1", "9"]
    return [RawItem(f"row {i}", labels[i % 4], given[i % 3], f"g{i % 2}", f"text {i} 'ü' \n") for i in range(9)]


def several_in_time():
    labels = [("b", "a", "b"), (), ("c",), ("a", "c"), ("c", "a")]
    return [
        RawItem(
            f"row {i}", "", text=f"text {i}", labels=labels, subgroup="old" * (i % 2), time=i * 0.1 if i % 3 else nan
        )
        for i, labels in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("items", "fingerprint"), [(mixed(), "96aab83abc162709edc6"), (several_in_time(), "7b8fb5fc5214bf08d600")]
)
def test_a_fingerprint_stays_what_it_was_when_it_was_first_given(items, fingerprint, workspace):
    assert put(items, workspace).fingerprint == fingerprint


def by_hand(items):
    """Return rows and fingerprint of multilabel items, computed in memory from the definition."""
    names = sorted({name for item in items for name in item.labels})
    counts = {name: sum(name in item.labels for item in items) for name in names}
    rows, hasher = [], hashlib.sha256(repr(("text", tuple(names))).encode())
    for item in items:
        digest = hashlib.sha256(item.text.encode()).hexdigest()
        labels = sorted({names.index(name) for name in item.labels})
        rarest = min(labels, key=lambda i: (counts[names[i]], i), default=len(names))
        more = [item for item in (item.subgroup, item.time) if item and item == item]
        hasher.update(repr((digest, rarest, item.given, item.group, labels, *more)).encode())
        rows.append((item.id, item.text, rarest, digest, labels, item.subgroup, item.time))
    return rows, hasher.hexdigest()[:20]


@pytest.mark.parametrize("part", [1, 7, 1000])
def test_a_manifest_written_in_parts_is_the_one_written_at_once(part, workspace, monkeypatch):
    monkeypatch.setattr(manifest, "_ROWS", part)
    draw = np.random.default_rng(0)
    items = []
    for i in range(60):
        labels = tuple(draw.permutation(list("abcde"))[: draw.integers(4)].tolist())
        subgroup, when = ("old", "")[draw.integers(2)], (nan, i / 7 + 1)[draw.integers(2)]
        text, group = f"text {draw.integers(50)}", f"g{draw.integers(3)}"
        items.append(RawItem(f"row {i}", "", text=text, labels=labels, group=group, subgroup=subgroup, time=when))
    rows, fingerprint = by_hand(items)
    dataset = put(iter(items), workspace)
    assert dataset.fingerprint == fingerprint
    read = dataset.items[["id", "text", "label", "digest", "labels", "subgroup", "time"]]
    for row, wanted in zip(read.itertuples(index=False), rows, strict=True):
        assert (*row[:4], list(row.labels), row.subgroup) == wanted[:6]
        assert row.time == wanted[6] or (isnan(row.time) and isnan(wanted[6]))


def test_texts_of_many_characters_are_written_before_they_fill_the_memory(workspace, monkeypatch):
    monkeypatch.setattr(manifest, "_CHARACTERS", 100)
    long = [RawItem(f"row {i}", "a", text=f"{i}" * 60) for i in range(9)]
    assert put(long, workspace).items["text"].tolist() == [item.text for item in long]


def test_characters_that_no_file_can_hold_are_replaced(workspace):
    dataset = put([RawItem("row \ud800", "a\udfff", text="half \ud83d of it", group="\ud800")], workspace)
    assert dataset.classes == ("a?",)
    assert dataset.items.iloc[0][["id", "text", "group"]].tolist() == ["row ?", "half ? of it", "?"]


def test_the_order_of_classes_follows_from_their_names_alone():
    names = ("2", "nan", "1", "inf", "10")
    assert {manifest.sort_classes(order) for order in permutations(names)} == {("1", "10", "2", "inf", "nan")}
    assert manifest.sort_classes(("10", "2", "1")) == ("1", "2", "10")


def odd_and_even(count):
    for i in range(count):
        yield RawItem(f"row {i}", "a", text=("", f"\t{i} " + "x" * 30)[i % 2])


def test_a_long_receipt_lies_in_a_file_and_its_counts_stay(workspace):
    workspace = type(workspace)(workspace.root, type(workspace.limits)(cell=10))
    count = 2 * FIRST_LINES + 10
    dataset = put(odd_and_even(count), workspace)
    receipt = Dataset.open(dataset.folder).receipt
    assert (receipt.taken, receipt.skipped, receipt.converted) == (count // 2, count // 2, count // 2)
    assert len(receipt.lines) == FIRST_LINES
    lines = list(dataset.receipt_lines())
    assert [line.item for line in lines] == [f"row {i}" for i in range(count)]
    assert [line.action for line in lines] == ["skipped", "converted"] * (count // 2)
    assert lines[0].reason == "the text is empty"
    assert tuple(lines[:FIRST_LINES]) == receipt.lines
    again = put([item for item in odd_and_even(count) if item.text], workspace)
    assert again.fingerprint == dataset.fingerprint
    assert (again.receipt.skipped, again.receipt.converted) == (0, count // 2)
    assert [line.action for line in again.receipt_lines()] == ["converted"] * (count // 2)


def test_an_older_data_set_without_counts_opens(workspace):
    dataset = put(mixed(), workspace)
    file = dataset.folder / "dataset.json"
    fields = json.loads(file.read_text())
    fields["receipt"] = {"source": "x.csv", "taken": 9, "lines": [{"item": "a", "action": "skipped", "reason": "b"}]}
    file.write_text(json.dumps(fields))
    opened = Dataset.open(dataset.folder)
    assert (opened.receipt.skipped, opened.receipt.converted) == (1, 0)
    assert [line.item for line in opened.receipt_lines()] == ["a"]


@pytest.mark.parametrize(
    "content", ["", "null", "{", '{"name": "x-rays"}', '{"receipt": {}, "split": 1, "classes": []}', "[" * 100_000]
)
def test_a_damaged_data_set_hides_no_other_and_is_whole_again_after_an_import(workspace, content):
    damaged, good = put(mixed(), workspace), put(multilabel(), workspace)
    (damaged.folder / "dataset.json").write_text(content)
    assert [dataset.fingerprint for dataset in list_datasets(workspace)] == [good.fingerprint]
    with pytest.raises(DataError, match="damaged") as refused:
        open_dataset(workspace, damaged.fingerprint)
    assert "Import it again" in refused.value.hint
    put(mixed(), workspace)
    assert open_dataset(workspace, damaged.fingerprint).receipt == damaged.receipt


SLOW = """
import sys, time
from tl_core.data.options import RawItem, no_progress
from tl_core.data.sources.store import Draft, store
from tl_core.workspace import Workspace
from tests.data.files import picture
from pathlib import Path

def items():
    for i in range(100000):
        if i == 40:
            print("on the way", flush=True)
            time.sleep(60)
        yield RawItem(f"{i}.png", "a", read=lambda: picture(i))

store(items(), Draft("slow", "slow", "image"), Workspace(Path(sys.argv[1])), no_progress)
"""


def test_a_killed_import_leaves_what_was_there_and_its_own_rest_goes_at_the_next(workspace):
    existing = put(mixed(), workspace)
    before = {path: path.read_bytes() for path in existing.folder.rglob("*") if path.is_file()}
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(workspace.root)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    with child.stdout as reported:
        assert reported.readline() == b"on the way\n"
        root = workspace.folder("datasets")
        part = next(root.glob(".import-*.part"))
        os.utime(part, (time.time() - 3600,) * 2)
        put(multilabel(), workspace)
        assert part.exists(), "an import at work must not be swept by another one"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert len(list((part / "images").iterdir())) > 30
    assert {path: path.read_bytes() for path in before} == before
    os.utime(part, (time.time() - 3600,) * 2)
    put(multilabel(), workspace)
    assert not part.exists()
    assert not list(root.glob(".*"))
    pd.testing.assert_frame_equal(put(mixed(), workspace).items, existing.items)
