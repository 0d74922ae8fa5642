"""Tables that list pictures, inside an archive or beside them on disk."""

import json
import os

import numpy as np
import pytest

from tests.data.files import TWO_CLASSES, picture, pictures
from tl_core.data.options import ImportOptions
from tl_core.data.sources import import_data, preview_table
from tl_core.errors import DataError, UnclearError

FILES = pictures("images/1.png", "images/2.PNG", "images/3.jpg", "images/4.png")
LABELS = "path,label\nimages/1.png,a\nimages/2.PNG,b\nimages/3.jpg,a\nimages/4.png,b\n"


def labels_of(dataset):
    return {i: dataset.classes[k] for i, k in zip(dataset.items["id"], dataset.items["label"], strict=True)}


def reasons(dataset):
    return {line.item: line.reason for line in dataset.receipt.lines}


ALL = {"images/1.png": "a", "images/2.PNG": "b", "images/3.jpg": "a", "images/4.png": "b"}


@pytest.mark.parametrize("make", ["make_zip", "make_folder"])
@pytest.mark.parametrize(
    ("table", "listed"),
    [
        ("labels.csv", LABELS),
        ("images/labels.csv", LABELS.replace("images/", "")),
        ("labels.csv", LABELS.replace("images/", "")),
        ("labels.csv", LABELS.replace("images/", "./images/").replace("/2.PNG", "\\2.PNG")),
        ("labels.csv", LABELS.replace("images/", "home/me/images/")),
        ("labels.csv", LABELS.replace("images/", "old_folder/")),
        (
            "labels.csv",
            LABELS.upper().replace("PATH,LABEL", "path,label").replace(",A\n", ",a\n").replace(",B\n", ",b\n"),
        ),
        ("meta/labels.tsv", LABELS.replace(",", "\t").replace("images/", "").replace(".png", "").replace(".PNG", "")),
    ],
)
def test_pictures_are_labelled_by_the_table_that_lists_them(make, table, listed, request, workspace):
    path = request.getfixturevalue(make)({**FILES, table: listed})
    dataset = import_data(path, workspace)
    assert dataset.modality == "image"
    assert labels_of(dataset) == ALL
    by_name = "old_folder" in listed or table.endswith(".tsv")
    assert list(reasons(dataset)) == ([table] if by_name else [])
    preview = preview_table(path)
    assert (preview.path_column, preview.label_column, preview.text_column, preview.n_rows) == ("path", "label", "", 4)


def test_a_table_within_one_more_folder(make_zip, workspace):
    files = {f"data/{name}": data for name, data in FILES.items()}
    dataset = import_data(make_zip({**files, "data/labels.csv": LABELS}), workspace)
    assert labels_of(dataset) == {f"data/{name}": label for name, label in ALL.items()}


def test_missing_unnamed_repeated_and_outside_pictures_are_reported(make_zip, workspace):
    more = "images/9.png,a\n../secret.png,a\n/etc/passwd,b\nC:\\x.png,b\nimages/1.png,b\n,a\nimages/4.png,\n"
    files = {**FILES, **pictures("images/extra.png"), "labels.csv": LABELS + more, "notes.txt": "by hand"}
    dataset = import_data(make_zip(files), workspace)
    assert labels_of(dataset) == ALL
    out = "its path leads out of the folder of the data"
    assert reasons(dataset) == {
        "row 6": "there is no picture images/9.png",
        "row 7": out,
        "row 8": out,
        "row 9": out,
        "row 10": "the picture images/1.png is named by an earlier row, with another label",
        "row 11": "it names no picture",
        "row 12": "it has no label",
        "images/extra.png": "labels.csv gives it no label",
        "notes.txt": "not a picture that can be read",
    }


def test_folders_distinguish_equal_file_names(make_zip, workspace):
    files = pictures("train/1.png", "test/1.png", "test/2.png")
    table = "file,label,split\ntrain/1.png,a,train\ntest/1.png,b,test\ntest/2.png,a,test\n"
    table += "train/2.png,b,train\n1.png,a,train\n"
    dataset = import_data(make_zip({**files, "labels.csv": table}), workspace)
    assert labels_of(dataset) == {"train/1.png": "a", "test/1.png": "b", "test/2.png": "a"}
    assert dataset.items["given"].tolist() == ["train", "test", "test"]
    assert reasons(dataset) == {
        "row 5": "there is no picture train/2.png",
        "row 6": "several pictures have the name 1.png",
    }


