"""What folders mean: splits, classes, items that belong together; and what is asked because it is not clear."""

import pytest

from tests.data.files import pictures
from tl_core.data.options import ImportOptions
from tl_core.data.sources import FolderPreview, import_data, preview_source
from tl_core.data.sources.split_names import guess_split, splits_of_names
from tl_core.errors import UnclearError, UsageError


def names(pattern, splits=("train", "val", "test"), classes=("cat", "dog"), numbers=(1, 2)):
    return [pattern.format(split=s, cls=c, n=n) for s in splits for c in classes for n in numbers]


def given(dataset):
    return sorted(dataset.items["given"].value_counts().items())


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("Train Set", "train"), ("training_set", "train"), ("trainset2", "train"), ("x-train", "")),
        *(("val_images", "validation"), ("dev", "validation"), ("validationData", "validation")),
        *(("test1", "test"), ("TESTING", "test"), ("hold-out", "test"), ("PrivateTest", "test")),
        *(("contest", ""), ("trains", ""), ("test tubes", ""), ("valid2invalid", ""), ("", ""), ("train_test", "")),
    ],
)  # fmt: skip
def test_names_of_splits(name, split):
    assert guess_split(name) == split


def test_names_beside_each_other_may_share_a_word():
    assert splits_of_names(["seg_train", "seg_test", "seg_pred"]) == {"seg_train": "train", "seg_test": "test"}
    assert splits_of_names(["test tubes", "dev boards", "beakers"]) == {}


@pytest.mark.parametrize(
    ("pattern", "splits"),
    [
        ("{split}/{cls}/{n}.png", ("training_set", "validation_set", "test_set")),
        ("{split}/{cls}/{n}.png", ("Train Set", "Val Set", "Test Set")),
        ("{split}_images/{cls}/{n}.png", ("train", "val", "test")),
        ("dataset_{split}/{cls}/{n}.png", ("train", "val", "test")),
        ("seg_{split}/seg_{split}/{cls}/{n}.png", ("train", "val", "test")),
        ("{split}/images/{cls}/{n}.png", ("train", "val", "holdout")),
        ("data/{cls}/{split}/{n}.png", ("train", "valid", "test")),
    ],
)
def test_splits_in_folders_of_many_names(pattern, splits, make_zip, workspace):
    dataset = import_data(make_zip(pictures(*names(pattern, splits))), workspace)
    assert dataset.classes == ("cat", "dog")
    assert given(dataset) == [("test", 4), ("train", 4), ("validation", 4)]
    assert {origin.what for origin in dataset.origins} == {"label", "split"}


def test_a_folder_beside_the_splits_is_skipped_and_said(make_zip, workspace):
    files = [*names("seg_{split}/seg_{split}/{cls}/{n}.png", ("train", "test")), "seg_pred/seg_pred/7.png"]
    dataset = import_data(make_zip(pictures(*files)), workspace)
    assert given(dataset) == [("test", 4), ("train", 4)]
    assert {line.item for line in dataset.receipt.lines} == {"seg_pred/seg_pred/7.png"}


def test_a_folder_like_train_but_of_another_name_is_asked_about(make_zip, workspace):
    path = make_zip(pictures(*names("{split}/{cls}/{n}.png", ("train", "extra"))))
    with pytest.raises(UnclearError, match="extra beside the folder train has the same folders inside") as error:
        import_data(path, workspace)
    assert "--split-names extra=test" in error.value.hint
    preview = preview_source(path)
    assert isinstance(preview, FolderPreview)
    assert [dict(way.splits) for way in preview.ways][:3] == [
        {"train": 4, "test": 4}, {"train": 4, "validation": 4}, {"train": 4},
    ]  # fmt: skip
    for way, expected in zip(preview.ways, [[("test", 4), ("train", 4)], None, [("train", 4)]], strict=False):
        if expected:
            assert given(import_data(path, workspace, way.options)) == expected
    as_classes = import_data(path, workspace, preview.ways[-1].options)
    assert as_classes.classes == ("extra", "train")


