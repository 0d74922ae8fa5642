import json

import numpy as np
import pytest

from tests.data.files import encoded, picture, pictures
from tl_core.data.profile import Profile, profile
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError
from tl_core.types import dump, load


def make(rows, make_table, workspace, header="text,label"):
    return import_data(make_table(header + "\n" + "\n".join(rows) + "\n"), workspace)


def codes(result):
    return [f.code for f in result.findings]


def test_counts_sizes_and_json(make_zip, workspace):
    files = {f"{c}/{i}.png": picture(10 * n + i, (10 + i, 20)) for n, c in enumerate("ab") for i in range(10)}
    dataset = import_data(make_zip({**files, "a/x.png": b""}), workspace)
    result = profile(dataset)
    assert result.n == 20
    assert [(c.name, c.total) for c in result.classes] == [("a", 10), ("b", 10)]
    assert sum(result.splits.values()) == 20
    assert result.n_train == len(dataset.rows("train"))
    assert result.per_class_min == min(c.train for c in result.classes)
    assert result.balance == 1
    width, height = result.sizes
    assert (width.name, width.unit, width.minimum, width.maximum) == ("Width", "pixels", 10, 19)
    assert (height.minimum, height.maximum) == (20, 20)
    assert (result.skipped, result.converted, result.truncated) == (1, 0, None)
    assert load(Profile, json.loads(json.dumps(dump(result)))) == result
    result.require_usable()


def test_examples_are_training_items_of_every_class(make_zip, workspace):
    dataset = import_data(
        make_zip({f"{c}/{i}.png": picture(100 * n + i) for n, c in enumerate("abc") for i in range(20)}), workspace
    )
    result = profile(dataset)
    train = set(dataset.items["id"].to_numpy()[dataset.rows("train")])
    assert [e.label for e in result.examples] == [c for c in "abc" for _ in range(6)]
    assert all(e.id in train and open_ok(e.path) for e in result.examples)


def open_ok(path):
    with open(path, "rb") as file:
        return bool(file.read())


def test_lengths_and_truncation_in_tokens(tiny_tokenizer, make_table, workspace):
    rows = [f"{'a ' * n},{'xy'[n % 2]}" for n in range(1, 31)]
    result = profile(make(rows, make_table, workspace), tiny_tokenizer, max_tokens=10)
    characters, tokens = result.sizes
    assert (characters.unit, characters.minimum, characters.maximum) == ("characters", 1, 59)
    assert tokens.unit == "tokens"
    expected = np.array([n + tokens.minimum - 1 for n in range(1, 31)])
    assert tokens.maximum == expected.max()
    assert result.truncated == (expected > 10).sum()
    assert np.minimum(expected, 10).mean() <= result.typical_tokens <= 10
    assert "truncated" in codes(result)
    again = profile(make(rows, make_table, workspace), tiny_tokenizer, max_tokens=1000)
    assert (again.truncated, again.sizes) == (0, result.sizes)


@pytest.fixture
def tiny_tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_copies_conflicts_and_no_leak_of_our_own_split(make_table, workspace):
    rows = [f"words about thing {i},{'ab'[i % 2]}" for i in range(40)]
    rows += ["words about thing 1,b"] * 3 + ["  words about thing 2  ,b"]
    for seed in range(5):
        dataset = make(rows, make_table, workspace).change_split(SplitSpec(seed=seed))
        result = profile(dataset)
        assert (result.duplicates.copies, result.duplicates.groups) == (4, 2)
        assert (result.duplicates.conflicts, result.duplicates.leaks) == (1, 0)
        assert "label-conflict" in codes(result)
        assert "leak" not in codes(result)
    conflict = next(f for f in result.findings if f.code == "label-conflict")
    assert conflict.items == ("row 4", "row 45")
    assert conflict.message == "1 item occurs with two different labels."


def test_a_copy_across_given_splits_is_a_leak(make_zip, workspace):
    files = pictures(*(f"{s}/{c}/{i}.png" for s in ("train", "test") for c in "ab" for i in "123"))
    files["test/a/1.png"] = files["train/a/1.png"]
    result = profile(import_data(make_zip(files), workspace))
    assert result.duplicates.leaks == 1
    leak = next(f for f in result.findings if f.code == "leak")
    assert leak.items == ("test/a/1.png",)
    assert leak.message.startswith("1 item of validation or test is also in train")


def test_small_and_unequal_classes_are_named(make_table, workspace):
    rows = [f"many words {i},big" for i in range(100)] + [f"few words {i},small" for i in range(5)]
    result = profile(make(rows, make_table, workspace))
    assert codes(result)[:2] == ["class-too-small", "imbalance"]
    assert result.findings[0].message == "The class 'small' has fewer than 10 training items."
    assert result.findings[1].message == "'big' has 100 items and 'small' only 5."
    assert result.balance == 0.05


