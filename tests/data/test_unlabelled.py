"""Unlabelled data."""

import pytest
from PIL import Image

from tl_core.data.sources import import_data
from tl_core.data.unlabelled import NO_LABEL, import_unlabelled
from tl_core.errors import DataError


def test_a_table_without_labels_is_a_pool_of_its_texts(workspace, tmp_path):
    table = tmp_path / "pool.csv"
    table.write_text("number,said\n" + "\n".join(f"{n},a sentence of some words {n}" for n in range(12)))
    with pytest.raises(DataError):
        import_data(str(table), workspace)
    pool = import_unlabelled(str(table), "text", workspace)
    assert pool.items["text"].tolist() == [f"a sentence of some words {n}" for n in range(12)]
    assert pool.classes == (NO_LABEL,)
    with pytest.raises(DataError, match="images"):
        import_unlabelled(str(table), "image", workspace)


def test_what_is_no_item_of_a_pool_is_in_its_receipt(workspace, tmp_path):
    (tmp_path / "pool").mkdir()
    Image.new("RGB", (20, 20), "red").save(tmp_path / "pool" / "1.png")
    (tmp_path / "pool" / "notes.txt").write_text("not a picture")
    table = tmp_path / "pool.csv"
    table.write_text("number,said\n" + "\n".join(f"{n},a sentence of some words {n}" for n in range(9)) + "\n1,two,3\n")
    skipped = {
        source: [(line.item, line.reason) for line in import_unlabelled(str(source), kind, workspace).receipt.lines]
        for source, kind in ((tmp_path / "pool", "image"), (table, "text"))
    }
    assert skipped == {
        tmp_path / "pool": [("notes.txt", "not a picture that can be read")],
        table: [("row 11", "it has 3 cells, more than there are columns")],
    }


@pytest.mark.parametrize("depth", ["", "some/where/"])
def test_pictures_count_wherever_they_lie_and_keep_the_digest_of_a_labelled_import(workspace, tmp_path, depth):
    for label in ("a", "b"):
        (tmp_path / "labelled" / label).mkdir(parents=True)
        (tmp_path / "pool" / depth).mkdir(parents=True, exist_ok=True)
        for number in range(3):
            picture = Image.new("RGB", (20, 20), (40 * number, 90, 10 if label == "a" else 200))
            kind = "bmp" if number else "png"  # what is stored in another form keeps the digest of its source
            picture.save(tmp_path / "labelled" / label / f"{number}.{kind}")
            picture.save(tmp_path / "pool" / depth / f"{label}{number}.{kind}")
    labelled = import_data(str(tmp_path / "labelled"), workspace)
    pool = import_unlabelled(str(tmp_path / "pool"), "image", workspace)
    assert sorted(pool.items["digest"]) == sorted(labelled.items["digest"])
    with pytest.raises(DataError, match="no text"):
        import_unlabelled(str(tmp_path / "pool"), "text", workspace)


def test_a_sample_is_a_pool_too(workspace):
    assert import_unlabelled("sample:digits", "image", workspace) == import_data("sample:digits", workspace)