def test_flat_splits_are_never_classes_unless_somebody_says_so(make_zip, workspace):
    files = [f"train/{cls}.{n}.png" for cls in ("cat", "dog") for n in range(4)] + ["test1/1.png", "test1/2.png"]
    path = make_zip(pictures(*files))
    with pytest.raises(UnclearError, match="test1, train look like splits") as error:
        import_data(path, workspace)
    assert "--folders split/name" in error.value.hint
    by_name = import_data(path, workspace, ImportOptions(folders="split/name"))
    assert by_name.classes == ("cat", "dog")
    assert [line.item for line in by_name.receipt.lines] == ["test1/1.png", "test1/2.png"]
    assert import_data(path, workspace, ImportOptions(folders="class")).classes == ("test1", "train")
    bare = make_zip(pictures("train/1.png", "train/2.png", "test/1.png"), "bare.zip")
    with pytest.raises(UnclearError, match="test, train look like splits"):
        import_data(bare, workspace)


def test_names_that_hold_a_split_and_more_are_asked_about(make_zip, workspace):
    path = make_zip(pictures(*(f"{c}_{s}/{n}.png" for c in ("cat", "dog") for s in ("train", "test") for n in (1, 2))))
    with pytest.raises(UnclearError, match="called after splits and something else"):
        import_data(path, workspace)
    assert len(import_data(path, workspace, ImportOptions(folders="class")).classes) == 4
    deep = make_zip(pictures(*names("{split}/{cls}/{n}.png", ("trainA", "testB"))), "deep.zip")
    preview = preview_source(deep)
    assert isinstance(preview, FolderPreview)
    assert given(import_data(deep, workspace, preview.ways[1].options)) == [("test", 4), ("train", 4)]


def test_two_families_of_splits_are_asked_about(make_zip, workspace):
    files = names("animals_{split}/{cls}/{n}.png", ("train", "test"))
    files += names("plants_{split}/{cls}/{n}.png", ("train", "test"), ("rose", "oak"))
    path = make_zip(pictures(*files))
    with pytest.raises(UnclearError, match="called after splits and something else") as error:
        import_data(path, workspace)
    assert "animals_test=test,animals_train=train,plants_test=test,plants_train=train" in error.value.hint
    preview = preview_source(path)
    assert isinstance(preview, FolderPreview)
    dataset = import_data(path, workspace, preview.ways[1].options)
    assert dataset.classes == ("cat", "dog", "oak", "rose")
    assert given(dataset) == [("test", 8), ("train", 8)]
    beside = make_zip(pictures(*files, "more/cat/1.png"), "beside.zip")
    with pytest.raises(UnclearError, match="called after splits and something else") as error:
        import_data(beside, workspace)
    assert "more=" not in error.value.hint


def test_which_family_of_splits_is_chosen_does_not_depend_on_the_order():
    families = [f"{kind}_{split}" for kind in "cab" for split in ("train", "test")]
    assert splits_of_names(families) == splits_of_names(families[::-1]) == {"a_train": "train", "a_test": "test"}


def test_a_class_called_train_stays_a_class(make_zip, workspace):
    nested = names("{split}/{cls}/{n}.png", ("train", "test"), ("train", "bus"))
    assert import_data(make_zip(pictures(*nested)), workspace).classes == ("bus", "train")


def test_folders_two_deep_are_read_by_the_outer_one_and_the_inner_is_offered(make_zip, workspace):
    path = make_zip(pictures("round/disc/1.png", "edgy/block/1.png", "edgy/stripe/1.png"))
    dataset = import_data(path, workspace)
    assert dataset.classes == ("edgy", "round")
    assert "--folders skip/class" in str(dataset.origins[0])
    preview = preview_source(path)
    assert isinstance(preview, FolderPreview)
    assert (preview.question, [way.classes for way in preview.ways]) == (
        "", [("edgy", "round"), ("block", "disc", "stripe")],
    )  # fmt: skip
    assert import_data(path, workspace, preview.ways[1].options).classes == ("block", "disc", "stripe")


