"""Test items from a second source."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.files import picture, pictures
from tl_core.data.options import ImportOptions
from tl_core.data.separate_test_set import import_with_test
from tl_core.data.sources import import_data
from tl_core.errors import DataError


def table(path: Path, labels: list[str], start: int = 0, more: str = "") -> str:
    rows = "\n".join(f"item {start + n} is said in these words,{label}" for n, label in enumerate(labels))
    path.write_text(f"said,kind\n{rows}\n{more}")
    return str(path)


def folder(root: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(root)


def test_all_of_the_first_is_learned_from_and_all_of_the_second_is_asked(workspace, tmp_path):
    main_source = table(tmp_path / "mine.csv", ["good", "bad"] * 20)
    test_source = table(tmp_path / "theirs.csv", ["bad", "good", "strange"] * 4, 100)
    dataset = import_with_test(main_source, test_source, workspace)
    texts, splits = dataset.items["text"].to_numpy(), dataset.splits
    assert set(texts[splits == "test"]) == {f"item {100 + n} is said in these words" for n in range(12) if n % 3 < 2}
    assert set(texts[splits != "test"]) == {f"item {n} is said in these words" for n in range(40)}
    assert (splits == "validation").any(), "what is learned from still judges when to stop"
    names = np.array(dataset.classes)[dataset.labels]
    assert names[texts == "item 0 is said in these words"] == ["good"]
    assert names[texts == "item 100 is said in these words"] == ["bad"]
    skipped = [(line.item, line.reason) for line in dataset.receipt.lines]
    assert skipped == [(f"test: row {n}", "its label 'strange' does not occur in mine.csv") for n in (4, 7, 10, 13)]
    again = import_with_test(main_source, test_source, workspace)
    assert again.fingerprint == dataset.fingerprint


def test_pictures_keep_their_pixels_and_what_is_learned_from_does_not_test(workspace, tmp_path):
    first = pictures(*(f"{kind}/{n}.png" for kind in ("cats", "dogs") for n in range(5)))
    second = {name: picture(50 + n) for n, name in enumerate(("cats/0.png", "dogs/2.png", "dogs/3.png"))}
    second["dogs/again.png"] = first["dogs/3.png"]
    main_source, test_source = folder(tmp_path / "a", first), folder(tmp_path / "b", second)
    (tmp_path / "b" / "cats" / "notes.txt").write_text("no picture")
    dataset, alone = import_with_test(main_source, test_source, workspace), import_data(main_source, workspace)
    stored = dict(zip(dataset.items["id"], dataset.items["path"], strict=True))
    for name, path in zip(alone.items["id"], alone.items["path"], strict=True):
        assert (dataset.folder / stored[name]).read_bytes() == (alone.folder / path).read_bytes()
    tests = [f"test: {name}" for name in second if name != "dogs/again.png"]
    assert sorted(dataset.items["id"][dataset.splits == "test"]) == sorted(tests)
    skipped = {line.item: line.reason for line in dataset.receipt.lines if line.action == "skipped"}
    assert set(skipped) == {"test: cats/notes.txt", "test: dogs/again.png"}
    assert skipped["test: dogs/again.png"] == "it is in a too, so it is learned from and cannot test"


def test_several_labels_stay_with_their_items(workspace, tmp_path):
    for name, start in (("a", 0), ("b", 50)):
        labels = ["hot;sweet", "cold", "", "sweet;cold"] * 6
        rows = "".join(f"dish {start + n} with words enough|{label}\n" for n, label in enumerate(labels))
        (tmp_path / f"{name}.csv").write_text(f"said|taste\n{rows}")
    options = ImportOptions(separator=";")
    dataset = import_with_test(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), workspace, options)
    assert dataset.multilabel
    place = dataset.items["text"].tolist().index("dish 53 with words enough")
    assert {dataset.classes[k] for k in dataset.items["labels"][place]} == {"sweet", "cold"}
    assert dataset.splits[place] == "test"
    assert (dataset.splits == "test").sum() == 24


def test_no_item_that_is_learned_from_tests(workspace, tmp_path):
    main_source = table(tmp_path / "mine.csv", ["good", "bad"] * 8)
    with pytest.raises(DataError, match=r"No item of mine\.csv can test: each is in mine\.csv too"):
        import_with_test(main_source, main_source, workspace)
    several = tmp_path / "several.csv"
    several.write_text("said,kind\n" + "".join(f"some words {n},good;{'odd' if n % 2 else 'new'}\n" for n in range(8)))
    options = ImportOptions(separator=";")
    with pytest.raises(DataError, match="No item of several"):
        import_with_test(main_source, str(several), workspace, options)


def test_named_test_items_stay_for_the_test_where_nothing_is_named_for_train(workspace, tmp_path):
    rows = "".join(f"some words {n},{'ab'[n % 2]},validation\n" for n in range(30))
    (tmp_path / "mine.csv").write_text(f"said,kind,split\n{rows}")
    test_source = table(tmp_path / "theirs.csv", ["a", "b"] * 5, 100)
    dataset = import_with_test(str(tmp_path / "mine.csv"), test_source, workspace)
    assert all(item.startswith("test: ") for item in dataset.items["id"][dataset.splits == "test"])
    assert (dataset.splits == "test").sum() == 10


def test_a_misspelt_label_is_reported_with_a_suggestion(workspace, tmp_path):
    main_source = table(tmp_path / "mine.csv", ["praise", "question"] * 8)
    test_source = table(tmp_path / "theirs.csv", ["Praise", "qestion", "question"] * 4, 100)
    skipped = [line.reason for line in import_with_test(main_source, test_source, workspace).receipt.lines][:2]
    assert skipped == [
        "its label 'Praise' does not occur in mine.csv; perhaps 'praise' is meant",
        "its label 'qestion' does not occur in mine.csv; perhaps 'question' is meant",
    ]


def test_two_sources_that_do_not_match_are_refused(workspace, tmp_path):
    texts = table(tmp_path / "texts.csv", ["good", "bad"] * 8)
    images = folder(tmp_path / "images", pictures("good/1.png", "bad/1.png"))
    with pytest.raises(DataError, match=r"texts\.csv holds texts and images holds images"):
        import_with_test(texts, images, workspace)
    other = table(tmp_path / "other.csv", ["up", "down"] * 8)
    with pytest.raises(DataError, match="none of the labels"):
        import_with_test(texts, other, workspace)
    names = (f"{split}/{label}/{n}.png" for split in ("train", "test") for label in "ab" for n in "12")
    parted = folder(tmp_path / "parted", pictures(*names))
    with pytest.raises(DataError, match="names test items of its own"):
        import_with_test(parted, parted, workspace)
    listed = folder(tmp_path / "listed", pictures(*(f"pictures/{n}.png" for n in range(6))))
    rows = "\n".join(f"pictures/{n}.png,{'good;bad' if n % 2 else 'good'}" for n in range(6))
    (tmp_path / "listed" / "labels.csv").write_text(f"file,kind\n{rows}\n")
    with pytest.raises(DataError, match="items of listed may have several labels, but those of images have one each"):
        import_with_test(images, listed, workspace, ImportOptions(separator=";"))