def test_a_class_that_train_lacks(make_zip, workspace):
    files = {f"train/{c}/{i}.png": picture(i + ord(c)) for c in "ab" for i in range(3)}
    files |= {f"test/{c}/{i}.png": picture(50 + i + ord(c)) for c in "abc" for i in range(2)}
    result = profile(import_data(make_zip(files), workspace))
    assert "class-not-in-train" in codes(result)


def test_one_class_blocks(make_zip, workspace):
    result = profile(import_data(make_zip({"cats/1.png": picture(1), "cats/2.png": picture(2)}), workspace))
    with pytest.raises(DataError, match="All 2 items are in one class, 'cats'"):
        result.require_usable()


def test_a_single_item_can_be_profiled(make_zip, workspace):
    result = profile(import_data(make_zip({"cats/1.png": picture(1)}), workspace))
    assert result.splits == {"train": 1, "validation": 0, "test": 0}
    assert {"no-validation", "no-test", "one-class"} <= set(codes(result))


def test_nothing_to_test_with_blocks_before_anything_is_trained(make_zip, workspace):
    result = profile(import_data(make_zip({"cats/1.png": picture(1), "dogs/2.png": picture(2)}), workspace))
    with pytest.raises(DataError, match="None of the 2 items is left to test with"):
        result.require_usable()


@pytest.mark.parametrize(
    ("group", "cause"),
    [
        (lambda i: "abc"[i % 3], "all items of a class are in one group"),
        (lambda i: ["one", "two", ["one", "two"][i < 20]][i % 3], "there are only 2"),
        (lambda i: "one", "all items of a class are in one group"),
    ],
)
def test_groups_that_leave_nothing_to_test_with_are_named_as_the_cause(group, cause, make_table, workspace):
    rows = [f"many words {i},{'abc'[i % 3]},{group(i)}" for i in range(40)]
    result = profile(make(rows, make_table, workspace, "text,label,group"))
    finding = next(f for f in result.findings if f.code == "no-test")
    assert f"A group is kept on one side of the split, and {cause}: " in finding.hint
    assert "identical" not in finding.hint


def test_a_given_split_of_test_items_only_is_reported(make_table, workspace):
    rows = [f"many words {i},{'ab'[i % 2]},{'test' if i % 8 else 'dev'}" for i in range(40)]
    dataset = make(rows, make_table, workspace, "text,label,split")
    finding = next(f for f in profile(dataset).findings if f.code == "given-without-train")
    assert finding.message == (
        "The data say that 40 of 40 items are for validation or test, and none for train, so there would be nothing to "
        "learn from. Graft made a new split instead."
    )
    assert set(dataset.splits) == {"train", "validation", "test"}
    assert "given-without-train" not in codes(profile(dataset.with_split(SplitSpec(honour_given=False))))
    whole = make([*rows, "and one more,a,train"], make_table, workspace, "text,label,split")
    assert "given-without-train" not in codes(profile(whole))


def test_what_was_left_out_and_changed_is_counted(make_zip, workspace):
    from PIL import Image

    files = {f"{c}/{i}.png": picture(i + ord(c)) for c in "ab" for i in range(3)}
    files |= {"a/empty.png": b"", ".DS_Store": b"junk", "b/cmyk.jpg": encoded(Image.new("CMYK", (9, 9)), "JPEG")}
    result = profile(import_data(make_zip(files), workspace))
    assert (result.skipped, result.converted) == (2, 1)
    skipped = next(f for f in result.findings if f.code == "skipped")
    assert skipped.message == "2 files were left out. One is a/empty.png: the file is empty.", "not the junk first"


def test_stops_come_first(make_table, workspace):
    rows = [f"words and words {i},case {i}" for i in range(30)] + [",x"]
    result = profile(make(rows, make_table, workspace))
    assert result.findings[0].level == "stop"


def test_a_manifest_without_sizes_can_be_profiled(tiny_images):
    assert profile(tiny_images).sizes == ()


def test_folders_of_two_items_each_are_classes_and_not_ids(make_zip, workspace):
    files = {f"class {c:02}/{i}.png": picture(100 * c + i) for c in range(12) for i in range(2)}
    assert "label-like-id" not in codes(profile(import_data(make_zip(files), workspace)))
    alone = {f"class {c:02}/0.png": picture(c) for c in range(12)}
    assert "label-like-id" in codes(profile(import_data(make_zip(alone), workspace)))