def test_frames_of_a_film_and_pictures_of_a_person_stay_together(make_zip, workspace):
    films = [f"{cls}/film{film:02d}/{n}.png" for cls in ("a", "b") for film in range(8) for n in range(3)]
    dataset = import_data(make_zip(pictures(*films)), workspace)
    assert dataset.items["group"].nunique() == 16
    straddling = dataset.items.assign(split=dataset.splits).groupby("group")["split"].nunique()
    assert straddling.max() == 1
    people = [f"{cls}/Patient {p}/{n}.png" for cls in ("a", "b") for p in range(8) for n in range(3)]
    assert import_data(make_zip(pictures(*people)), workspace).items["group"].nunique() == 8
    parts = [f"{cls}/part{p}/{n}.png" for cls in ("a", "b") for p in range(8) for n in range(3)]
    path = make_zip(pictures(*parts))
    unsure = import_data(path, workspace)
    assert set(unsure.items["group"]) == {""}
    assert "--folders class/group" in str(unsure.origins[0])
    said = import_data(path, workspace, ImportOptions(folders="class/group"))
    assert said.items["group"].nunique() == 16


@pytest.mark.parametrize("below", ["", "images/"])
def test_groups_below_splits_stay_together_too(below, make_zip, workspace):
    def made(kind):
        people = [("train", p) for p in range(8)] + [("test", p) for p in range(8, 11)]
        files = [f"{s}/{below}{cls}/{kind}{p}/{n}.png" for s, p in people for cls in ("a", "b") for n in range(2)]
        return make_zip(pictures(*files), f"{kind}.zip")

    people = import_data(made("p"), workspace)
    assert people.classes == ("a", "b")
    assert given(people) == [("test", 12), ("train", 32)]
    assert people.items["group"].nunique() == 11
    straddling = people.items.assign(split=people.splits).groupby("group")["split"].nunique()
    assert straddling.max() == 1
    unsure = import_data(made("part"), workspace)
    assert set(unsure.items["group"]) == {""}
    pattern = "split/skip/class/group" if below else "split/class/group"
    assert f"--folders {pattern}" in " ".join(map(str, unsure.origins))
    said = import_data(made("part"), workspace, ImportOptions(folders=pattern))
    assert given(said) == [("test", 12), ("train", 32)]
    assert said.items["group"].nunique() == 22


def test_a_way_to_read_groups_keeps_the_splits_that_were_told(make_zip, workspace):
    files = [f"{s}/{cls}/part{p}/{n}.png" for s in ("train", "extra") for cls in "ab" for p in range(4) for n in (1, 2)]
    preview = preview_source(make_zip(pictures(*files)), ImportOptions(split_names=(("extra", "test"),)))
    assert isinstance(preview, FolderPreview)
    assert [way.options.folders for way in preview.ways] == ["split/class", "split/class/group", "split/skip/class"]
    assert [dict(way.splits) for way in preview.ways] == [{"train": 16, "test": 16}] * 3


def test_file_names_can_say_the_class_where_there_are_no_folders(make_zip, workspace):
    path = make_zip(pictures(*(f"{cls}_{n}.png" for cls in ("red_fox", "owl") for n in range(3))))
    with pytest.raises(Exception, match=r"not sorted into classes.*--folders name"):
        import_data(path, workspace)
    assert import_data(path, workspace, ImportOptions(folders="name")).classes == ("owl", "red_fox")


@pytest.mark.parametrize("pattern", ["split", "class/class", "name/class", "split/split/class", "klass"])
def test_a_pattern_that_says_nothing_is_one_sentence(pattern, make_zip, workspace):
    with pytest.raises(UsageError, match="does not say what the folders mean"):
        import_data(make_zip(pictures("a/1.png", "b/1.png")), workspace, ImportOptions(folders=pattern))