def test_all_that_a_table_says_of_pictures(make_zip, workspace):
    table = "file,sex,year,patient_id,tags\n" + "".join(
        f"{name},{'fm'[i % 2]},{2000 + i},p{i},{('x|y', '', 'y', 'x')[i]}\n" for i, name in enumerate(ALL)
    )
    options = ImportOptions(separator="|", subgroup_column="sex", time_column="year", label_column="tags")
    dataset = import_data(make_zip({**FILES, "labels.csv": table}), workspace, options)
    assert dataset.multilabel
    assert dataset.items["subgroup"].tolist() == ["f", "m", "f", "m"]
    assert dataset.items["group"].tolist() == ["p0", "p1", "p2", "p3"]
    assert np.all(np.diff(dataset.items["time"]) > 0)
    assert [[dataset.classes[i] for i in row] for row in dataset.items["labels"]] == [["x", "y"], [], ["y"], ["x"]]


@pytest.mark.parametrize(
    "table",
    [
        "path,width,height\ncats/1.png,12,10\ncats/2.png,12,10\ndogs/1.png,13,10\ndogs/2.png,13,10\n",
        "class,title\ncats,Cats are fine\ndogs,Dogs are fine\n",
        "no table at all",
        "",
    ],
)
def test_folders_say_the_classes_where_the_table_does_not(table, make_zip, workspace):
    path = make_zip({**TWO_CLASSES, "about.csv": table})
    dataset = import_data(path, workspace)
    assert dataset.classes == ("cats", "dogs")
    assert reasons(dataset) == {"about.csv": "not a picture that can be read"}
    assert preview_table(path) is None


def test_the_table_counts_more_than_folders(make_zip, workspace):
    table = "file,label\n" + "".join(f"{name},{'xy'[i % 2]}\n" for i, name in enumerate(TWO_CLASSES))
    dataset = import_data(make_zip({**TWO_CLASSES, "labels.csv": table}), workspace)
    assert dataset.classes == ("x", "y")


def test_two_tables_are_one_too_many(make_zip, workspace):
    path = make_zip({**FILES, "first.csv": LABELS, "second.csv": LABELS})
    with pytest.raises(DataError, match=r"2 tables list the pictures \(first.csv, second.csv\)"):
        import_data(path, workspace)


def test_the_column_of_paths_can_be_corrected(make_zip, workspace):
    table = LABELS.replace("path,label", "path,label,other")
    names = ["4.png", "3.jpg", "2.PNG", "1.png"]
    lines = table.splitlines()
    table = "\n".join([lines[0], *(f"{line},{name}" for line, name in zip(lines[1:], names, strict=True))]) + "\n"
    path = make_zip({**FILES, "labels.csv": table})
    assert labels_of(import_data(path, workspace)) == ALL
    turned = import_data(path, workspace, ImportOptions(path_column="other"))
    assert labels_of(turned) == {"images/4.png": "a", "images/3.jpg": "b", "images/2.PNG": "a", "images/1.png": "b"}
    with pytest.raises(DataError, match="No cell of the column 'label' names an existing picture"):
        import_data(path, workspace, ImportOptions(path_column="label", label_column="other"))


def test_a_table_beside_its_pictures_on_disk(make_folder, workspace):
    folder = make_folder({**FILES, "labels.csv": LABELS + "images/9.png,a\n../other.png,b\n"})
    path = f"{folder}/labels.csv"
    dataset = import_data(path, workspace)
    assert dataset.modality == "image"
    assert labels_of(dataset) == ALL
    assert reasons(dataset) == {
        "row 6": "there is no picture images/9.png beside the table",
        "row 7": "its path leads out of the folder of the data",
    }
    assert preview_table(path).path_column == "path"


