"""Tables that name a picture and hold a text in each row: what is read, what is left out, what is tied."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.data.files import pictures
from tl_core.data.options import NONE, ImportOptions
from tl_core.data.prediction_items import read_prediction_items
from tl_core.data.profile import profile
from tl_core.data.sources import import_data, preview_table
from tl_core.errors import DataError

COUNT = 8
FILES = pictures(*(f"photos/{n}.png" for n in range(COUNT)))
ROWS = [
    {"photo": f"photos/{n}.png", "notes": f"we saw number {n} on the way to town", "kind": "ab"[n % 2]}
    for n in range(COUNT)
]


def table(rows):
    return pd.DataFrame(rows).to_csv(index=False)


@pytest.fixture
def make_source(make_folder):
    """Return a function that writes a table beside the pictures, and returns the table's path."""

    def make(rows, name="items.csv", text=""):
        folder = make_folder({**FILES, name: text or table(rows)})
        return str(Path(folder) / name)

    return make


def test_both_columns_are_found_and_said(make_source, make_zip, workspace):
    for path in (make_source(ROWS), make_zip({**FILES, "items.csv": table(ROWS)})):
        preview = preview_table(path)
        assert (preview.path_column, preview.text_column, preview.label_column) == ("photo", "notes", "kind")
        dataset = import_data(path, workspace)
        assert (dataset.modality, dataset.parts, dataset.classes) == ("multimodal", ("image", "text"), ("a", "b"))
        assert (dataset.path_column, dataset.text_column) == ("photo", "notes")
        assert dataset.items["text"].tolist() == [row["notes"] for row in ROWS]
        assert all((dataset.folder / stored).is_file() for stored in dataset.items["path"])
        said = "pictures are named in the column 'photo', texts are in 'notes'"
        assert [line.reason for line in dataset.receipt.lines] == [said]


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "json", "parquet", "xlsx"])
def test_other_formats(suffix, make_folder, workspace):
    folder = make_folder(FILES)
    frame, path = pd.DataFrame(ROWS), Path(folder) / f"items.{suffix}"
    write = {
        "tsv": lambda: path.write_text(frame.to_csv(index=False, sep="\t")),
        "jsonl": lambda: path.write_text("\n".join(map(json.dumps, ROWS))),
        "json": lambda: path.write_text(json.dumps(ROWS)),
        "parquet": lambda: frame.to_parquet(path),
        "xlsx": lambda: frame.to_excel(path, index=False),
    }
    try:
        write[suffix]()
    except ImportError:
        pytest.skip("pandas has no writer for it here")
    for source in (str(path), folder):
        dataset = import_data(source, workspace)
        assert dataset.modality == "multimodal"
        assert dataset.items["text"].tolist() == [row["notes"] for row in ROWS]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_person_can_choose_one_of_the_two(zipped, make_source, make_zip, workspace):
    path = make_zip({**FILES, "items.csv": table(ROWS)}) if zipped else make_source(ROWS)
    for options in (ImportOptions(path_column="photo"), ImportOptions(text_column=NONE)):
        dataset = import_data(path, workspace, options)
        assert (dataset.modality, set(dataset.items["text"])) == ("image", {""})
    for options in (ImportOptions(text_column="notes"), ImportOptions(path_column=NONE)):
        dataset = import_data(path, workspace, options)
        assert (dataset.modality, set(dataset.items["path"])) == ("text", {""})


def test_one_word_a_picture_is_read_only_if_said(make_source, workspace):
    rows = [{**row, "notes": f"word{n % 3}"} for n, row in enumerate(ROWS)]
    path = make_source(rows)
    assert import_data(path, workspace).modality == "image"
    both = import_data(path, workspace, ImportOptions(path_column="photo", text_column="notes"))
    assert both.items["text"].tolist() == [row["notes"] for row in rows]


