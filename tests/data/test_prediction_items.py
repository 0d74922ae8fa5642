import os
import time

import numpy as np
import pytest
from PIL import Image

from tests.data.files import encoded, picture, pictures
from tl_core.data.images import open_image
from tl_core.data.prediction_items import read_prediction_items
from tl_core.errors import DataError


def test_one_picture(make_folder, workspace):
    path = make_folder({"x.png": picture()}) + "/x.png"
    inputs = read_prediction_items(path, "image", workspace)
    assert inputs.ids == ("x.png",)
    assert np.array_equal(open_image(inputs.paths[0]), open_image(path))


@pytest.mark.parametrize("make", ["make_zip", "make_folder"])
def test_many_pictures_with_or_without_folders(make, request, workspace):
    files = {**pictures("all/1.png", "all/sub/2.png"), "all/.DS_Store": b"x", "all/zero.png": b"", "all/n.txt": "x"}
    inputs = read_prediction_items(request.getfixturevalue(make)(files), "image", workspace)
    assert inputs.ids == ("1.png", "sub/2.png")
    assert all(path.is_file() for path in inputs.paths)
    assert {line.item: line.reason for line in inputs.receipt.lines if "DS_Store" not in line.item} == {
        "n.txt": "not a picture that can be read",
        "zero.png": "the file is empty",
    }


def test_a_picture_is_stored_as_an_import_stores_it(make_folder, workspace):
    data = encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))
    inputs = read_prediction_items(make_folder({"x.png": data}), "image", workspace)
    with Image.open(inputs.paths[0]) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("RGB", (255, 255, 255))
    assert inputs.receipt.lines[0].action == "converted"


def test_pictures_of_yesterday_are_removed(make_folder, workspace):
    paths = []
    for name in ("x.png", "y.png"):
        paths += read_prediction_items(
            make_folder({name: picture(len(paths))}, name[0]) + f"/{name}", "image", workspace
        ).paths
        os.utime(paths[-1], (time.time() - 25 * 3600,) * 2)
    assert [path.exists() for path in paths] == [False, True]


def test_one_text(make_folder, workspace):
    inputs = read_prediction_items(make_folder({"x.txt": "two\nlines, and a comma"}) + "/x.txt", "text", workspace)
    assert (inputs.ids, inputs.texts) == (("x.txt",), ("two\nlines, and a comma",))


@pytest.mark.parametrize(
    "content", ["comment,id\nfirst words,1\n,2\nmore words,3\n", "comment\nfirst words\n\nmore words\n"]
)
def test_a_table_without_labels(content, make_table, workspace):
    inputs = read_prediction_items(make_table(content), "text", workspace)
    assert inputs.texts == ("first words", "more words")
    assert inputs.ids == ("row 2", "row 4")


def test_the_text_column_can_be_named(make_table, workspace):
    path = make_table("a,b\nsome long words here,short\nother long words here,brief\n")
    assert read_prediction_items(path, "text", workspace).texts[0] == "some long words here"
    assert read_prediction_items(path, "text", workspace, text_column="b").texts == ("short", "brief")


def test_a_table_without_the_trained_column_is_read_by_a_guess(make_table, workspace):
    path = make_table("nr,Nachricht\n1,some long words here\n2,other long words here\n")
    inputs = read_prediction_items(path, "text", workspace, text_column="text")
    assert inputs.texts == ("some long words here", "other long words here")
    assert inputs.text_column == "Nachricht"


def test_a_zip_with_a_table_or_texts(make_zip, workspace):
    assert read_prediction_items(make_zip({"t.csv": "text,label\nhello you,a\n"}), "text", workspace).texts == (
        "hello you",
    )
    assert read_prediction_items(make_zip({"a/1.txt": "one", "b/2.txt": "two"}), "text", workspace).texts == (
        "one",
        "two",
    )


def test_a_sample(workspace):
    inputs = read_prediction_items("sample:digits", "image", workspace)
    assert len(inputs.ids) == len(inputs.paths) == 1797
    with pytest.raises(DataError, match="does not hold texts"):
        read_prediction_items("sample:digits", "text", workspace)


@pytest.mark.parametrize(
    ("files", "modality", "match"),
    [
        ({"x.txt": "words"}, "image", "There is no picture to read in data.zip. x.txt: not a picture"),
        ({"x.png": picture()}, "text", "There is no text to read in data.zip. x.png: not a text file"),
        ({"x.png": b""}, "image", "x.png: the file is empty"),
        ({"x.csv": "text\nhello you\n"}, "image", "There is no picture to read"),
    ],
)
def test_the_wrong_kind_is_one_sentence(files, modality, match, make_zip, workspace):
    with pytest.raises(DataError, match=match):
        read_prediction_items(make_zip(files), modality, workspace)


def test_a_table_for_a_picture_model(make_table, workspace):
    with pytest.raises(DataError, match="is a table, but this model takes pictures"):
        read_prediction_items(make_table("text\nhello you\n"), "image", workspace)


def test_nothing_there(workspace):
    with pytest.raises(DataError, match="There is nothing at"):
        read_prediction_items("/no/such/file.png", "image", workspace)