def test_no_link_leads_out_of_the_folder(make_folder, workspace, tmp_path):
    folder = make_folder({**FILES, "labels.csv": LABELS + "images/link.png,a\nlinked/secret.png,a\n"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.png").write_bytes(picture(9))
    os.symlink(tmp_path / "elsewhere" / "secret.png", f"{folder}/images/link.png")
    os.symlink(tmp_path / "elsewhere", f"{folder}/linked")
    dataset = import_data(f"{folder}/labels.csv", workspace)
    assert labels_of(dataset) == ALL
    assert set(reasons(dataset)) == {"row 6", "row 7"}


@pytest.mark.parametrize(
    ("start", "match"),
    [
        ("/data/", r"names pictures outside the table's folder, for example '/data/1.png'"),
        ("../", "names pictures outside the table's folder"),
        ("gone/", "names pictures that are not beside the table"),
    ],
)
def test_pictures_that_lie_elsewhere_are_one_sentence(start, match, make_folder, workspace):
    path = make_folder({**FILES, "labels.csv": LABELS.replace("images/", start)}) + "/labels.csv"
    for call in (preview_table, lambda source: import_data(source, workspace)):
        with pytest.raises(DataError, match=match):
            call(path)


def test_a_table_of_texts_that_mentions_pictures_is_a_table_of_texts(make_table, workspace):
    rows = "".join(f"http://x.org/{i}.png,/data/{i}.png,the words of text number {i},{'ab'[i % 2]}\n" for i in range(9))
    dataset = import_data(make_table("url,file,text,label\n" + rows), workspace)
    assert dataset.modality == "text"
    assert dataset.text_column == "text"


@pytest.mark.parametrize("make", ["make_zip", "make_folder"])
def test_a_cell_that_is_no_path_costs_little_and_is_reported_briefly(make, request, workspace):
    table = LABELS + "a/" * 200_000 + "5.png,a\n"
    dataset = import_data(request.getfixturevalue(make)({**FILES, "labels.csv": table}), workspace)
    assert labels_of(dataset) == ALL
    assert reasons(dataset) == {"row 6": "it names no picture: the path is too long"}


def given_of(dataset):
    return dict(zip(dataset.items["id"], dataset.items["given"], strict=True))


@pytest.mark.parametrize(
    ("file", "header", "row"),
    [
        ("metadata.csv", "file_name,label\n", "{n}.png,{label}\n"),
        ("metadata.jsonl", "", '{{"file_name": "{n}.png", "label": "{label}"}}\n'),
        ("_classes.csv", "filename, a, b\n", "{n}.png, {a}, {b}\n"),
    ],
)
def test_a_table_in_each_split_folder(file, header, row, make_zip, workspace):
    """Pictures of all folders have the same names; each table names those beside it."""
    files = {}
    for split, numbers in (("train", range(6)), ("valid", range(2)), ("test", range(3))):
        listed = [row.format(n=n, label="ab"[n % 2], a=1 - n % 2, b=n % 2) for n in numbers]
        files |= {f"{split}/{file}": header + "".join(listed)}
        files |= {f"{split}/{n}.png": picture(hash_of(split, n)) for n in numbers}
    dataset = import_data(make_zip(files), workspace)
    assert (dataset.classes, dataset.multilabel) == (("a", "b"), False)
    given = given_of(dataset)
    assert {name.split("/")[0]: split for name, split in given.items()} == {
        "train": "train", "valid": "validation", "test": "test",
    }  # fmt: skip
    assert labels_of(dataset) == {name: "ab"[int(name.split("/")[1][0]) % 2] for name in given}
    assert len(given) == 11


def hash_of(split, n):
    return 100 * len(split) + n


def test_splits_of_listed_pictures_come_from_their_folders(make_zip, workspace):
    files = pictures(*(f"d/{split}/{n}.png" for split, k in (("train", 6), ("test", 2)) for n in range(k)))
    table = "file_name,label\n" + "".join(f"{name[2:]},{'ab'[i % 2]}\n" for i, name in enumerate(files))
    path = make_zip({**files, "d/metadata.csv": table})
    dataset = import_data(path, workspace)
    assert given_of(dataset) == {name: name.split("/")[1] for name in files}
    assert "split from the folders of the pictures" in [str(origin) for origin in dataset.origins]
    with_column = table.replace("label\n", "label,data set\n").replace(",a\n", ",a,train\n").replace(",b\n", ",b,val\n")
    dataset = import_data(make_zip({**files, "d/metadata.csv": with_column}, "column.zip"), workspace)
    assert set(given_of(dataset).values()) == {"train", "validation"}, "what the table says counts more than folders"


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        (["/data/upload/1/{n:02d}.png"], "file name"),
        (["C:\\Users\\me\\{n:02d}.png"], "file name"),
        (["s3://bucket/set/{n:02d}.png"], "file name"),
        (["/data/local-files/?d=set/{n:02d}.png"], "file name"),
        (["{n:02d}.jpg"], "name without suffix"),
        (["{n}"], "name without leading zeros"),
        (["{n}.0"], "name without leading zeros"),
    ],
)
def test_listings_of_another_machine_or_spreadsheet(cells, how, make_zip, workspace):
    files = {f"images/{n:02d}.png": picture(n) for n in range(12)}
    rows = [cells[0].format(n=n) + f",{'ab'[n % 2]}\n" for n in range(12)]
    dataset = import_data(make_zip({**files, "labels.csv": "item,label\n" + "".join(rows)}), workspace)
    assert labels_of(dataset) == {name: "ab"[n % 2] for n, name in enumerate(files)}
    line = dataset.receipt.lines[-1]
    assert (line.item, line.action) == ("labels.csv", "read")
    assert line.reason.endswith(f"of its rows name their pictures by {how}, not by the whole path")


