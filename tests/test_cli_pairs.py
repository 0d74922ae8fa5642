"""The command line over a table of pictures with texts."""

import csv
import json
import shutil

import pytest

from tests.test_cli import call
from tests.tiny import make_pairs


@pytest.fixture
def listed(workspace, tmp_path):
    """A table in which each row names a picture and holds a text, beside the pictures."""
    made = make_pairs(workspace)
    folder = tmp_path / "data"
    shutil.copytree(made.folder / "images", folder / "photos")
    rows = [(f"photos/{row.id}", row.text, made.classes[row.label]) for row in made.items.itertuples()]
    with open(folder / "items.csv", "w", newline="") as file:
        csv.writer(file).writerows([("photo", "description", "kind"), *rows])
    return folder / "items.csv"


def test_the_whole_way(listed, capsys, workspace, tiny_backbones, tmp_path, monkeypatch):
    names = {"image": "tiny_image", "text": "tiny_text", "multimodal": "tiny_image+tiny_text"}
    monkeypatch.setattr("tl_core.cli.data.default_backbone", lambda dataset: (names[dataset.modality], None))
    code, out, err = call(capsys, "profile", listed)
    assert code == 0, err
    assert "96 pictures with texts in 2 classes" in out
    assert "Pictures are named in the column 'photo', and texts are in 'description'." in err

    code, out, err = call(capsys, "advise", listed, "--json")
    assert code == 0, err
    assert json.loads(out)["backbone"] == "tiny_image+tiny_text"

    model = tmp_path / "model"
    code, out, err = call(capsys, "train", listed, "--strategy", "partial", "--out", model, "--json")
    assert code == 0, err
    assert (model / "predict_single.py").is_file()
    code, out, err = call(capsys, "evaluate", model, listed, "--json")
    assert code == 0, err
    assert json.loads(out)["measured"] == "the test items of the data it was trained on"
    code, out, err = call(capsys, "predict", model, listed, "--out", tmp_path / "out.csv")
    assert code == 0, err
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 97

    code, out, err = call(capsys, "check", listed, "--quick")
    assert code == 0, err

    code, out, err = call(capsys, "train", listed, "--backbone", "tiny_image", "--out", tmp_path / "new")
    assert code == 2
    assert "tiny_image reads images, but the data are pictures with texts. Ready: " in err
    assert "+tiny_text" in err