def test_of_two_text_columns_none_is_guessed(make_source, workspace):
    path = make_source([{**row, "more": f"other words are also here, number {n}"} for n, row in enumerate(ROWS)])
    preview = preview_table(path)
    assert preview.text_column == ""
    [finding] = [finding for finding in preview.findings if finding.code == "texts-beside"]
    assert "'notes' and 'more'" in finding.message
    assert import_data(path, workspace).modality == "image"


def test_an_item_without_one_part_is_left_out_and_said(make_source, workspace):
    rows = [dict(row) for row in ROWS]
    rows[2]["notes"], rows[3]["photo"] = " ", "photos/none.png"
    dataset = import_data(make_source(rows), workspace)
    reasons = {line.item: line.reason for line in dataset.receipt.lines if line.action == "skipped"}
    assert reasons == {
        "photos/2.png": "the text is empty",
        "row 5": "there is no picture photos/none.png beside the table",
    }
    assert len(dataset.items) == COUNT - 2


def test_a_picture_may_have_several_texts_and_they_stay_together(make_source, workspace):
    again = [{**ROWS[0], "notes": "quite another thing about the very same picture"}]
    dataset = import_data(make_source([*ROWS, *again]), workspace)
    assert dataset.items["id"].tolist()[-1] == "photos/0.png, row 10"
    assert dataset.items["digest"].nunique() == COUNT + 1
    groups = dataset.near_groups()
    assert groups[0] == groups[-1] >= 0
    assert dataset.splits[0] == dataset.splits[-1]


def test_a_long_text_ties_and_a_short_one_does_not(make_source, workspace):
    long = "this text of more than ten words stands beside two of the pictures here"
    rows = [dict(row) for row in ROWS]
    rows[1]["notes"] = rows[4]["notes"] = long
    rows[2]["notes"] = rows[5]["notes"] = "four words are few"
    groups = import_data(make_source(rows), workspace).near_groups()
    assert groups[1] == groups[4] >= 0
    assert groups[2] == -1 or groups[2] != groups[5]


def test_the_profile_tells_both_parts(make_source, workspace):
    found = profile(import_data(make_source(ROWS), workspace))
    assert [size.name for size in found.sizes] == ["Width", "Height", "Length"]
    assert found.pictures is not None
    assert found.texts is not None


def test_items_to_predict_have_both_parts(make_source, make_zip, workspace):
    rows = [{"photo": row["photo"], "notes": row["notes"]} for row in ROWS]
    rows[1]["notes"] = ""
    for path in (make_source(rows), make_zip({**FILES, "items.csv": table(rows)})):
        inputs = read_prediction_items(path, "multimodal", workspace, "notes", "photo")
        assert inputs.ids == tuple(f"row {n}" for n in range(2, COUNT + 2) if n != 3)
        assert [text for _, text in inputs.items] == [row["notes"] for row in rows if row["notes"]]
        assert all(picture.is_file() for picture, _ in inputs.items)
        assert inputs.skipped == [("row 3", "the text is empty")]
    other = [{"file": row["photo"], "said": row["notes"]} for row in ROWS]
    found = read_prediction_items(make_source(other), "multimodal", workspace, "notes", "photo")
    assert (found.path_column, found.text_column, len(found.ids)) == ("file", "said", COUNT)


@pytest.mark.parametrize("name", ["photos/0.png", "notes.txt", "words.csv"])
def test_other_inputs_are_refused_in_a_sentence(name, make_folder, workspace):
    folder = make_folder({**FILES, "notes.txt": "only words", "words.csv": "notes\nonly words of a text\nand others\n"})
    with pytest.raises(DataError, match="picture") as error:
        read_prediction_items(str(Path(folder) / name), "multimodal", workspace)
    assert "in a table that names the files of the pictures" in error.value.hint


def test_the_same_pair_is_an_exact_copy(make_source, workspace):
    dataset = import_data(make_source([*ROWS, ROWS[0]]), workspace)
    assert dataset.items["digest"].duplicated().sum() == 1
    assert dataset.splits[0] == dataset.splits[-1]