def test_the_longest_end_of_a_path_tells_pictures_of_one_name_apart(make_zip, workspace):
    files = pictures("x/one/1.png", "x/two/1.png", "x/two/2.png")
    table = "path,label\n/old/one/1.png,a\n/old/two/1.png,b\n/old/two/2.png,a\n/old/three/2.png,b\n"
    dataset = import_data(make_zip({**files, "labels.csv": table}), workspace)
    assert labels_of(dataset) == {"x/one/1.png": "a", "x/two/1.png": "b", "x/two/2.png": "a"}
    assert list(reasons(dataset)) == ["row 5"], "a path of another folder is never matched by its name alone"


def test_batch_folders_are_no_classes_where_a_table_names_the_species(make_zip, workspace):
    files = {f"batch{n % 2}/{n}.png": picture(n) for n in range(12)}
    rows = "".join(f"{name},{['owl', 'fox'][n // 6]},{'ns'[n % 3 % 2]}\n" for n, name in enumerate(files))
    dataset = import_data(make_zip({**files, "labels.csv": "path,species,site\n" + rows}), workspace)
    assert dataset.classes == ("fox", "owl")


def test_a_table_and_class_folders_that_disagree_are_asked_about(make_zip, workspace):
    files = {f"{c}/{n}.png": picture(10 * i + n) for i, c in enumerate(("cats", "dogs")) for n in range(6)}
    rows = "".join(f"{name},{'pq'[i % 2]}\n" for i, name in enumerate(files))
    path = make_zip({**files, "more.csv": "path,finish\n" + rows})
    with pytest.raises(UnclearError, match="either could be their class") as error:
        import_data(path, workspace)
    assert "--label-column 'finish', or --folders class" in error.value.hint
    assert import_data(path, workspace, ImportOptions(label_column="finish")).classes == ("p", "q")
    assert import_data(path, workspace, ImportOptions(folders="class")).classes == ("cats", "dogs")


def test_pictures_to_predict_and_a_sample_submission_are_no_classes(make_zip, workspace):
    files = pictures(*(f"train/r{n}.jpg" for n in range(8)), *(f"test/e{n}.jpg" for n in range(4)))
    labels = "id,breed\n" + "".join(f"r{n},{'ab'[n % 2]}\n" for n in range(8))
    sample = "id,a,b\n" + "".join(f"e{n},0.5,0.5\n" for n in range(4))
    dataset = import_data(make_zip({**files, "labels.csv": labels, "sample_submission.csv": sample}), workspace)
    assert labels_of(dataset) == {f"train/r{n}.jpg": "ab"[n % 2] for n in range(8)}
    assert reasons(dataset)["test/e0.jpg"] == "labels.csv gives it no label"


def coco(files, kinds):
    """Return COCO annotations: `kinds` holds the categories of each file, in the order of the files."""
    names = sorted({kind for found in kinds for kind in found})
    marks = [(i, names.index(kind) + 7) for i, found in enumerate(kinds) for kind in found]
    return json.dumps(
        {
            "images": [{"id": i, "file_name": name, "width": 64 + i % 2, "height": 9} for i, name in enumerate(files)],
            "annotations": [{"id": n, "image_id": i, "category_id": k} for n, (i, k) in enumerate([*marks, *marks])],
            "categories": [{"id": 7 + k, "name": name, "supercategory": "thing"} for k, name in enumerate(names)],
        }
    )


def test_coco_annotations_say_the_classes(make_zip, workspace):
    files = {f"images/{n}.png": picture(n) for n in range(8)}
    names = [name.split("/")[1] for name in files]
    one = [["cat"], ["dog"]] * 3 + [["cat"], []]
    dataset = import_data(make_zip({**files, "annotations/instances.json": coco(names, one)}), workspace)
    assert (dataset.classes, dataset.multilabel) == (("cat", "dog"), False)
    assert list(labels_of(dataset).values()) == ["cat", "dog"] * 3 + ["cat"]
    assert reasons(dataset)["row 8"] == "it has no label"
    several = [["cat"], ["cat", "dog"]] * 4
    dataset = import_data(make_zip({**files, "a.json": coco(names, several)}, "several.zip"), workspace)
    assert [[dataset.classes[k] for k in row] for row in dataset.items["labels"]] == several


def test_coco_annotations_of_each_split(make_zip, workspace):
    files, tables = {}, {}
    for split, at in (("train2017", 0), ("val2017", 6)):
        names = [f"{n:04d}.png" for n in range(at, at + 6)]
        files |= {f"{split}/{name}": picture(int(name[:4])) for name in names}
        tables[f"annotations/instances_{split}.json"] = coco(names, [["cat"], ["dog"]] * 3)
    dataset = import_data(make_zip(files | tables), workspace)
    assert dataset.classes == ("cat", "dog")
    assert {name.split("/")[0]: split for name, split in given_of(dataset).items()} == {
        "train2017": "train", "val2017": "validation",
    }  # fmt: skip


def test_voc_annotations_say_the_classes_and_the_split(make_zip, workspace):
    files, kinds = {}, [["cat"], ["dog", "dog"], ["cat"], ["dog"], []]
    for n, names in enumerate(kinds):
        objects = "".join(f"<object><name>{k}</name><part><name>head</name></part></object>" for k in names)
        files[f"VOC/Annotations/{n}.xml"] = f"<annotation><filename>{n}.png</filename>{objects}</annotation>"
        files[f"VOC/JPEGImages/{n}.png"] = picture(n)
    path = make_zip({**files, "VOC/ImageSets/Main/train.txt": "0\n1\n", "VOC/ImageSets/Main/test.txt": "2\n3\n"})
    dataset = import_data(path, workspace)
    assert labels_of(dataset) == {f"VOC/JPEGImages/{n}.png": kinds[n][0] for n in range(4)}
    assert [given_of(dataset)[f"VOC/JPEGImages/{n}.png"] for n in range(4)] == ["train", "train", "test", "test"]
    assert reasons(dataset)["row 5"] == "it has no label"


def test_pictures_without_a_suffix_are_known_by_their_content(make_zip, make_folder, workspace):
    files = {f"{'ab'[n % 2]}/{n:05d}": picture(n, kind=("PNG", "JPEG", "GIF")[n % 3]) for n in range(9)}
    dataset = import_data(make_zip(files), workspace)
    assert (dataset.modality, dataset.classes, len(dataset.items)) == ("image", ("a", "b"), 9)
    listed = {f"images/{name[2:]}": data for name, data in files.items()}
    table = "id,label\n" + "".join(f"{name[2:]},{name[0]}\n" for name in files)
    dataset = import_data(make_folder({**listed, "labels.csv": table}), workspace)
    assert (dataset.modality, dataset.classes, len(dataset.items)) == ("image", ("a", "b"), 9)
    with pytest.raises(DataError, match=r"nothing in other\.zip"):
        import_data(make_zip({"a/1": b"no picture", "b/2": b"none either"}, "other.zip"), workspace)


def test_rows_far_down_are_never_given_the_picture_of_another_row(make_zip, workspace):
    small = picture(0)
    files = {f"train/{n}.png": small if n > 3 else picture(n) for n in range(600)}
    rows = [f"train/{n}.png,{'ab'[n % 2]},words {n}\n" for n in range(600)]
    missing = [f"test/{n}.png,{'ba'[n % 2]},other words {n}\n" for n in range(100)]
    table = "path,label,text\n" + "".join(rows + missing)
    dataset = import_data(make_zip({**files, "labels.csv": table}), workspace)
    assert len(dataset.items) <= 600
    assert not dataset.items["text"].str.startswith("other").any()
    assert reasons(dataset)["row 602"] == "there is no picture test/0.png"


def test_a_name_in_two_folders_of_another_machine_spoils_no_other_row(make_zip, workspace):
    files = {f"images/{n}.png": picture(n) for n in range(12)}
    rows = "".join(f"/data/upload/1/{n}.png,{'ab'[n % 2]}\n" for n in range(12))
    dataset = import_data(make_zip({**files, "labels.csv": f"item,label\n{rows}/data/upload/2/3.png,a\n"}), workspace)
    assert set(labels_of(dataset)) == set(files) - {"images/3.png"}
    assert reasons(dataset)["row 14"] == "rows with other folders name a picture 3.png too"
